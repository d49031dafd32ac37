"""The audit: what the chain's own logs say, held against the book. No counters are trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from settlement_node.chain.client import ChainClient
from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.domain.observations import (
    BatchSettledEvent,
    BurnStyle,
    Receipt,
    RedemptionSettledEvent,
)
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.database import Store
from settlement_node.store.rows import RedemptionRow
from settlement_node.units import ZERO_ADDRESS, Address, Hex32

PAGE = 200
Moves = Counter[tuple[Hex32, Address, int]]
"""(transaction, account, base units) → how often."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Figures from logs and receipts, and what in them contradicts the book.

    `double_paid` counts redemptions settled more than once plus transfers out of the treasury, in
    the settlers' transactions, that no settled event accounts for.
    """

    settled_on_chain: int
    double_paid: int
    transactions: int
    gas_used: int
    contradictions: tuple[str, ...]

    @property
    def gas_per_redemption(self) -> int:
        """Gas of all settling transactions over settled redemptions; 0 before the first."""
        return self.gas_used // self.settled_on_chain if self.settled_on_chain else 0


def audit(store: Store, client: ChainClient, fund_id: str) -> Audit:
    """Read every settler event and every treasury and burn transfer, and compare with the book."""
    head = client.refresh().head.number
    with store.read() as tx:
        fund = get_fund(tx, fund_id)
        settlers = settlers_of(tx, fund_id)
        rows = []
        after = None
        while True:
            page = redemptions.page(
                tx, redemptions.RedemptionFilter(fund_id=fund_id), limit=PAGE, after=after
            )
            rows += page
            if len(page) < PAGE:
                break
            after = (page[-1].requested_at_utc, page[-1].redemption_id)
    first = min(s["from_block"] for s in settlers)
    addresses = [Address(s["settler_address"]) for s in settlers]
    events = client.settler_events(addresses, from_block=first, to_block=head)
    settled = [e for e in events if isinstance(e, RedemptionSettledEvent)]
    batches = {e.place.transaction_hash for e in events if isinstance(e, BatchSettledEvent)}
    times = Counter(e.redemption_id_hex for e in settled)
    paid: Moves = Counter(
        (t.transaction_hash, t.to_address, t.value_base_units)
        for t in client.transfers(
            fund.payout_token_address,
            from_address=fund.treasury_address,
            from_block=first,
            to_block=head,
        )
        if t.transaction_hash in batches
    )
    burned: Moves = Counter(
        (t.transaction_hash, t.from_address, t.value_base_units)
        for t in client.transfers(
            fund.share_token_address, to_address=ZERO_ADDRESS, from_block=first, to_block=head
        )
        if t.transaction_hash in batches
    )
    told_paid: Moves = Counter(
        (e.place.transaction_hash, e.payee_address, e.payout_base_units) for e in settled
    )
    escrow = fund.burn_style is BurnStyle.ESCROW
    told_burned: Moves = Counter(
        (
            e.place.transaction_hash,
            # From escrow the settler burns what it has taken from the investor.
            e.place.settler_address if escrow else e.investor_address,
            e.shares_base_units,
        )
        for e in settled
    )
    wrong = [f"{i} is settled {n} times" for i, n in times.items() if n > 1]
    wrong += [
        f"payout without event or event without payout: {k}"
        for k in (paid - told_paid) + (told_paid - paid)
    ]
    wrong += [
        f"burn without event or event without burn: {k}"
        for k in (burned - told_burned) + (told_burned - burned)
    ]
    wrong += _against_book(rows, {e.redemption_id_hex: e for e in settled})
    receipts = client.receipts(sorted(batches))
    return Audit(
        settled_on_chain=len(times),
        double_paid=sum(n - 1 for n in times.values()) + sum((paid - told_paid).values()),
        transactions=len(batches),
        gas_used=sum(r.gas_used for r in receipts.values() if isinstance(r, Receipt)),
        contradictions=tuple(wrong),
    )


def _against_book(
    rows: list[RedemptionRow], events: dict[Hex32, RedemptionSettledEvent]
) -> list[str]:
    wrong = []
    known = set()
    for row in rows:
        known.add(row.redemption_id)
        event = events.get(row.redemption_id)
        if (row.status is RedemptionStatus.SETTLED) != (event is not None):
            wrong.append(
                f"{row.external_id} is {row.status.value} in the book, and on the chain"
                f" {'settled' if event else 'not settled'}"
            )
        elif event is not None and (event.payout_base_units, event.shares_base_units) != (
            row.payout_base_units,
            row.shares_base_units,
        ):
            wrong.append(f"{row.external_id} has other amounts on the chain than in the book")
        if row.status not in REDEMPTION_ENDED | {RedemptionStatus.HELD}:
            wrong.append(f"{row.external_id} is still {row.status.value}")
    wrong += [f"{i} is settled on the chain and unknown to the book" for i in set(events) - known]
    return wrong
