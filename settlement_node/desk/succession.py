"""Changing a fund's settler: what the ones before it paid is known before anything is planned.

A settler may name the one it takes over from, for good. A new settler's bitmap and ratchet are
empty, so it would pay again whatever the old one paid; the book knows better only if it has read
the old one's events. They are therefore looked for when a fund is entered, and again before a
settler's own events are read for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from settlement_node.chain.client import ChainClient
from settlement_node.chain.views import SettlerView
from settlement_node.desk.actions import check_reason
from settlement_node.errors import Conflict, InvalidInput, NotFound, Refused, Transient
from settlement_node.store.book.funds import NewFund, lock_fund_to_change
from settlement_node.store.book.settlers import PastSettler, add_settler, set_settler, settlers_of
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements
from settlement_node.store.rows import FundRow
from settlement_node.units import ZERO_ADDRESS, ZERO_HASH, Address

log = structlog.get_logger(__name__)
PREDECESSORS_MAX = 32
"""Far more often than a fund changes its settler."""
HOW_TO_CLOSE = (
    "have its guardian dismiss its operator or pause it, or the treasury take its allowance back,"
    " and keep it so"
)


class FundTokens(Protocol):
    """The tokens of a fund, as every settler of it must have them."""

    @property
    def share_token_address(self) -> Address:
        """Whose shares are burned."""

    @property
    def payout_token_address(self) -> Address:
        """What is paid out."""


def settler_of(
    view_of: Callable[[Address], SettlerView], tokens: FundTokens, settler: Address, *, named: str
) -> SettlerView:
    """A settler of the fund's tokens; Refused when it is none. `named` says who speaks of it."""
    try:
        view = view_of(settler)
    except Refused as error:
        raise Refused(
            f"{settler}, {named}, is not a settler: {error.message}",
            reason="not_a_settler",
            settler_address=settler,
        ) from None
    ours = (tokens.share_token_address, tokens.payout_token_address)
    theirs = (view.share_token_address, view.payout_token_address)
    if ours != theirs:
        raise Refused(
            f"{settler}, {named}, settles shares {theirs[0]} in {theirs[1]}; the fund has"
            f" {ours[0]} and {ours[1]}",
            reason="other_tokens",
            settler_address=settler,
        )
    return view


def predecessors(
    view_of: Callable[[Address], SettlerView], tokens: FundTokens, newest: Address, *, named: str
) -> list[Address]:
    """The settlers before one, the youngest first, each proven to be a settler of the fund's
    tokens. `named` says who speaks of the newest. Refused when one is not, when they go round in a
    circle, or never end."""
    found: list[Address] = []
    following = newest
    while True:
        before = settler_of(view_of, tokens, following, named=named).predecessor_address
        named = f"the predecessor of {following}"
        if before == ZERO_ADDRESS:
            return found
        if before in (newest, *found):
            raise Refused(
                f"the predecessors of settler {newest} go round in a circle at {before}",
                reason="circular_predecessors",
                settler_address=newest,
            )
        if len(found) == PREDECESSORS_MAX:
            raise Refused(
                f"settler {newest} has more than {PREDECESSORS_MAX} predecessors",
                reason="too_many_predecessors",
                settler_address=newest,
            )
        found.append(before)
        following = before


def first_block(client: ChainClient, settler: Address) -> int:
    """A block before which a settler paid nothing, as late as the endpoints can say: 0 when they no
    longer have states so old. That is slow to read and never wrong."""
    low, high = 0, client.refresh().head.number
    try:
        while low < high:
            middle = (low + high + 1) // 2
            if _nothing_paid(client, settler, middle):
                low = middle
            else:
                high = middle - 1
    except Transient as error:
        log.info("settler_history_unknown", settler=settler, reason=error.message, from_block=low)
    return low


def _nothing_paid(client: ChainClient, settler: Address, block: int) -> bool:
    try:
        return client.batch_hash(settler, block) == ZERO_HASH
    except Refused:  # it was not deployed yet
        return True


def has_paid_before(client: ChainClient, settler: Address, from_block: int) -> bool:
    """Whether it is known to have; without so old a state the scan finds out, and waits."""
    try:
        return from_block > 0 and not _nothing_paid(client, settler, from_block - 1)
    except Transient:
        return False


def with_predecessors(client: ChainClient, fund: NewFund) -> NewFund:
    """A fund about to be entered, with every settler that its settlers name; see `predecessors`.

    Refused too when one that its settler took over from can still pay: what a lost book had sent
    to that one may be mined at any time, and pays again what the new one pays.
    """
    past = list(fund.former_settlers)
    for settler in (fund.settler_address, *(one.settler_address for one in past)):
        is_present = settler == fund.settler_address
        by = "named as the fund's settler" if is_present else "named among its former settlers"
        named = predecessors(client.settler_view, fund, settler, named=by)
        if is_present:
            for one in named:
                _check_closed(client, fund.payout_token_address, one)
        known = {fund.settler_address, *(one.settler_address for one in past)}
        past += [PastSettler(one, first_block(client, one)) for one in named if one not in known]
    return replace(fund, former_settlers=tuple(past))


