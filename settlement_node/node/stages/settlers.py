"""Before a settler's events are read for the first time: the settlers it took over from."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping

from settlement_node.desk.succession import first_block, predecessors
from settlement_node.node.context import Lane
from settlement_node.node.work import FundWork
from settlement_node.store.book.settlers import add_settler, settlers_of
from settlement_node.units import Address


def know_predecessors(lane: Lane, work: FundWork) -> Sequence[RowMapping]:
    """Every settler of the fund. Of one never read before, the predecessors are added first."""
    client, fund, settlers = lane.chain.client, work.fund, work.settlers
    known = {Address(row["settler_address"]) for row in settlers}
    new: dict[Address, int] = {}
    for row in settlers:
        if row["scanned_to_block"] >= row["from_block"]:
            continue
        settler = Address(row["settler_address"])
        by = f"a settler of fund {fund.fund_id}"
        for named in predecessors(client.settler_view, fund, settler, named=by):
            if named not in known and named not in new:
                new[named] = first_block(client, named)
    if not new:
        return settlers
    with lane.commit() as tx:
        for settler, from_block in new.items():
            add_settler(tx, fund.fund_id, settler_address=settler, from_block=from_block)
        return settlers_of(tx, fund.fund_id)
