"""Every chain program behind the same few verbs, so that one assumption is tested on each; the
simulator's chain is one of them, so that it cannot drift from the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import Transport
from settlement_node.units import Address, Wei
from tests.simulation.chain.program import SimulatedChain
from tests_support.anvil import AnvilProcess
from tests_support.embedded import EmbeddedChain

PAYEE = Address("0x1111111111111111111111111111111111111111")
GWEI = 10**9


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The network stays blocked but for this machine, where anvil listens."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@dataclass(slots=True)
class Program:
    """A running chain, a client of it, and one funded sender."""

    name: str
    chain: EmbeddedChain | AnvilProcess | SimulatedChain
    client: ChainClient
    sender: KeySigner

    def transport(self, name: str = "extra") -> Transport:
        return self.chain.transport(name)

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones; their transactions are gone everywhere."""
        if isinstance(self.chain, AnvilProcess):
            self.chain.reorganise(depth)
        else:
            self.chain.reorganise(depth, keep_transactions=False)

    def rollback(self, depth: int) -> None:
        """Take the last blocks back; their transactions are gone everywhere."""
        if isinstance(self.chain, AnvilProcess):
            self.chain.rollback(depth)
        else:
            self.chain.rollback(depth, keep_transactions=False)

    def transfer(
        self,
        nonce: int,
        *,
        signer: KeySigner | None = None,
        chain_id: int | None = None,
        value_wei: int = 1,
        gas_limit: int = 21_000,
        fee_wei: int = 3 * GWEI,
        tip_wei: int = GWEI,
        data: bytes = b"",
    ) -> SignedTransaction:
        """A signed transfer, by default one that is mined in the next block."""
        return (signer or self.sender).sign(
            TransactionFields(
                chain_id=chain_id or self.chain.chain_id,
                nonce=nonce,
                to_address=PAYEE,
                data=data,
                value_wei=Wei(value_wei),
                gas_limit=gas_limit,
                max_fee_per_gas_wei=Wei(fee_wei),
                max_priority_fee_per_gas_wei=Wei(tip_wei),
            )
        )

    def mine(self, blocks: int = 1) -> None:
        """Mine and look."""
        self.chain.mine(blocks)
        self.client.refresh()


@pytest.fixture
def clock() -> Callable[[], float]:
    return time.monotonic


@pytest.fixture(params=["sim", "pyevm", "anvil"])
def program(request: pytest.FixtureRequest, clock: Callable[[], float]) -> Iterator[Program]:
    """Each chain program in turn, fresh."""
    if request.param == "sim":
        yield program_of("sim", SimulatedChain(), clock)
        return
    if request.param == "pyevm":
        yield program_of("pyevm", EmbeddedChain(), clock)
        return
    with AnvilProcess() as anvil:
        yield program_of("anvil", anvil, clock)


@pytest.fixture
def anvil_program(clock: Callable[[], float]) -> Iterator[Program]:
    """anvil alone, for what only it does."""
    with AnvilProcess() as anvil:
        yield program_of("anvil", anvil, clock)


def program_of(
    name: str, chain: EmbeddedChain | AnvilProcess | SimulatedChain, clock: Callable[[], float]
) -> Program:
    client = ChainClient(chain.chain_id, [chain.transport()], now=clock)
    return Program(name, chain, client, KeySigner(chain.funded_keys[0]))
