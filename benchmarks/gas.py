"""`gas`: what one redemption costs, in batches and plainly, against the floor of the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.accounts import give, holders, send_and_mine, transferring
from benchmarks.figures import Figure
from benchmarks.floor import Shape, of_the_settler, per_redemption
from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.chain.signers.local import KeySigner
from settlement_node.demo.stage import Stage, set_stage
from settlement_node.domain.observations import SettleItem
from settlement_node.methods.deploy import granting_role
from settlement_node.units import Address, Payout, Shares, redemption_id_of
from tests_support.anvil import AnvilProcess

BATCHES = (1, 10, 100, 500)
BLOCK_GAS = 60_000_000
TRANSACTION_GAS_MAX = 2**24
SHARES = Shares(12_345_678_901_234_567_891)
PAYOUT = Payout(1_234_567_891)
"""With all their digits, as real amounts have them."""
TARGET_AT_100 = 1.15


@dataclass(frozen=True, slots=True)
class Case:
    """Whose slots become zero or are new."""

    words: str
    shares_left: bool
    payee_holds: bool


CASES = (
    Case("all shares", shares_left=False, payee_holds=True),
    Case("part of the shares", shares_left=True, payee_holds=True),
    Case("all shares, first-time payee", shares_left=False, payee_holds=False),
    Case("part of the shares, first-time payee", shares_left=True, payee_holds=False),
)


class Batches:
    """A settler in use, to which batches of any shape are sent one after another."""

    def __init__(self, chain: AnvilProcess, stage: Stage) -> None:
        self.chain = chain
        self.stage = stage
        self.operator = KeySigner(chain.funded_keys[1])
        self.next_index = 0

    def settle(self, count: int, case: Case) -> tuple[float, Shape]:
        """The gas of each redemption of a batch of so many, and the batch's shape."""
        items = self._items(count, case)
        previous = self.stage.client.batch_hash(self.stage.fund.settler_address)
        data = encode_settle(previous, items)
        gas = send_and_mine(
            self.chain,
            self.operator,
            self.stage.fund.settler_address,
            data,
            gas=TRANSACTION_GAS_MAX,
        )
        self.stage.client.refresh()
        shape = Shape(
            batch=count,
            item_bytes=data[-192:],
            shares_left=case.shares_left,
            payee_holds=case.payee_holds,
        )
        return gas / count, shape

    def _items(self, count: int, case: Case) -> list[SettleItem]:
        fund = self.stage.fund
        first = self.next_index
        self.next_index += count
        accounts = holders(count, f"holder from {first}")
        left = SHARES if case.shares_left else 0
        give(self.chain, fund.share_token_address, dict.fromkeys(accounts, SHARES + left))
        if case.payee_holds:
            give(self.chain, fund.payout_token_address, dict.fromkeys(accounts, 10**6))
        self.stage.client.refresh()
        return [self._item(first + place, holder) for place, holder in enumerate(accounts)]

    def _item(self, index: int, holder: Address) -> SettleItem:
        fund = self.stage.fund
        return SettleItem(
            redemption_id_hex=redemption_id_of(
                chain_id=fund.chain_id,
                share_token_address=fund.share_token_address,
                external_id=f"GAS-{index}",
            ),
            redemption_index=index,
            investor_address=holder,
            payee_address=holder,
            shares_base_units=SHARES,
            payout_base_units=PAYOUT,
        )

    def gas_of_tokens(self) -> int:
        """What of the last transaction's gas its calls of the two tokens used."""
        fund = self.stage.fund
        tokens = {fund.share_token_address.lower(), fund.payout_token_address.lower()}
        (mined,) = self.chain.rpc("eth_getBlockByNumber", "latest", False)["transactions"]
        trace = self.chain.rpc("debug_traceTransaction", mined, {"tracer": "callTracer"})
        return _gas_of_calls(trace, tokens)


def _gas_of_calls(call: Any, called: set[str]) -> int:
    """The gas of all calls of these accounts in a trace; they call nobody themselves."""
    if call["to"].lower() in called:
        return int(call["gasUsed"], 16)
    return sum(_gas_of_calls(inner, called) for inner in call.get("calls", ()))


def plain_gas(batches: Batches) -> int:
    """A burn by the token's administrator and a transfer by the treasury, a transaction each."""
    chain, stage = batches.chain, batches.stage
    (holder,) = holders(1, "plain holder")
    give(chain, stage.fund.share_token_address, {holder: 2 * SHARES})
    give(chain, stage.fund.payout_token_address, {holder: 1})
    administrator, treasury = (KeySigner(chain.funded_keys[place]) for place in (0, 2))
    share = stage.fund.share_token_address
    stage.deployer.send_all([granting_role(share, "BURNER_ROLE", administrator.address)])
    burn = load_artifact("FundToken").encode_call("burn", [holder, SHARES])
    return send_and_mine(
        chain, administrator, stage.fund.share_token_address, burn, gas=500_000
    ) + send_and_mine(
        chain,
        treasury,
        stage.fund.payout_token_address,
        transferring(holder, PAYOUT),
        gas=500_000,
    )


def measure(scale: float) -> list[Figure]:
    """Every case in every size; batches larger than a hundred only where they fit a transaction
    (EIP-7825), and none larger than the scale asks for."""
    largest = max(10, round(500 * scale))
    with AnvilProcess(block_gas_limit=BLOCK_GAS) as chain:
        batches = Batches(chain, set_stage(chain, treasury_base_units=Payout(10**15)))
        batches.settle(1, CASES[0])  # a settler in use: its own slots are not new
        figures = [_plain_against(batches)]
        for case in CASES:
            figures += _of(batches, case, [size for size in BATCHES if size <= largest])
    return figures


def _plain_against(batches: Batches) -> Figure:
    return Figure("plain burn and transfer, two transactions", plain_gas(batches), "gas")


def _of(batches: Batches, case: Case, sizes: Sequence[int]) -> list[Figure]:
    figures = []
    for size in sizes:
        if size > 100 and not case.payee_holds:
            continue
        gas, shape = batches.settle(size, case)
        figures.append(Figure(f"{case.words}, batch of {size}", gas, "gas"))
        if size == 100:
            ratio = gas / per_redemption(shape)
            words = f"{case.words}, batch of 100"
            figures.append(Figure(f"{words}, against the floor", ratio, "×", TARGET_AT_100))
            if case.shares_left:  # no refund, of which nobody could say whose it is
                own = gas - batches.gas_of_tokens() / size
                against = own / of_the_settler(shape)
                figures.append(Figure(f"{words}, the settler's own part", against, "×"))
    return figures
