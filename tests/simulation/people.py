"""The people around the node: investors who enter orders, operators, issuers, a treasury.

What they do on the chain goes into blocks as transactions of accounts of their own; what they
break, they mend some steps later, or when the run calms down.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from settlement_node.desk import operators
from settlement_node.desk.intake import take_in
from settlement_node.domain.lifecycle import CANCELLABLE, RedemptionStatus
from settlement_node.errors import Conflict, InvalidInput, SettlementError
from settlement_node.store.book import redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.rows import RedemptionRow
from settlement_node.store.telling.attention import open_breaks
from settlement_node.units import Hex32, redemption_id_of
from tests.simulation.chain.abi import selector, words
from tests.simulation.scenario import CHAIN_ID, PLENTY, PlannedOrder, SimFund, account, shown
from tests.simulation.signer import lane_key

if TYPE_CHECKING:
    from tests.simulation.world import World

PAUSED_BY_OPERATOR = "an operator wants a look"
ALLOWANCE = 10**18


@dataclass(frozen=True, slots=True)
class Wish:
    """A transaction somebody wants mined."""

    sender: bytes
    to: bytes
    data: bytes


def call(signature: str, *values: int | bytes | bool) -> bytes:
    """Calldata with static arguments."""
    return selector(signature) + words(*values)


class People:
    """Everybody but the node."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entered: dict[Hex32, PlannedOrder] = {}
        self.cancelled: set[Hex32] = set()
        self.mending: list[tuple[int, Wish]] = []
        self.resume_at: int | None = None
        self._trouble: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("treasury_short", self._treasury_short),
            ("payee_blocked", self._payee_blocked),
            ("treasury_blocked", self._treasury_blocked),
            ("token_paused", self._token_paused),
            ("settler_paused", self._settler_paused),
            ("holder_short", self._holder_short),
            ("holder_barred", self._holder_barred),
            ("gas_short", self._gas_short),
            ("duplicate_order", self._duplicate),
            ("order_cancelled", self._cancel),
            ("lane_paused", self._pause_lane),
            ("cancel_requested", lambda: self._ask("cancel_requested")),
            ("speed_up_requested", lambda: self._ask("speed_up_requested")),
            ("hold_released", self._release),
            ("rescan_asked", self._rescan),
        )

    def step(self, number: int) -> None:
        """Orders that are due, then whatever else comes to somebody's mind."""
        for planned in self.world.scenario.orders:
            if planned.step == number:
                self.enter(planned)
        for when, wish in [m for m in self.mending if m[0] <= number]:
            self.mending.remove((when, wish))
            self.world.wishes.append(wish)
        if self.resume_at is not None and number >= self.resume_at:
            self.resume_lane()
        for name, act in self._trouble:
            if self.world.faults.hits(name) and not act():
                self.world.faults.counts[name] -= 1

    def meddle(self) -> None:
        """One thing, between two steps of a stage."""
        act = self.world.rng.choice(
            (
                self._cancel,
                self._release,
                self._enter_early,
                lambda: self._ask("cancel_requested"),
                self._rescan,
            )
        )
        act()

    def enter(self, planned: PlannedOrder) -> bool:
        """Enter an order through the node's own intake; False when it was refused."""
        redemption_id = self._id_of(planned)
        self.entered.setdefault(redemption_id, planned)

        def work(tx: Tx) -> None:
            take_in(tx, planned.fund_id, [planned.order], approved_by="administrator")

        try:
            self._carry_out(work)
        except InvalidInput:
            return False
        return True

    def paid_before(self) -> set[Hex32]:
        """What the old settlers paid before this book began."""
        return {self._id_of(p) for p in self.world.scenario.orders if p.paid_before}

    def _id_of(self, planned: PlannedOrder) -> Hex32:
        return redemption_id_of(
            chain_id=CHAIN_ID,
            share_token_address=shown(self._fund(planned.fund_id).share),
            external_id=planned.order.external_id,
        )

    def reenter_all(self) -> int:
        """After a restore: every order ever entered, once more; returns how many were new."""
        return sum(self.enter(planned) for planned in list(self.entered.values()))

    def calm(self) -> None:
        """Mend everything, resume what an operator paused, and let no date or limit stand."""
        self.world.wishes += [wish for _, wish in self.mending]
        self.mending.clear()
        for fund in self.world.scenario.funds:
            self.world.wishes += [
                Wish(
                    account("admin"),
                    fund.money,
                    call("mint(address,uint256)", fund.treasury, 10**12),
                ),
                Wish(
                    fund.treasury,
                    fund.money,
                    call("approve(address,uint256)", fund.settler, ALLOWANCE),
                ),
            ]
        self.resume_lane()

    def resume_lane(self) -> None:
        """Take the operator's own pause back; a lane the node stopped stays stopped."""
        self.resume_at = None

        def work(tx: Tx) -> None:
            lane = self.world.lane_row(tx)
            if lane is not None and lane.paused and lane.pause_reason == PAUSED_BY_OPERATOR:
                operators.resume(
                    tx, chain_id=CHAIN_ID, signer_address=lane_key().address, reason="looked"
                )

        with suppress(InvalidInput):  # the node has stopped it meanwhile
            self._carry_out(work)

    def resolve_breaks(self) -> list[str]:
        """Close every open break, as a person does who found the books right; returns kinds."""
        kinds: list[str] = []

        def work(tx: Tx) -> None:
            kinds.clear()
            for row in open_breaks(tx):
                kinds.append(row["kind"])
                with suppress(Conflict):  # not before it is reconciled
                    operators.resolve(tx, row["break_id"], reason="looked into")

        self._carry_out(work)
        return kinds

    def release_holds(self) -> int:
        """Release every hold; returns how many."""
        released = 0
        for row in self._rows():
            if row.status is RedemptionStatus.HELD:
                released += self._release_one(row.redemption_id)
        return released

    # What goes wrong with money, tokens and permissions

    def _fund(self, fund_id: str) -> SimFund:
        return next(f for f in self.world.scenario.funds if f.fund_id == fund_id)

    def _any_fund(self) -> SimFund:
        return self.world.rng.choice(self.world.scenario.funds)

    def _break(self, wish: Wish, mend: Wish, steps: int = 12) -> bool:
        self.world.wishes.append(wish)
        when = self.world.faults.step + self.world.rng.randint(1, steps)
        self.mending.append((when, mend))
        return True

    def _treasury_short(self) -> bool:
        fund = self._any_fund()
        if self.world.rng.random() < 0.5:
            approve = "approve(address,uint256)"
            few = self.world.rng.randrange(20) * 10**6
            return self._break(
                Wish(fund.treasury, fund.money, call(approve, fund.settler, few)),
                Wish(fund.treasury, fund.money, call(approve, fund.settler, ALLOWANCE)),
            )
        held = self.world.chain.head.state.get(("balance", fund.money, fund.treasury))
        away = max(0, held - self.world.rng.randrange(30) * 10**6)
        transfer = "transfer(address,uint256)"
        return self._break(
            Wish(fund.treasury, fund.money, call(transfer, account("vault"), away)),
            Wish(account("vault"), fund.money, call(transfer, fund.treasury, away)),
        )

    def _payee_blocked(self) -> bool:
        return self._block(self.world.rng.choice(self.world.scenario.orders))

    def _block(self, planned: PlannedOrder) -> bool:
        payee = bytes.fromhex(planned.order.payee_address[2:])
        money, blocked = account("money"), "setBlocked(address,bool)"
        return self._break(
            Wish(account("admin"), money, call(blocked, payee, True)),
            Wish(account("admin"), money, call(blocked, payee, False)),
        )

    def _treasury_blocked(self) -> bool:
        fund, blocked = self._any_fund(), "setBlocked(address,bool)"
        return self._break(
            Wish(account("admin"), fund.money, call(blocked, fund.treasury, True)),
            Wish(account("admin"), fund.money, call(blocked, fund.treasury, False)),
        )

    def _token_paused(self) -> bool:
        fund = self._any_fund()
        token = self.world.rng.choice((fund.money, fund.share))
        return self._break(
            Wish(account("admin"), token, call("pause()")),
            Wish(account("admin"), token, call("unpause()")),
            steps=8,
        )

    def _settler_paused(self) -> bool:
        fund = self._any_fund()
        return self._break(
            Wish(account("admin"), fund.settler, call("pause()")),
            Wish(account("admin"), fund.settler, call("unpause()")),
            steps=8,
        )

    def _holder_short(self) -> bool:
        fund = self._any_fund()
        holder = self.world.rng.choice(fund.holders)
        held = self.world.chain.head.state.get(("balance", fund.share, holder))
        transfer = "transfer(address,uint256)"
        away = Wish(holder, fund.share, call(transfer, account("vault"), held))
        if self.world.rng.random() < 0.3:
            self.world.wishes.append(away)  # for good
            return True
        return self._break(away, Wish(account("vault"), fund.share, call(transfer, holder, held)))

    def _holder_barred(self) -> bool:
        fund = self._any_fund()
        holder, permitted = self.world.rng.choice(fund.holders), "setPermitted(address,bool)"
        return self._break(
            Wish(account("admin"), fund.share, call(permitted, holder, False)),
            Wish(account("admin"), fund.share, call(permitted, holder, True)),
        )

    def _gas_short(self) -> bool:
        lane = bytes.fromhex(lane_key().address[2:])
        few = self.world.rng.randrange(10**15)
        return self._break(
            Wish(account("admin"), account("purse"), lane + few.to_bytes(32, "big")),
            Wish(account("admin"), account("purse"), lane + PLENTY.to_bytes(32, "big")),
        )

    # What goes through the book

    def _carry_out(self, work: Callable[[Tx], object]) -> bool:
        """A request to the API. Refused input is raised; a failing database is tried again."""
        for _ in range(4):
            try:
                with self.world.store.transaction(actor="people") as tx:
                    work(tx)
            except InvalidInput:
                raise
            except SettlementError:
                continue
            return True
        return False

    def _rows(self) -> list[RedemptionRow]:
        with self.world.store.read() as tx:
            found = redemptions.get_many(tx, list(self.entered))
        return [found[i] for i in self.entered if i in found]

    def _duplicate(self) -> bool:
        if not self.entered:
            return False
        planned = self.entered[self.world.rng.choice(list(self.entered))]
        if self.enter(planned):
            self.world.note(f"{planned.order.external_id} entered once more")
        return True

    def _enter_early(self) -> bool:
        waiting = [p for p in self.world.scenario.orders if p.step > self.world.faults.step]
        return bool(waiting) and self.enter(self.world.rng.choice(waiting))

    def _cancel(self) -> bool:
        rows = [row for row in self._rows() if row.standing in CANCELLABLE]
        if not rows:
            return False
        victim = self.world.rng.choice(rows).redemption_id
        try:
            done = self._carry_out(
                lambda tx: operators.cancel_redemption(tx, victim, reason="the investor asked")
            )
        except InvalidInput:
            return False
        if done:
            self.cancelled.add(victim)
        return done

    def _pause_lane(self) -> bool:
        def work(tx: Tx) -> None:
            lane = self.world.lane_row(tx)
            if lane is not None and not lane.paused:
                operators.pause(
                    tx,
                    chain_id=CHAIN_ID,
                    signer_address=lane_key().address,
                    reason=PAUSED_BY_OPERATOR,
                )

        self.resume_at = self.world.faults.step + self.world.rng.randint(1, 8)
        return self._carry_out(work)

    def _ask(self, what: str) -> bool:
        with self.world.store.read() as tx:
            unmined = transactions.unmined(tx, CHAIN_ID, lane_key().address)
            attempts = transactions.attempts_of(tx, [row.transaction_id for row in unmined])
        sent = [row for row in unmined if row.status.value in ("signed", "sent")]
        if not sent:
            return False
        victim = attempts[self.world.rng.choice(sent).transaction_id][0].attempt_hash
        ask = (
            operators.cancel_transaction
            if what == "cancel_requested"
            else operators.speed_up_transaction
        )
        with suppress(InvalidInput):
            return self._carry_out(lambda tx: ask(tx, victim, reason="an operator asked"))
        return False

    def _release(self) -> bool:
        held = [row for row in self._rows() if row.status is RedemptionStatus.HELD]
        return bool(held) and self._release_one(self.world.rng.choice(held).redemption_id)

    def _rescan(self) -> bool:
        with self.world.store.read() as tx:
            latest = chain_book.latest_head(tx, f"{CHAIN_ID}:{lane_key().address}")
        if latest is None:
            return False
        fund_id, block = self._any_fund().fund_id, self.world.rng.randint(0, latest[0])
        with suppress(InvalidInput):
            return self._carry_out(
                lambda tx: operators.rescan(tx, fund_id, from_block=block, reason="looks wrong")
            )
        return False

    def _release_one(self, redemption_id: Hex32) -> bool:
        with suppress(InvalidInput):
            return self._carry_out(lambda tx: operators.release(tx, redemption_id, reason="mended"))
        return False
