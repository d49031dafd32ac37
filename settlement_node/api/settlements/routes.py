"""`/v1/settlements`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import ID_MAX, FundIdIn
from settlement_node.api.pages import PAGE_DEFAULT, CursorIn, Limit, read_cursor, write_cursor
from settlement_node.api.security import Reader, require_writer
from settlement_node.api.settlements.schemas import (
    EstimateIn,
    EstimateOut,
    ItemOut,
    SettlementDetailOut,
    SettlementOut,
    SettlementPage,
    settlement_fields,
)
from settlement_node.api.transactions.schemas import TransactionOut
from settlement_node.errors import NotFound
from settlement_node.reads.estimate import estimate
from settlement_node.store.book import redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.tables import SettlementStatus
from settlement_node.store.telling.overview import transactions_by_id

router = APIRouter(prefix="/v1/settlements", tags=["settlements"], route_class=PlainJsonRoute)
LISTING = "settlements"


@router.get(
    "", dependencies=[Reader], responses=problems(401, 404, 422, 503), summary="List settlements"
)
def list_settlements(
    context: Context,
    fund_id: Annotated[FundIdIn | None, Query()] = None,
    status: Annotated[SettlementStatus | None, Query()] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: CursorIn = None,
) -> SettlementPage:
    """Newest first, a page at a time."""
    filters = (fund_id, status)
    position = read_cursor(LISTING, filters, cursor, [int])
    with context.store.read() as tx:
        rows = settlements.page(
            tx,
            fund_id=fund_id,
            status=status,
            before_id=None if position is None else position[0],
            limit=limit + 1,
        )
        shown = rows[:limit]
        carried = transactions_by_id(tx, [row.transaction_id for row in shown])
    more = len(rows) > limit
    return SettlementPage(
        items=[SettlementOut.of(row, carried[row.transaction_id]) for row in shown],
        next_cursor=write_cursor(LISTING, filters, [shown[-1].settlement_id]) if more else None,
    )


@router.post(
    "/estimate",
    dependencies=[Depends(require_writer)],
    responses=problems(400, 401, 404, 409, 413, 415, 422, 503),
    summary="Estimate a settlement",
)
def estimate_settlement(context: Context, body: EstimateIn) -> EstimateOut:
    """Price the redemptions, run them through the settler's preview at the present head, and add
    gas and fees. Nothing is changed; the chain is asked."""
    with context.chain_turn:
        return EstimateOut.of(
            estimate(
                context.node.store, context.node.chains, context.node.policy, body.redemption_ids
            )
        )


@router.get(
    "/{settlement_id}",
    dependencies=[Reader],
    responses=problems(401, 404, 422, 503),
    summary="One settlement",
)
def get_settlement(
    context: Context, settlement_id: Annotated[int, Path(ge=1, le=ID_MAX)]
) -> SettlementDetailOut:
    """A batch with its items in the order of the chain, and its transaction."""
    with context.store.read() as tx:
        row = settlements.get(tx, settlement_id)
        if row is None:
            raise NotFound(f"there is no settlement {settlement_id}", field="settlement_id")
        items = settlements.items_of(tx, settlement_id)
        orders = redemptions.get_many(tx, [item.redemption_id for item in items])
        transaction = transactions_by_id(tx, [row.transaction_id])[row.transaction_id]
        attempts = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]
        head = chain_book.latest_head(
            tx, lane_key(transaction.chain_id, transaction.signer_address)
        )
    return SettlementDetailOut(
        **settlement_fields(row, transaction),
        items=[ItemOut.of(item, orders[item.redemption_id].external_id) for item in items],
        transaction=TransactionOut.of(
            transaction,
            attempts,
            head_number=None if head is None else head[0],
            finality=context.finality(transaction.chain_id),
        ),
    )
