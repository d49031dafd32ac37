"""An account's nonce and coins at an agreed block: as enough endpoints say, or as its state root
proves where they differ."""

from __future__ import annotations

from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.endpoints.proving import BlockProver
from settlement_node.chain.wire.proofs import Account
from settlement_node.domain.observations import Block
from settlement_node.units import Address, Wei


class AccountReads:
    """Nonces and coins, read at a block's hash."""

    def __init__(self, endpoints: EndpointSet, prover: BlockProver) -> None:
        self._endpoints = endpoints
        self._prover = prover

    def nonce(self, address: Address, block: Block) -> int:
        """The next nonce after the block."""

        def proof() -> int | None:
            account = self._proven(address, block)
            return None if account is None else account.nonce

        return self._endpoints.agreed(
            lambda item: item.nonce(address, {"blockHash": block.block_hash}),
            about=f"the nonce of {address}",
            proof=proof,
        )

    def balance(self, address: Address, block: Block) -> Wei:
        """The coins after the block, in wei."""

        def proof() -> int | None:
            account = self._proven(address, block)
            return None if account is None else account.balance_wei

        balance = self._endpoints.agreed(
            lambda item: item.native_balance(address, {"blockHash": block.block_hash}),
            about=f"the coins of {address}",
            proof=proof,
        )
        return Wei(balance)

    def _proven(self, address: Address, block: Block) -> Account | None:
        return self._prover.account(
            number=block.number, block_hash=block.block_hash, address=address
        )
