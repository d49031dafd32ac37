"""Looking transactions up by hash, so that a silence is never taken for an absence."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.endpoint import ReceiptsReport
from settlement_node.chain.endpoint_set import EndpointSet
from settlement_node.chain.heads import HeadTracker
from settlement_node.domain.observations import Block, Receipt
from settlement_node.errors import Transient
from settlement_node.units import Address, Hex32


def find_receipts(
    endpoints: EndpointSet, heads: HeadTracker, hashes: Sequence[Hex32]
) -> dict[Hex32, Receipt | None]:
    """Receipts as of the agreed head; see `ChainClient.receipts` for what `None` means."""
    head = heads.view.head
    wanted = list(dict.fromkeys(hashes))
    if not wanted:
        return {}
    found: dict[Hex32, Receipt] = {}
    nulls: dict[Hex32, int] = {}
    failures: dict[Hex32, str] = {}
    asking = list(wanted)
    for endpoint, report in endpoints.answers(
        lambda item: item.receipts(asking, head_number=head.number)
    ):
        failures |= report.failures
        if report.failures:
            why = f"receipt lookup failed: {next(iter(report.failures.values()))}"
            endpoints.record(endpoint).failed(why, now_seconds=endpoints.now())
        _take(report, heads=heads, head=head, found=found, nulls=nulls)
        # A second null is asked for where two endpoints are to agree: one of them may still be
        # indexing, and the other's receipt would then win.
        asking[:] = [
            item
            for item in wanted
            if item not in found and nulls.get(item, 0) < endpoints.agreement
        ]
        if not asking:
            break
    unknown = [item for item in wanted if item not in found and item not in nulls]
    if unknown:
        why = failures.get(unknown[0], "no endpoint that has the agreed head could say")
        raise Transient(
            f"{len(unknown)} of {len(wanted)} receipts are unknown, the first is {unknown[0]}:"
            f" {why}",
            transaction_hashes=tuple(unknown),
        )
    return {item: found.get(item) for item in wanted}


def _take(
    report: ReceiptsReport,
    *,
    heads: HeadTracker,
    head: Block,
    found: dict[Hex32, Receipt],
    nulls: dict[Hex32, int],
) -> None:
    """Sort one endpoint's answers into what is found on the agreed chain and what is not there."""
    has_head = (
        report.block_at_head is not None and report.block_at_head.block_hash == head.block_hash
    )
    canonical = heads.canonical(
        receipt.block_number for receipt in report.receipts.values() if receipt is not None
    )
    for transaction_hash, receipt in report.receipts.items():
        if receipt is not None and receipt.block_number <= head.number:
            # In a block that is not the agreed one it says nothing: a fork, or a reorganisation
            # that this endpoint has not finished.
            if canonical[receipt.block_number].block_hash == receipt.block_hash:
                found[transaction_hash] = receipt
        elif has_head:
            # Null, or mined above the agreed head: on the agreed chain it is not there yet.
            nulls[transaction_hash] = nulls.get(transaction_hash, 0) + 1


def find_transactions(endpoints: EndpointSet, hashes: Sequence[Hex32]) -> dict[Hex32, bool]:
    """Whether any endpoint has each transaction, mined or waiting.

    `False` when at least one answered that it has not and none answered that it has. Raises
    Transient when nobody could say for one of them.
    """
    wanted = list(dict.fromkeys(hashes))
    if not wanted:
        return {}
    seen: dict[Hex32, bool] = {}
    asking = list(wanted)
    for _endpoint, answer in endpoints.answers(lambda item: item.transactions_seen(asking)):
        for transaction_hash, is_seen in answer.items():
            seen[transaction_hash] = seen.get(transaction_hash, False) or is_seen
        asking[:] = [item for item in wanted if not seen.get(item, False)]
        if not asking:
            break
    unknown = [item for item in wanted if item not in seen]
    if unknown:
        raise Transient(
            f"no endpoint could say whether it has transaction {unknown[0]}",
            transaction_hashes=tuple(unknown),
        )
    return {item: seen[item] for item in wanted}


def find_place(endpoints: EndpointSet, transaction_hash: Hex32) -> tuple[Address, int] | None:
    """Sender and nonce of a transaction from the first endpoint that has it."""
    for _endpoint, place in endpoints.answers(
        lambda item: item.transaction_place(transaction_hash)
    ):
        if place is not None:
            return place
    return None
