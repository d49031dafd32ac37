"""Whoever makes blocks: what goes in, what is taken out again, and what the gas costs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.domain.observations import SettleItem
from settlement_node.store.book import redemptions
from settlement_node.units import Address, Hex32, Payout, Wei
from tests.simulation.chain.blocks import Block
from tests.simulation.chain.chain import BlockWish, next_base_fee
from tests.simulation.chain.transactions import Transaction, decode
from tests.simulation.people import Wish
from tests.simulation.scenario import CHAIN_ID, shown
from tests.simulation.signer import lane_key, sign

if TYPE_CHECKING:
    from tests.simulation.world import World

BLOCK_SECONDS = 12
WISH_GAS = 1_500_000
GWEI = 10**9


class Miner:
    """Makes the canonical chain grow, stop, jump and turn round."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: dict[str, Transaction] = {}
        self._halted_until = -1
        self._empty_until = -1
        self._made = 0

    def remember(self, raw: bytes) -> Transaction:
        """Bytes that were broadcast once may be mined any time later."""
        transaction = decode(raw)
        self.seen.setdefault(transaction.hash_hex, transaction)
        return transaction

    def step(self) -> None:
        """What the chain does in one step."""
        world, faults, rng = self.world, self.world.faults, self.world.rng
        if faults.step <= self._halted_until and faults.happening:
            return
        if faults.hits("chain_halted"):
            self._halted_until = faults.step + rng.randint(2, 6)
            return
        if faults.hits("empty_blocks"):
            self._empty_until = faults.step + rng.randint(1, 4)
        room = world.chain.head.number - world.endpoints.lowest_base()
        if world.chain.head.number > 15 and faults.hits("deep_reorganisation"):
            world.deep_reorganisation = True
            self.reorganise(world.scenario.finality_blocks + rng.randint(1, 4))
            return
        if room >= 1 and faults.hits("reorganisation"):
            self.reorganise(rng.randint(1, room))
            return
        if rng.random() < 0.85 or not faults.happening:
            self.mine()

    def mine(self, *, base_fee: int | None = None) -> Block:
        """One block on the head."""
        world, faults = self.world, self.world.faults
        chosen = self._people(world.chain.head, self._take_wishes())
        if faults.step > self._empty_until or not faults.happening:
            chosen += self._choose()
        if faults.hits("stranger_uses_key"):
            chosen = [self._stranger(), *chosen]
        if faults.enabled("key_stolen"):
            chosen = [*self._theft(), *chosen]
        block = world.chain.extend(chosen, self._wish(world.chain.head, base_fee))
        self._built(block)
        return block

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by others, with other contents where nonces allow."""
        world, rng, faults = self.world, self.world.rng, self.world.faults
        world.reorgs += 1
        old = world.chain.head
        base = old.line[max(0, old.number - depth)]
        gone = [item.transaction for b in old.line[base.number + 1 :] for item in b.executed]
        wishes = [Wish(t.sender, t.to or b"", t.data) for t in gone if not t.raw]
        ours = [t for t in gone if t.raw]
        forgets = faults.hits("reorganisation_forgets")
        if forgets:
            ours = []
        tip = base
        for number in range(depth + rng.randint(0, 1)):
            chosen = self._people(tip, wishes if number == 0 else [])
            pool = ours + [one for many in world.endpoints.waiting().values() for one in many]
            picked = [t for t in pool if rng.random() < 0.6]
            rng.shuffle(picked)
            picked.sort(key=lambda t: t.nonce)
            tip = world.chain.build(tip, [*chosen, *picked], self._wish(tip, None))
            self._built(tip)
        lost = world.chain.adopt(tip)
        world.note(f"reorganised {depth} blocks, lost {len(lost)} transactions")
        if not forgets:
            for transaction in lost:
                if transaction.raw:
                    for endpoint in world.endpoints.all:
                        world.endpoints.offer(endpoint, transaction)

    def _built(self, block: Block) -> None:
        self.world.checker.built(block)
        ours = [item for item in block.executed if item.transaction.raw]
        shown = " ".join(
            f"{item.transaction.nonce}:{item.transaction.hash_hex[:10]}:{int(item.succeeded)}"
            for item in ours
        )
        self.world.note(f"block {block.number} {block.block_hash[:10]} {shown}")

    def _wish(self, parent: Block, base_fee: int | None) -> BlockWish:
        world, faults, rng = self.world, self.world.faults, self.world.rng
        if base_fee is None and faults.hits("base_fee_spike"):
            base_fee = parent.base_fee * rng.choice((5, 30, 200))
            base_fee = min(base_fee, 3_000 * GWEI)
        calm_price = next_base_fee(parent) > 3 * GWEI
        return BlockWish(
            timestamp=max(parent.timestamp + 1, int(world.seconds)),
            other_gas=0 if calm_price else rng.randrange(world.chain.gas_limit),
            market_tip=rng.choice((1, GWEI // 10, GWEI, 3 * GWEI)),
            gas_factor=rng.choice((4.0, 9.0)) if faults.hits("batch_out_of_gas") else 1.0,
            base_fee=base_fee,
        )

    def _choose(self) -> list[Transaction]:
        """From all mempools, each nonce once; now and then an attempt that was replaced."""
        world, faults, rng = self.world, self.world.faults, self.world.rng
        chosen = []
        waiting = world.endpoints.waiting()
        lane = bytes.fromhex(lane_key().address[2:])
        next_nonce = world.chain.head.state.get(("nonce", lane))
        older = [t for t in self.seen.values() if t.nonce == next_nonce]
        for key, candidates in waiting.items():
            if faults.happening and rng.random() < 0.15:
                continue
            best = max(candidates, key=lambda t: (t.tip, t.hash_hex))
            if key == (lane, next_nonce) and len(older) > 1:
                if faults.hits("older_attempt_mined"):
                    best = rng.choice(older[:-1])
                older = []
            chosen.append(best)
        return chosen

    def _take_wishes(self) -> list[Wish]:
        wishes, self.world.wishes[:] = list(self.world.wishes), []
        return wishes

    def _people(self, parent: Block, wishes: list[Wish]) -> list[Transaction]:
        """People's transactions, with the nonces they have on this branch."""
        nonces: dict[bytes, int] = {}
        made = []
        for wish in wishes:
            nonce = nonces.get(wish.sender, parent.state.get(("nonce", wish.sender)))
            nonces[wish.sender] = nonce + 1
            self._made += 1
            name = f"{self._made} {parent.block_hash}".encode()
            made.append(
                Transaction(
                    hash_hex="0x" + hashlib.sha256(name).hexdigest(),
                    raw=b"",
                    chain_id=CHAIN_ID,
                    sender=wish.sender,
                    nonce=nonce,
                    to=wish.to,
                    data=wish.data,
                    value=0,
                    gas=WISH_GAS if len(wish.data) > 200 else 100_000,
                    cap=10**15,
                    tip=GWEI,
                )
            )
        return made

    def _stranger(self) -> Transaction:
        """Somebody who has the lane's key sends a little to themselves at our next nonce."""
        made = self._foreign(lane_key().address, b"\x01", value=1, gas=50_000)
        self.world.note(f"a stranger uses nonce {made.nonce}")
        return made

    def _theft(self) -> list[Transaction]:
        """Somebody who has the lane's key settles what the book has as approved, each order as it
        is, for one base unit."""
        world = self.world
        fund = world.rng.choice(world.scenario.funds)
        with world.store.read() as tx:
            rows = redemptions.due(tx, fund.fund_id, at_utc=tx.now_utc, limit=3)
        if not rows or not world.faults.hits("key_stolen"):
            return []
        items = [
            SettleItem(
                row.redemption_id,
                row.redemption_index,
                row.investor_address,
                row.payee_address,
                row.shares_base_units,
                Payout(1),
            )
            for row in rows
        ]
        tip = world.chain.head.state.get(("batch hash", fund.settler), bytes(32))
        data = encode_settle(Hex32("0x" + tip.hex()), items)
        made = self._foreign(shown(fund.settler), data, value=0, gas=WISH_GAS)
        world.note(f"a thief settles {len(items)} orders at nonce {made.nonce}")
        return [made]

    def _foreign(self, to_address: Address, data: bytes, *, value: int, gas: int) -> Transaction:
        """A transaction under the lane's key at its next nonce, of which no node knows."""
        world = self.world
        nonce = world.chain.head.state.get(("nonce", bytes.fromhex(lane_key().address[2:])))
        signed = sign(
            TransactionFields(
                chain_id=CHAIN_ID,
                nonce=nonce,
                to_address=to_address,
                data=data,
                value_wei=Wei(value),
                gas_limit=gas,
                max_fee_per_gas_wei=Wei(10_000 * GWEI),
                max_priority_fee_per_gas_wei=Wei(9 * GWEI),
            )
        )
        world.stranger_sent = True
        return decode(signed.raw)
