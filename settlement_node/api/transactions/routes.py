"""`/v1/transactions`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import HashIn
from settlement_node.api.security import Reader
from settlement_node.api.transactions.schemas import TransactionDetailOut, TransactionOut
from settlement_node.errors import NotFound
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import lane_key

router = APIRouter(prefix="/v1/transactions", tags=["transactions"], dependencies=[Reader])


@router.get("/{hash}", responses=problems(401, 404, 422, 503), summary="One transaction")
def get_transaction(
    context: Context,
    attempt_hash: Annotated[
        HashIn, Path(alias="hash", description="The hash of any of its attempts.")
    ],
) -> TransactionDetailOut:
    """The transaction one of whose attempts has this hash, with all of its attempts."""
    with context.store.read() as tx:
        row = transactions.by_attempt_hash(tx, attempt_hash)
        if row is None:
            raise NotFound(f"no transaction of this node has the hash {attempt_hash}", field="hash")
        attempts = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]
        settlement = settlements.of_transaction(tx, row.transaction_id)
        head = chain_book.latest_head(tx, lane_key(row.chain_id, row.signer_address))
    base = TransactionOut.of(
        row,
        attempts,
        head_number=None if head is None else head[0],
        finality=context.finality(row.chain_id),
    )
    return TransactionDetailOut(
        **dict(base), settlement_id=None if settlement is None else settlement.settlement_id
    )
