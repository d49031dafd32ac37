"""Endpoints: each has its own view of the chain, its own mempool, and its own bad days."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from settlement_node.chain.contracts.settler import BATCH_HASH_CALL, PREVIEW_SELECTOR
from settlement_node.chain.wire.transport import RpcOk, RpcRequest, RpcResult
from tests.simulation.chain.blocks import Block
from tests.simulation.chain.chain import BlockWish, SimChain
from tests.simulation.chain.mempool import Mempool, MempoolRules, SendRefused
from tests.simulation.chain.rpc import EndpointView
from tests.simulation.chain.transactions import Transaction
from tests.simulation.faults import Faults
from tests_support.lies import STORIES, Liar, Lie
from tests_support.lies.stories import BALANCE_OF_SELECTOR

LIES_ABOUT: Mapping[str, tuple[str, ...]] = {
    "a receipt": ("lie_receipt_without_logs", "lie_receipt_reverted"),
    "no receipt": ("lie_receipt_invented",),
    "eth_getLogs": (
        "lie_batch_reattributed",
        "lie_logs_invented",
        "lie_batch_hidden",
        "lie_receipt_reverted",
    ),
    BATCH_HASH_CALL.hex(): ("lie_state",),
    PREVIEW_SELECTOR.hex(): ("lie_preview_paused", "lie_preview_not_permitted"),
    BALANCE_OF_SELECTOR.hex(): ("lie_balances", "lie_treasury_empty"),
    "eth_getTransactionCount": ("lie_nonce_ahead", "lie_nonce_behind"),
    "a tag": ("lie_tags",),
    "a height": ("lie_header",),
    "eth_feeHistory": ("lie_fees",),
}
"""Which kinds of lies a question gives occasion for; later questions are answered so that they
fit."""
LIAR_DRAWS = 10
"""Few endpoints lie at all, since only one may; the one that does lies about nearly everything."""
LIE_STEPS = (0, 0, 0, 0, 1, 4)
LIE_ANSWERS = (None, None, None, 1, 3)


@dataclass(slots=True)
class Endpoint:
    """One endpoint. The `until` fields are step numbers; `fork` is a side branch it follows;
    `lies_left` is how many answers it still lies in, where that is bounded."""

    name: str
    view: EndpointView
    liar: Liar
    lie_until: int = -1
    lies_left: int | None = None
    down_until: int = -1
    lag_blocks: int = 0
    lag_until: int = -1
    fork: Block | None = None
    fork_until: int = -1

    @property
    def mempool(self) -> Mempool:
        """Its mempool."""
        return self.view.mempool


class Endpoints:
    """All endpoints of a run. At most one at a time contradicts the chain, which is what two-of-n
    agreement is there for; any number may be late, silent or forgetful."""

    def __init__(
        self, chain: SimChain, rng: Random, faults: Faults, *, count: int, finality_blocks: int
    ) -> None:
        self.chain = chain
        self.rng = rng
        self.faults = faults
        self.finality_blocks = finality_blocks
        self.all = [self._endpoint(f"endpoint-{place}") for place in range(count)]
        self.liar: Endpoint | None = None
        self._gas_max_until = -1

    def _endpoint(self, name: str) -> Endpoint:
        view = EndpointView(
            self.chain,
            Mempool(self.chain.chain_id, self._rules()),
            safe_blocks=self.finality_blocks,
            finalized_blocks=self.finality_blocks + 1,
        )
        liar = Liar(
            lambda method, params: view.answer(RpcRequest(method, tuple(params))),
            later_blocks=self.finality_blocks + 2,
        )
        return Endpoint(name, view, liar)

    def _rules(self) -> MempoolRules:
        return MempoolRules(
            bump_per_mille=self.rng.choice((100, 100, 125)),
            account_max=self.rng.choice((4, 16, 64, 64)),
            takes_gaps=self.rng.random() < 0.8,
            takes_below_base_fee=self.rng.random() < 0.7,
        )

    def may_lie(self, endpoint: Endpoint) -> bool:
        """Whether this endpoint may contradict the others now."""
        return len(self.all) > 1 and self.liar in (None, endpoint)

    def answer(self, endpoint: Endpoint, request: RpcRequest) -> RpcResult:
        """What the endpoint says: what it sees, or a lie."""
        honest = endpoint.view.answer(request)
        told = endpoint.liar.answer(request.method, request.params, honest)
        if told == honest and self.may_lie(endpoint):
            told = self._begin_to_lie(endpoint, request, honest)
        if told == honest:
            return honest
        for lie in endpoint.liar.last_told:
            self.faults.count(f"lie_{lie}")
        if endpoint.lies_left is not None:
            endpoint.lies_left -= 1
            if endpoint.lies_left <= 0:
                endpoint.liar.tell()
        return told

    def _begin_to_lie(
        self, endpoint: Endpoint, request: RpcRequest, honest: RpcResult
    ) -> RpcResult:
        """A kind of lie that this question gives occasion for, for this step or for several, in
        each answer or in few. Where it changes nothing here, nothing was begun."""
        names = LIES_ABOUT.get(occasion_of(request, honest), ())
        # Who lies already lies the more.
        draws = LIAR_DRAWS if self.liar is endpoint else 1
        name = next((drawn for _ in range(draws) if (drawn := self.faults.pick(names))), None)
        if name is None:
            return honest
        kind = Lie(name.removeprefix("lie_"))
        liar, before = endpoint.liar, endpoint.liar.lies
        # One story at a time: the new one takes the old one's place.
        liar.tell(kind, *(before - STORIES if kind in STORIES else before))
        told = liar.answer(request.method, request.params, honest)
        if told == honest:
            liar.tell(*before)
            return honest
        until = self.faults.step + self.rng.choice(LIE_STEPS)
        endpoint.lie_until = max(endpoint.lie_until, until)
        endpoint.lies_left = self.rng.choice(LIE_ANSWERS)
        self.liar = endpoint
        return told

    def step(self, number: int) -> None:
        """Bad days begin and end; then everybody follows the chain as far as they do."""
        if number > self._gas_max_until:
            self._take_gas_to(None)
            if self.faults.hits("send_never_mineable"):
                self._take_gas_to(self.rng.choice((50_000, 300_000, 600_000, 1_200_000)))
                self._gas_max_until = number + self.rng.randint(2, 8)
        for endpoint in self.all:
            self._begin(endpoint, number)
            self._follow(endpoint, number)
        self._gossip()

    def calm(self) -> None:
        """Everybody well, everybody at the head."""
        for endpoint in self.all:
            endpoint.down_until = endpoint.lag_until = endpoint.fork_until = -1
            endpoint.lie_until = -1
            endpoint.fork = None
            endpoint.liar.tell()
            endpoint.view.follow(self.chain.head)
        self.liar = None
        self._gas_max_until = -1
        self._take_gas_to(None)

    def _take_gas_to(self, gas_max: int | None) -> None:
        """Every endpoint calls more gas than this too much to be mined ever; a no-op's never is."""
        for endpoint in self.all:
            endpoint.mempool.gas_max = gas_max

    def _begin(self, endpoint: Endpoint, number: int) -> None:
        if self.faults.hits("endpoint_down"):
            endpoint.down_until = number + self.rng.randint(1, 5)
        if self.faults.hits("endpoint_lags"):
            endpoint.lag_blocks = self.rng.randint(1, 6)
            endpoint.lag_until = number + self.rng.randint(1, 6)
        can_fork = endpoint.fork is None and self.may_lie(endpoint) and self._has_room_for_fork()
        if can_fork and self.faults.hits("endpoint_on_fork"):
            endpoint.fork = self._side_branch()
            endpoint.fork_until = number + self.rng.randint(1, 4)
            self.liar = endpoint
        waiting = list(endpoint.mempool.waiting)
        if waiting and self.faults.hits("mempool_drop"):
            del endpoint.mempool.waiting[self.rng.choice(waiting)]
        if waiting and self.faults.hits("mempool_wiped"):
            endpoint.mempool.waiting.clear()

    def _follow(self, endpoint: Endpoint, number: int) -> None:
        if number > endpoint.lie_until:
            endpoint.liar.tell()
        if endpoint.fork is not None and number > endpoint.fork_until:
            endpoint.fork = None
        if self.liar is endpoint and endpoint.fork is None and number > endpoint.lie_until:
            self.liar = None
        head = self.chain.head
        if endpoint.fork is not None:
            endpoint.view.follow(endpoint.fork)
        elif number <= endpoint.lag_until:
            target = head.line[max(0, head.number - endpoint.lag_blocks)]
            # A lagging endpoint does not go backwards, unless its block has been reorganised away.
            if not target.has_ancestor(endpoint.view.tip) and head.has_ancestor(endpoint.view.tip):
                target = endpoint.view.tip
            endpoint.view.follow(target)
        else:
            endpoint.view.follow(head)

    def _has_room_for_fork(self) -> bool:
        return self.chain.head.number > self.lowest_base() + 1

    def lowest_base(self) -> int:
        """The highest block that anybody may have called final: no fork starts below it."""
        return max(0, self.chain.highest_number - self.finality_blocks)

    def _side_branch(self) -> Block:
        """A branch no longer than finality, holding some of what waits and some of what was."""
        head = self.chain.head
        base = head.line[self.rng.randint(self.lowest_base(), head.number - 1)]
        known = [item.transaction for b in head.line[base.number + 1 :] for item in b.executed]
        known += [t for endpoint in self.all for t in endpoint.mempool.waiting.values()]
        tip = base
        room = base.number + self.finality_blocks - head.number
        length = head.number - base.number + self.rng.randint(-1, min(1, room))
        for _ in range(max(1, length)):
            chosen = [t for t in known if self.rng.random() < 0.6]
            chosen.sort(key=lambda t: t.nonce)
            wish = BlockWish(tip.timestamp + 12, other_gas=self.rng.randrange(self.chain.gas_limit))
            tip = self.chain.build(tip, chosen, wish)
        return tip

    def _gossip(self) -> None:
        """Transactions spread from mempool to mempool, as far as each one's rules let them."""
        for source in self.all:
            for transaction in list(source.mempool.waiting.values()):
                for target in self.all:
                    if target is not source and self.rng.random() < 0.4:
                        self.offer(target, transaction)

    def offer(self, target: Endpoint, transaction: Transaction) -> None:
        """Hand a transaction to a mempool that may or may not want it."""
        try:
            target.mempool.send(transaction, target.view.tip)
        except SendRefused:
            return

    def waiting(self) -> dict[tuple[bytes, int], list[Transaction]]:
        """What any mempool holds, by sender and nonce; several where a replacement spreads."""
        found: dict[tuple[bytes, int], dict[str, Transaction]] = {}
        for endpoint in self.all:
            for key, transaction in endpoint.mempool.waiting.items():
                found.setdefault(key, {})[transaction.hash_hex] = transaction
        return {key: list(found[key].values()) for key in sorted(found)}


def occasion_of(request: RpcRequest, honest: RpcResult) -> str:
    """What a question is about, as `LIES_ABOUT` names it."""
    match request.method:
        case "eth_getTransactionReceipt":
            return "a receipt" if isinstance(honest, RpcOk) and honest.value else "no receipt"
        case "eth_call":
            return str(request.params[0]["data"][2:10])
        case "eth_getBlockByNumber":
            return "a height" if request.params[0].startswith("0x") else "a tag"
    return request.method


def invented_block(rng: Random, number: int) -> dict[str, Any]:
    """A header nobody has ever built."""
    salt = hashlib.sha256(f"{number} {rng.random()}".encode()).hexdigest()
    return {
        "number": hex(number),
        "hash": "0x" + salt,
        "parentHash": "0x" + salt[::-1],
        "timestamp": hex(1_900_000_000),
        "baseFeePerGas": hex(10**9),
        "gasLimit": hex(30_000_000),
        "gasUsed": "0x0",
        "transactions": [],
    }
