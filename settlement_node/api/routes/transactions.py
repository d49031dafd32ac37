"""`/v1/transactions`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from settlement_node.api.context import Context
from settlement_node.api.documents import ASKED
from settlement_node.api.fields import HashIn
from settlement_node.api.security import Reader
from settlement_node.reads.transactions import TransactionDetailOut, read_transaction

router = APIRouter(prefix="/v1/transactions", tags=["transactions"], dependencies=[Reader])


@router.get("/{hash}", responses=ASKED, summary="One transaction")
def get_transaction(
    context: Context,
    attempt_hash: Annotated[
        HashIn, Path(alias="hash", description="The hash of any of its attempts.")
    ],
) -> TransactionDetailOut:
    """The transaction one of whose attempts has this hash, with all of its attempts."""
    return read_transaction(context.store, context.node.chains, attempt_hash)
