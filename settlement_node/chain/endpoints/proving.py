"""Fetching what a block holds from whoever can prove it against the block's agreed hash.

This is the tie-break where endpoints differ about receipts, logs, a nonce or coins: one honest
endpoint is then enough, and one that lies is known by name. A chain whose headers or transactions
have another form than Ethereum's proves nothing, and there only agreement decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.wire.proofs import (
    Account,
    NotProven,
    ProvenHeader,
    prove_account,
    prove_header,
    prove_receipts,
)
from settlement_node.domain.observations import Receipt
from settlement_node.errors import Transient
from settlement_node.units import Address, Hex32

KEPT_BLOCKS_MAX = 16


@dataclass(frozen=True, slots=True)
class ProvenBlock:
    """A proven header and, where they could be proven too, all receipts of the block."""

    header: ProvenHeader
    receipts: Mapping[Hex32, Receipt] | None


class BlockProver:
    """Keeps the last few blocks it proved: a lie that is repeated costs nothing more."""

    def __init__(self, endpoints: EndpointSet) -> None:
        """Asks these endpoints."""
        self._endpoints = endpoints
        self._kept: OrderedDict[Hex32, ProvenBlock] = OrderedDict()

    def prove(self, *, number: int, block_hash: Hex32) -> ProvenBlock | None:
        """The content of an agreed block, or `None` when no endpoint could show it."""
        kept = self._kept.get(block_hash)
        if kept is not None:
            return kept
        best: ProvenBlock | None = None
        try:
            for answer in self._endpoints.answers(lambda item: item.block_content(number)):
                shown, shown_receipts = answer.content
                try:
                    header = prove_header(shown, number=number, block_hash=block_hash)
                except NotProven:
                    continue
                best = best or ProvenBlock(header, None)
                try:
                    receipts = prove_receipts(header, shown, shown_receipts)
                except NotProven:
                    continue
                self._endpoints.stands(answer)
                return self._keep(ProvenBlock(header, receipts))
        except Transient:
            return best
        return best

    def account(self, *, number: int, block_hash: Hex32, address: Address) -> Account | None:
        """An account after an agreed block, or `None` when no endpoint could show it."""
        try:
            for answer in self._endpoints.answers(lambda i: i.account_content(address, number)):
                shown, account = answer.content
                try:
                    header = prove_header(shown, number=number, block_hash=block_hash)
                    return prove_account(header, account, address)
                except NotProven:
                    continue
        except Transient:
            return None
        return None

    def _keep(self, block: ProvenBlock) -> ProvenBlock:
        self._kept[block.header.block_hash] = block
        while len(self._kept) > KEPT_BLOCKS_MAX:
            self._kept.popitem(last=False)
        return block
