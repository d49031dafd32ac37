"""The end of a run: faults are off and what people broke is mended; everything must come to rest
and the books must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.store.book import redemptions
from settlement_node.store.engine import transactions
from settlement_node.store.rows import RedemptionRow
from settlement_node.units import Hex32
from tests.simulation.database import raw_connection
from tests.simulation.mining import GWEI
from tests.simulation.scenario import CHAIN_ID
from tests.simulation.signer import lane_key

if TYPE_CHECKING:
    from tests.simulation.world import World

ROUNDS_MAX = 80
RELEASES_MAX = 3
DAY_SECONDS = 26 * 3600
_LOGS_MISSING = frozenset({"logs_cut", "logs_omitted", "deep_reorganisation"})
EXPLAINED_BY: dict[str, frozenset[str]] = {
    # What the chain shows of a range is less than what happened there.
    "booked_not_paid": _LOGS_MISSING,
    "ratchet_gap": _LOGS_MISSING,
    "payout_transfers_differ": _LOGS_MISSING,
    "burn_transfers_differ": _LOGS_MISSING,
    "supply_differs": _LOGS_MISSING,
    "treasury_differs": _LOGS_MISSING,
    # The book is older than the chain.
    "paid_but_not_booked": frozenset({"database_restored", "key_stolen"}),
    "paid_not_in_book": frozenset({"database_restored"}),
    "book_was_behind": frozenset({"database_restored", "key_stolen"}),
    # The lane stopped, as it must.
    "unknown_batch": frozenset({"key_stolen", "database_restored"}),
    "price_differs": frozenset({"key_stolen"}),
    "reorganisation_beyond_finality": frozenset({"deep_reorganisation"}),
    "stranger_at_nonce": frozenset(
        {"stranger_uses_key", "database_restored", "deep_reorganisation"}
    ),
    "nonce_lost": frozenset({"stranger_uses_key", "database_restored", "deep_reorganisation"}),
}
"""For each kind of break the faults after which a person may find it. No fault explains a kind that
is not here: money paid twice or otherwise than ordered, and a lane that stopped for another
reason."""


def calm_down(world: World) -> None:
    """Mend, let the nodes finish, look."""
    world.faults.active = False
    world.faults.step += 1
    world.people.calm()
    world.endpoints.calm()
    for node in world.nodes:
        node.clock_skew = 0.0
        node.dead_until = 0.0
    world.people.reenter_all()
    releases = 0
    for _ in range(ROUNDS_MAX):
        world.pass_time(13.0)
        world.miner.mine(base_fee=GWEI)
        world.endpoints.calm()
        for node in world.nodes:
            node.run()
        world.checker.check()
        if world.checker.found or world.stopped:
            break
        rows = _rows(world)
        if _at_rest(world, rows):
            held = any(row.status is RedemptionStatus.HELD for row in rows.values())
            if releases >= RELEASES_MAX or not held:
                break
            # Refused while the settlers' events are being read: asked again in the next round.
            releases += world.people.release_holds() > 0
        elif any(row.waiting_on == "limits" for row in rows.values()):
            world.pass_time(DAY_SECONDS)
        _breaks(world)
    world.checker.chain_is_sound()
    if not world.checker.found and not world.stopped:
        _reconcile(world)
        _last_look(world)


def _rows(world: World) -> dict[Hex32, RedemptionRow]:
    with world.store.read() as tx:
        return redemptions.get_many(tx, list(world.people.entered))


def _at_rest(world: World, rows: dict[Hex32, RedemptionRow]) -> bool:
    resting = REDEMPTION_ENDED | {RedemptionStatus.HELD}
    if any(row.status not in resting for row in rows.values()):
        return False
    with world.store.read() as tx:
        return not transactions.count_unfinal(tx, CHAIN_ID, lane_key().address)


def _last_look(world: World) -> None:
    rows = _rows(world)
    state = world.chain.head.state
    for redemption_id, planned in world.people.entered.items():
        row = rows.get(redemption_id)
        name = planned.order.external_id
        if row is None:
            world.checker.violation("lost", f"{name} was entered and is not in the book")
            continue
        paid = bool(state.get(("paid", bytes.fromhex(redemption_id[2:]))))
        if paid and row.status is not RedemptionStatus.SETTLED:
            if row.status is not RedemptionStatus.CANCELLED or not _break_says(
                world, redemption_id
            ):
                world.checker.violation("lost", f"{name} is paid, the book has {row.status.value}")
        elif row.status is RedemptionStatus.HELD:
            if not _excused(world, row):
                world.checker.violation(
                    "stuck", f"{name} is held for {row.hold_reason}: {row.hold_detail}"
                )
        elif row.status not in REDEMPTION_ENDED:
            world.checker.violation(
                "stuck", f"{name} is {row.status.value}, waiting on {row.waiting_on}"
            )


def _break_says(world: World, redemption_id: Hex32) -> bool:
    """A redemption cancelled before the node could see it paid: the reconciliation must say so,
    unless an endpoint left just these logs out of its one look at that range."""
    return world.faults.counts["logs_omitted"] > 0 or bool(
        raw_connection()
        .execute(
            "SELECT 1 FROM breaks WHERE kind = 'paid_but_not_booked' AND subject = ?",
            (redemption_id,),
        )
        .fetchall()
    )


def _excused(world: World, row: RedemptionRow) -> bool:
    """A holder who moved the shares away cannot be redeemed; and after a restored backup an index
    may have been given twice, which is for a person to sort out."""
    fund = next(f for f in world.scenario.funds if f.fund_id == row.fund_id)
    holder = bytes.fromhex(row.investor_address[2:])
    held = world.chain.head.state.get(("balance", fund.share, holder))
    if row.hold_reason == "burn_failed":
        return bool(held < row.shares_base_units)
    return row.hold_reason == "already_settled" and world.restores > 0


def _reconcile(world: World) -> None:
    """Book and chain over everything final: no break but those a fault explains."""
    for node in world.nodes:
        if node.node is not None:
            node.node._run("reconcile", node.node._reconcile)
            break
    _breaks(world)


def _breaks(world: World) -> None:
    """Close what is open, as a person does, and ask whether a fault explains it."""
    opened = (
        raw_connection()
        .execute("SELECT kind, subject, expected, actual, detail FROM breaks WHERE status = 'open'")
        .fetchall()
    )
    if not opened:
        return
    world.people.resolve_breaks()
    # What was paid before this book began is a break of the first reconciliation; some of it may
    # have been entered, and even cancelled, before the node could see it paid.
    history = world.people.paid_before()
    unknown = [row for row in opened if row[1] not in history or row[0] == "double_paid"]
    world.note(f"breaks: {sorted({kind for kind, *_ in unknown})}")
    for row in unknown:
        causes = EXPLAINED_BY.get(row[0], frozenset())
        if not any(world.faults.counts[name] for name in causes):
            world.checker.violation("break_without_cause", f"{row}")
