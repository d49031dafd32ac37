"""Which orders wait for something: what `domain/waiting.py` says of one, as a condition on all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from settlement_node.domain.lifecycle import IN_FLIGHT, RedemptionStatus, TransactionStatus
from settlement_node.domain.waiting import (
    TO_BE_PLANNED,
    TOLD_BY_THE_BOOK,
    Standing,
    WaitingFor,
    waiting_for,
)
from settlement_node.store import tables as t

r = t.redemptions
UNSENT = (TransactionStatus.PLANNED, TransactionStatus.SIGNED)


@dataclass(frozen=True, slots=True)
class Told:
    """What the book says now that is in no order's row: how each fund stands, by its id, and the
    database's time."""

    standings: Mapping[str, Standing]
    at_utc: datetime


def waits_for(wanted: WaitingFor, told: Told) -> sa.ColumnElement[bool]:
    """Whether an order's story says that it waits for this."""
    fixed = [
        status
        for status in RedemptionStatus
        if status not in TO_BE_PLANNED | IN_FLIGHT
        and any(waiting.waiting_for is wanted for waiting in waiting_for(status))
    ]
    return sa.or_(
        r.c.status.in_(fixed),
        sa.and_(r.c.status.in_(TO_BE_PLANNED), _keeps_back(wanted, told)),
        sa.and_(r.c.status.in_(IN_FLIGHT), _in_flight(wanted)),
    )


def _keeps_back(wanted: WaitingFor, told: Told) -> sa.ColumnElement[bool]:
    """Whether an order that could be planned has this in its way, or is to be planned next."""
    comes_later = sa.func.coalesce(r.c.settle_after_utc > told.at_utc, sa.false())
    if wanted is WaitingFor.SETTLEMENT_DATE:
        return comes_later
    found = {fund_id: standing.obstacles() for fund_id, standing in told.standings.items()}
    if wanted in TOLD_BY_THE_BOOK:
        return r.c.fund_id.in_([fund_id for fund_id, on in found.items() if wanted in on])
    if wanted is not WaitingFor.PLANNING:
        return r.c.waiting_on == wanted
    return sa.and_(
        r.c.fund_id.not_in([fund_id for fund_id, on in found.items() if on]),
        sa.not_(comes_later),
        sa.func.coalesce(r.c.waiting_on, WaitingFor.PLANNING).in_([wanted, *TOLD_BY_THE_BOOK]),
    )


def _in_flight(wanted: WaitingFor) -> sa.ColumnElement[bool]:
    """Whether bytes of the transaction that carries it have left, or not."""
    i, s, x = t.settlement_items, t.settlements, t.transactions
    sent = sa.exists(
        sa.select(i.c.settlement_id)
        .join(s, s.c.settlement_id == i.c.settlement_id)
        .join(x, x.c.transaction_id == s.c.transaction_id)
        .where(
            i.c.redemption_id == r.c.redemption_id, i.c.live.is_(True), x.c.status.not_in(UNSENT)
        )
    )
    match wanted:
        case WaitingFor.MINING:
            return sent
        case WaitingFor.BROADCAST:
            return sa.not_(sent)
    return sa.false()