def _check_closed(client: ChainClient, payout_token: Address, settler: Address) -> None:
    view = client.settler_view(settler)
    if view.operator_address != ZERO_ADDRESS and _has_means(client, payout_token, view):
        raise Refused(
            f"the predecessor {settler} can still pay; {HOW_TO_CLOSE}",
            reason="settler_still_pays",
            settler_address=settler,
        )


def _has_means(client: ChainClient, payout_token: Address, view: SettlerView) -> bool:
    """Whether a settler would pay if its operator asked it to."""
    allowance = client.token_view(
        payout_token,
        holders=[view.treasury_address],
        allowance=(view.treasury_address, view.settler_address),
    ).allowance_base_units
    return not view.paused and allowance != 0


def find_settlers(
    client: ChainClient, fund: FundRow, settler: Address, *, from_block: int | None
) -> list[PastSettler]:
    """A settler to be added to a fund, and its predecessors, each with the block to read it from.
    Refused when one is no settler of the fund's tokens; InvalidInput for a block too late."""
    client.check_chain_id()
    head = client.refresh().head.number
    found = predecessors(client.settler_view, fund, settler, named="the settler to be added")
    if from_block is not None and from_block > head:
        raise InvalidInput(f"the chain's head is {head}", field="from_block")
    if from_block is not None and has_paid_before(client, settler, from_block):
        raise InvalidInput(
            f"settler {settler} had paid a batch before block {from_block}", field="from_block"
        )
    first = first_block(client, settler) if from_block is None else from_block
    return [
        PastSettler(settler, first),
        *(PastSettler(one, first_block(client, one)) for one in found),
    ]


def add_settlers(tx: Tx, fund_id: str, found: Sequence[PastSettler]) -> list[Address]:
    """Remember settlers of a fund; returns those that were new. Conflict when the first, which a
    person named, is known already."""
    lock_fund_to_change(tx, fund_id)
    known = {Address(row["settler_address"]) for row in settlers_of(tx, fund_id)}
    if found[0].settler_address in known:
        raise Conflict(
            f"fund {fund_id} has settler {found[0].settler_address} already", field="settler"
        )
    new = [one for one in found if one.settler_address not in known]
    for one in new:
        add_settler(tx, fund_id, settler_address=one.settler_address, from_block=one.from_block)
    return [one.settler_address for one in new]


def check_successor(client: ChainClient, fund: FundRow, settler: Address) -> None:
    """The settler can take over: it has the fund's tokens, treasury, burn style and lane, and the
    present one can pay nothing any more. Refused, naming what differs.

    A settler that still can pay would not know what the new one pays: a batch that a lost book had
    sent to it may be mined at any time.
    """
    client.check_chain_id()
    client.refresh()
    view = settler_of(client.settler_view, fund, settler, named="the settler to switch to")
    pairs = (
        ("treasury", fund.treasury_address, view.treasury_address),
        ("burn style", fund.burn_style.value, view.burn_style.value),
        ("operator", fund.lane_address, view.operator_address),
    )
    differing = [
        f"its {what} is {theirs}, the fund's {ours}"
        for what, ours, theirs in pairs
        if ours != theirs
    ]
    if differing:
        raise Refused(
            f"settler {settler} cannot take over: " + "; ".join(differing),
            reason="settler_differs",
            settler_address=settler,
        )
    present = client.settler_view(fund.settler_address)
    if present.operator_address == fund.lane_address and _has_means(
        client, fund.payout_token_address, present
    ):
        raise Refused(
            f"the present settler {fund.settler_address} can still pay; {HOW_TO_CLOSE}",
            reason="settler_still_pays",
            settler_address=fund.settler_address,
        )


def switch_settler(tx: Tx, fund_id: str, settler: Address, *, reason: str) -> FundRow:
    """Settle with another of the fund's settlers from now on; `check_successor` comes before.

    Raises NotFound for one that was not added, and Conflict when it is the present one already or
    a batch of the present one is not final: a reorganisation may take that back, and the new
    settler would not know of it.
    """
    fund = lock_fund_to_change(tx, fund_id)
    why = check_reason(reason)
    if settler == fund.settler_address:
        raise Conflict(f"fund {fund_id} settles with {settler} already", field="settler")
    if settler not in {Address(row["settler_address"]) for row in settlers_of(tx, fund_id)}:
        raise NotFound(
            f"fund {fund_id} has no settler {settler}; add it with: settlement-node fund settler"
            f" add {fund_id} {settler}",
            field="settler",
        )
    if settlements.last_live(tx, fund_id) is not None:
        raise Conflict(
            f"a batch of settler {fund.settler_address} is not final; pause the fund"
            " (settlement-node fund pause) and wait for it",
            field="settler",
        )
    set_settler(tx, fund, settler, reason=why)
    return replace(fund, settler_address=settler)
