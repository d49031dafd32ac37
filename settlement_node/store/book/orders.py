"""Entering orders: each gets its id and its index for ever, or none of them does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import Transient
from settlement_node.store import tables as t
from settlement_node.store.book.ledger import post_movements
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.types import among
from settlement_node.units import Address, Hex32, redemption_id_of

r = t.redemptions
_NOTHING_YET: dict[str, Any] = dict.fromkeys(field.name for field in fields(RedemptionRow))
"""A row before anything is known of it."""


def ids_of(fund: FundRow, external_ids: Iterable[str]) -> dict[str, Hex32]:
    """The redemption id that each external id, in its normal form, has for ever."""
    return {
        external_id: redemption_id_of(
            chain_id=fund.chain_id,
            share_token_address=fund.share_token_address,
            external_id=external_id,
        )
        for external_id in external_ids
    }


def new_rows(
    tx: Tx,
    fund: FundRow,
    orders: Sequence[RedemptionOrder],
    *,
    known_ids: Mapping[str, Hex32] | None = None,
) -> list[RedemptionRow]:
    """Orders as `requested` redemptions, each with its id and index given for ever and its shares
    reserved in the ledger. The caller writes them in the same commit, with `write_new`, has checked
    the shape of each and that none is a repeat. `known_ids` is what `ids_of` gave before the
    database was held."""
    if not orders:
        return []
    count = len(orders)
    first = (
        tx.connection.execute(
            t.funds.update()
            .where(t.funds.c.fund_id == fund.fund_id)
            .values(next_redemption_index=t.funds.c.next_redemption_index + count)
            .returning(t.funds.c.next_redemption_index)
        ).scalar_one()
        - count
    )
    investor_ids = _investor_ids(tx, fund, {o.investor_address for o in orders})
    ids = ids_of(fund, (o.external_id for o in orders)) if known_ids is None else known_ids
    rows = [
        RedemptionRow(
            **_NOTHING_YET
            | {
                "redemption_id": ids[order.external_id],
                "fund_id": fund.fund_id,
                "external_id": order.external_id,
                "redemption_index": first + place,
                "investor_id": investor_ids[order.investor_address],
                "investor_address": order.investor_address,
                "payee_address": order.payee_address,
                "shares_base_units": order.shares_base_units,
                "status": RedemptionStatus.REQUESTED,
                "version": 0,
                "settle_after_utc": order.settle_after_utc,
                "requested_at_utc": tx.now_utc,
                "updated_at_utc": tx.now_utc,
            }
        )
        for place, order in enumerate(orders)
    ]
    for row in rows:
        tx.audit(row.status.value, "redemption", row.redemption_id, {})
        post_movements(tx, fund, row.status.value, row, before=None)
        tx.count(fund.fund_id, row.status.value, 1)
    return rows


def write_new(tx: Tx, rows: Sequence[RedemptionRow]) -> None:
    """Write redemptions that `new_rows` gave, as far as they have come."""
    if rows:
        tx.connection.execute(
            r.insert(), [{name: getattr(row, name) for name in _NOTHING_YET} for row in rows]
        )


def give_new_index(tx: Tx, fund: FundRow, row: RedemptionRow) -> bool:
    """Another index for a redemption of which nothing was ever signed: the chain has its old one
    under another redemption. The only exception to for ever.

    False, and nothing is changed, once any of it was: what was signed may be mined at any time,
    whatever an endpoint says became of it, and the settler tells it from a second payment by the
    index alone.
    """
    if _was_ever_bound(tx, row.redemption_id):
        return False
    fresh = tx.connection.execute(
        t.funds.update()
        .where(t.funds.c.fund_id == fund.fund_id)
        .values(next_redemption_index=t.funds.c.next_redemption_index + 1)
        .returning(t.funds.c.next_redemption_index - 1)
    ).scalar_one()
    changed = tx.connection.execute(
        r.update()
        .where(r.c.redemption_id == row.redemption_id, r.c.version == row.version)
        .values(redemption_index=fresh, version=row.version + 1, updated_at_utc=tx.now_utc)
    ).rowcount
    if changed != 1:
        raise Transient(f"redemption {row.redemption_id} changed meanwhile; read it again")
    tx.audit(
        "index_changed",
        "redemption",
        row.redemption_id,
        {"from": row.redemption_index, "to": fresh},
    )
    return True


def _was_ever_bound(tx: Tx, redemption_id: Hex32) -> bool:
    """Whether a settlement holds the redemption now, or ever held it in a signed transaction."""
    i, s, a = t.settlement_items, t.settlements, t.attempts
    return bool(
        tx.connection.execute(
            sa.select(
                sa.exists()
                .where(i.c.redemption_id == redemption_id)
                .where(
                    sa.or_(
                        i.c.live.is_(True),
                        sa.exists().where(
                            s.c.settlement_id == i.c.settlement_id,
                            a.c.transaction_id == s.c.transaction_id,
                        ),
                    )
                )
            )
        ).scalar_one()
    )


def repeats(tx: ReadTx, fund: FundRow, external_ids: Sequence[str]) -> dict[int, str]:
    """The places of external ids that are in the book or stand here before, each with the words.
    The caller has the fund locked."""
    known = known_external_ids(tx, fund.fund_id, sorted(set(external_ids)))
    seen: set[str] = set()
    found: dict[int, str] = {}
    for place, external_id in enumerate(external_ids):
        if external_id in seen:
            found[place] = f"external_id {external_id!r} appears twice in this request"
        elif external_id in known:
            found[place] = (
                f"external_id {external_id!r} is already in the book of fund {fund.fund_id};"
                " an external_id names one redemption for ever"
            )
        seen.add(external_id)
    return found


def known_external_ids(tx: ReadTx, fund_id: str, external_ids: Sequence[str]) -> set[str]:
    """Which of these external ids the fund's book already holds."""
    query = sa.select(r.c.external_id).where(
        r.c.fund_id == fund_id, among(r.c.external_id, external_ids)
    )
    return set(tx.connection.execute(query).scalars())


def _investor_ids(tx: Tx, fund: FundRow, addresses: set[Address]) -> dict[Address, int]:
    i = t.investors
    query = sa.select(i.c.investor_address, i.c.investor_id).where(
        i.c.fund_id == fund.fund_id, among(i.c.investor_address, sorted(addresses))
    )
    found = {Address(a): n for a, n in tx.connection.execute(query)}
    missing = [a for a in sorted(addresses) if a not in found]
    if missing:
        tx.connection.execute(
            i.insert(),
            [
                {"fund_id": fund.fund_id, "investor_address": a, "created_at_utc": tx.now_utc}
                for a in missing
            ],
        )
        found = {Address(a): n for a, n in tx.connection.execute(query)}
    return found


def colliding(tx: Tx, fund_id: str, used: Mapping[int, Hex32]) -> list[RedemptionRow]:
    """Redemptions that wait under an index the settler has used for another id, by index. `used`
    gives the id that each index was used for."""
    if not used:
        return []
    query = (
        sa.select(r)
        .where(
            r.c.fund_id == fund_id,
            among(r.c.redemption_index, sorted(used)),
            r.c.status.in_(
                [
                    RedemptionStatus.REQUESTED.value,
                    RedemptionStatus.APPROVED.value,
                    RedemptionStatus.HELD.value,
                ]
            ),
        )
        .order_by(r.c.redemption_index)
    )
    rows = [RedemptionRow.of(row) for row in tx.connection.execute(query).mappings()]
    return [row for row in rows if used[row.redemption_index] != row.redemption_id]
