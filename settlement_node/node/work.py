"""The open work of a lane: read from the book at once, and handed to every stage of a pass.

Other processes write meanwhile: people pause the lane, ask for a cancel, have events read again.
So this view says what there is to do, and what is done is decided on what is so then: `send` and
`keep` read it anew before anything is signed or leaves, so that a lane that was stopped meanwhile
sends nothing; a page of events moves a cursor only on from where it stands (`set_scanned`); found
payments are looked up again in the commit that books them; and the planning commit compares all it
stands on under locks. Statuses and attempts of transactions are written by the lane's holder alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import RowMapping

from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.domain.reconciliation import EXPLAINED_BY_BOOKING
from settlement_node.store.book import payments
from settlement_node.store.book.funds import list_funds
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import foreign
from settlement_node.store.chain_memory.foreign import ForeignBatch
from settlement_node.store.database import ReadTx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import AttemptRow, FundRow, LaneRow, TransactionRow
from settlement_node.store.telling.attention import open_breaks
from settlement_node.units import Address

FINISHED_PER_PASS_MAX = 200
"""A finalised epoch may bring hundreds at once; the rest comes in the next pass."""


@dataclass(frozen=True, slots=True)
class FundWork:
    """A fund of the lane, and its settlers with how far each is read. `has_found` says that final
    events show a waiting order as paid, `has_breaks` that a break is open which such may explain.
    """

    fund: FundRow
    settlers: tuple[RowMapping, ...]
    has_found: bool
    has_breaks: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What is open on a lane. `unmined` and `finishing`, those mined in a final block, are by
    nonce, `attempts` those of both by transaction. `foreign` are batches that nothing explains,
    `begun` the settlers, with their funds, of whose history an end was not noted yet."""

    row: LaneRow | None
    funds: Mapping[str, FundWork]
    unmined: tuple[TransactionRow, ...]
    finishing: tuple[TransactionRow, ...]
    attempts: Mapping[int, list[AttemptRow]]
    foreign: tuple[ForeignBatch, ...]
    begun: tuple[tuple[str, Address], ...]

    def in_status(self, *statuses: TransactionStatus) -> list[TransactionRow]:
        """The unmined transactions in one of these statuses, by nonce."""
        return [row for row in self.unmined if row.status in statuses]


def read_work(tx: ReadTx, chain_id: int, signer_address: Address, *, final_number: int) -> Work:
    """A lane's open work as the book has it now, for a highest final block."""
    unmined = transactions.unmined(tx, chain_id, signer_address)
    finishing = transactions.mined(
        tx, chain_id, signer_address, to_block=final_number, limit=FINISHED_PER_PASS_MAX
    )
    funds = {
        fund.fund_id: FundWork(
            fund=fund,
            settlers=tuple(settlers_of(tx, fund.fund_id)),
            has_found=bool(
                payments.waiting_but_settled(tx, fund, final_number=final_number, limit=1)
            ),
            has_breaks=bool(
                open_breaks(tx, fund_id=fund.fund_id, kinds=EXPLAINED_BY_BOOKING, limit=1)
            ),
        )
        for fund in list_funds(tx, chain_id=chain_id, lane_address=signer_address)
    }
    settlers = [Address(row["settler_address"]) for one in funds.values() for row in one.settlers]
    return Work(
        row=get_lane(tx, chain_id, signer_address),
        funds=funds,
        unmined=tuple(unmined),
        finishing=tuple(finishing),
        attempts=transactions.attempts_of(
            tx, [row.transaction_id for row in [*unmined, *finishing]]
        ),
        foreign=tuple(foreign.unexplained(tx, chain_id, settlers)),
        begun=tuple(foreign.settlers_with_unread_history(tx, list(funds))),
    )
