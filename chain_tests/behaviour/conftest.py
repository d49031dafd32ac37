"""One suite on three chains: the simulated one, py-evm and anvil. What the simulator relies on is
asserted here on all of them, so that the simulated chain cannot drift from the real ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.settler import decode_settler_events, encode_settle
from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.demo.stage import Stage, set_stage
from settlement_node.domain.observations import Receipt, SettleItem, SettlerEvent
from settlement_node.methods.deploy import Deployer
from settlement_node.units import Address, Hex32, Payout, Shares, Wei, redemption_id_of
from tests.simulation.chain.program import SimulatedChain
from tests_support.anvil import AnvilProcess
from tests_support.embedded import EmbeddedChain

Chain = SimulatedChain | EmbeddedChain | AnvilProcess
PAYEE = Address("0x1111111111111111111111111111111111111111")
OTHER_PAYEE = Address("0x2222222222222222222222222222222222222222")
SHARE = Shares(10**18)
DOLLAR = 10**6
GWEI = 10**9
DAILY_LIMIT = Payout(1_000 * DOLLAR)
TREASURY = Payout(10_000 * DOLLAR)
BATCH_GAS = 3_000_000


@dataclass(slots=True)
class Rig:
    """A fund on a chain, with the few verbs the suite is written in."""

    name: str
    chain: Chain
    stage: Stage
    client: ChainClient
    holder: KeySigner

    @property
    def settler(self) -> Address:
        return self.stage.fund.settler_address

    @property
    def operator(self) -> KeySigner:
        return self.stage.operator

    @property
    def deployer(self) -> Deployer:
        return self.stage.deployer

    def item(
        self, index: int, *, shares: int = SHARE, payout: int = 100 * DOLLAR, payee: Address = PAYEE
    ) -> SettleItem:
        return SettleItem(
            redemption_id_hex=redemption_id_of(
                chain_id=self.chain.chain_id,
                share_token_address=self.stage.fund.share_token_address,
                external_id=f"order {index}",
            ),
            redemption_index=index,
            investor_address=self.holder.address,
            payee_address=payee,
            shares_base_units=Shares(shares),
            payout_base_units=Payout(payout),
        )

    def mine(self, blocks: int = 1) -> None:
        """Mine and look."""
        self.chain.mine(blocks)
        self.client.refresh()

    def skip_hours(self, hours: int) -> None:
        """The next block comes so much later."""
        self.chain.skip_time(hours * 3600)
        self.mine()

    def reorganise(self, depth: int) -> None:
        """Other, empty blocks in the last ones' place; their transactions are gone everywhere."""
        if isinstance(self.chain, AnvilProcess):
            self.chain.reorganise(depth)
        else:
            self.chain.rollback(depth, keep_transactions=False)
            self.chain.mine(depth)
        self.client.refresh()

    def sign(
        self,
        data: bytes,
        *,
        nonce: int | None = None,
        gas_limit: int = BATCH_GAS,
        cap_wei: int = 3 * GWEI,
        tip_wei: int = GWEI,
        to_address: Address | None = None,
    ) -> SignedTransaction:
        """The operator's signature on a call of the settler."""
        return self.operator.sign(
            TransactionFields(
                chain_id=self.chain.chain_id,
                nonce=self.next_nonce() if nonce is None else nonce,
                to_address=to_address or self.settler,
                data=data,
                value_wei=Wei(0),
                gas_limit=gas_limit,
                max_fee_per_gas_wei=Wei(cap_wei),
                max_priority_fee_per_gas_wei=Wei(tip_wei),
            )
        )

    def next_nonce(self) -> int:
        return self.client.nonce(self.operator.address)

    def settle_data(self, items: list[SettleItem], previous: Hex32 | None = None) -> bytes:
        return encode_settle(previous or self.client.batch_hash(self.settler), items)

    def settle(self, items: list[SettleItem], *, gas_limit: int = BATCH_GAS) -> Receipt:
        """Settle on the present batch hash and wait for the receipt, whatever it says."""
        signed = self.sign(self.settle_data(items), gas_limit=gas_limit)
        self.client.send_raw(signed.raw)
        self.mine()
        receipt = self.client.receipts([signed.hash_hex])[signed.hash_hex]
        assert receipt is not None
        return receipt

    def events(self, receipt: Receipt) -> list[SettlerEvent]:
        return list(
            decode_settler_events([log for log in receipt.logs if log.address == self.settler])
        )

    def paid(self, payee: Address = PAYEE) -> int:
        view = self.client.token_view(self.stage.fund.payout_token_address, holders=[payee])
        return view.balances_base_units[payee]

    def shares(self) -> int:
        token = self.stage.fund.share_token_address
        view = self.client.token_view(token, holders=[self.holder.address])
        return view.balances_base_units[self.holder.address]


@pytest.fixture(params=["sim", "pyevm", "anvil"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Each chain in turn, with a fresh fund on it."""
    if request.param == "anvil":
        with AnvilProcess() as anvil:
            yield make_rig("anvil", anvil)
        return
    yield make_rig(request.param, SimulatedChain() if request.param == "sim" else EmbeddedChain())


def make_rig(name: str, chain: Chain) -> Rig:
    stage = set_stage(
        chain, treasury_base_units=TREASURY, daily_payout_limit_base_units=DAILY_LIMIT
    )
    holder = KeySigner(chain.funded_keys[5])
    stage.give_shares({holder.address: Shares(100 * SHARE)})
    client = ChainClient(chain.chain_id, [chain.transport("suite")], now=time.monotonic)
    client.refresh()
    return Rig(name, chain, stage, client, holder)
