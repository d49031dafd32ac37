"""Kill after kill: what happens before each, and the audit after it.

A round enters orders, brings the chain into the state in which its point is passed, starts the
daemon with the point's name and waits until it has killed itself there. The next round's daemon is
the restart. The world's own node takes no part; it only reads, and audits at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chain_tests.copies import Copies, address_of
from chain_tests.crash.daemon import Daemon, settings_text
from chain_tests.world import CONFIRMATIONS_BLOCKS, RESTING, SHARE, World, wait_until
from settlement_node.desk import operators
from settlement_node.domain.breaks import BreakKind
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.node.checkpoints import CHECKPOINTS
from settlement_node.store.database import Store
from settlement_node.store.engine import transactions
from settlement_node.store.rows import AttemptRow
from settlement_node.store.telling.attention import open_breaks
from tests_support.anvil import AnvilProcess

S = RedemptionStatus
KILL_SECONDS = 120.0
"""How long a daemon may take to start and reach its point; blocks come every second."""
ORDERS_PER_ROUND = 2
BASE_FEE_WEI = 10**9


@dataclass(frozen=True, slots=True)
class Round:
    """One kill. `before` brings the chain into the state the point needs."""

    point: str
    passage: int = 1
    kind: str = "plain"

    @property
    def name(self) -> str:
        return f"{self.point}:{self.passage} ({self.kind})"


def all_rounds() -> list[Round]:
    """Every point in the ordinary flow, and those a reorganisation, a replacement, a restored book
    and a second passage lead through."""
    rounds = [Round(point) for point in CHECKPOINTS if point not in NOT_PLAIN]
    rounds += [Round(point, 2) for point in SECOND_PASSAGES]
    rounds += [Round(point, kind="reorganisation") for point in REORGANISATION_POINTS]
    rounds += [Round(point, kind="replacement") for point in REPLACEMENT_POINTS]
    rounds += [Round(point, kind="lost book") for point in LOST_BOOK_POINTS]
    return rounds


NOT_PLAIN = frozenset(
    {"found.before_commit", "found.after_commit", "nonce.before_commit", "nonce.after_commit"}
)
"""Points that only a book behind the chain leads through."""
SECOND_PASSAGES = (
    "heads.before_commit",
    "scan.after_commit",
    "send.before_broadcast",
    "send.after_broadcast",
    "track.before_commit",
    "finish.before_commit",
)
REORGANISATION_POINTS = (
    "heads.before_commit",
    "heads.after_commit",
    "scan.before_commit",
    "send.before_broadcast",
    "send.after_broadcast",
    "track.before_commit",
    "track.after_commit",
)
REPLACEMENT_POINTS = (
    "sign.before_signer",
    "sign.before_commit",
    "sign.after_commit",
    "send.before_broadcast",
    "send.after_broadcast",
    "send.after_commit",
)
LOST_BOOK_POINTS = (
    "nonce.before_commit",
    "nonce.after_commit",
    "found.before_commit",
    "found.after_commit",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    kills: int
    redemptions: int
    double_paid: int
    lost: int
    missed: tuple[str, ...]


@dataclass(slots=True)
class Crashes:
    """The run: a world on anvil, the daemon on its book, and the counts."""

    world: World
    daemon: Daemon
    copies: Copies
    report: Callable[[str], None] = lambda line: None
    kills: int = 0
    missed: list[str] = field(default_factory=list)
    _stock: list[RedemptionOrder] = field(default_factory=list)

    @property
    def chain(self) -> AnvilProcess:
        assert isinstance(self.world.chain, AnvilProcess)
        return self.world.chain

    def play(self, rounds: Sequence[Round]) -> None:
        """Every round, then a daemon that is left alone until everything rests."""
        self._stock_up(sum(one.passage for one in rounds) * ORDERS_PER_ROUND)
        self._point_at_book()
        for number, one in enumerate(rounds, start=1):
            self._take_in()
            self.chain.set_interval(0)
            _BEFORE[one.kind](self)
            self.daemon.start(crash_at=f"{one.point}:{one.passage}")
            # No block before it is there: what was prepared must not pass by itself.
            wait_until(self._daemon_is_there, seconds=KILL_SECONDS, explain=self.explain)
            self.chain.set_interval(1)
            for _ in range(1, one.passage):
                # The next batch, so that each point is passed again however blocks and passes fall.
                wait_until(self._ended_or_rests, seconds=KILL_SECONDS, explain=self.explain)
                self._take_in()
            if self.daemon.wait_until_killed(seconds=KILL_SECONDS):
                self.kills += 1
            else:
                self.missed.append(one.name)
                self.daemon.kill()
            self.chain.set_next_base_fee(BASE_FEE_WEI)
            assert self.world.audit().double_paid == 0, f"paid twice after {one.name}"
            self.report(f"{number} of {len(rounds)}: {one.name}")
        self.run_until(self.all_rest)
        self.chain.set_interval(0)

    def all_rest(self) -> bool:
        return all(row.status in RESTING for row in self.world.rows())

    def _ended_or_rests(self) -> bool:
        return self.daemon.ended or self.all_rest()

    def _take_in(self) -> None:
        self.world.take_in(*(self._stock.pop() for _ in range(ORDERS_PER_ROUND)))

    def outcome(self) -> Outcome:
        """The counts so far. Nothing was wrong with any order, so one not settled is lost."""
        rows = self.world.rows()
        return Outcome(
            kills=self.kills,
            redemptions=len(rows),
            double_paid=self.world.audit().double_paid,
            lost=sum(row.status is not S.SETTLED for row in rows),
            missed=tuple(self.missed),
        )

    def check_books(self) -> None:
        """The audit at the end. A restored book says that it was behind, until a person closes that
        once everything is reconciled."""
        self.world.step(CONFIRMATIONS_BLOCKS)
        self.world.reconcile()
        with self.world.store.transaction(actor="operator") as tx:
            for found in open_breaks(tx, kinds=[BreakKind.BOOK_WAS_BEHIND]):
                operators.resolve(tx, found["break_id"], reason="the restore was meant")
        self.world.check_books()

    def run_until(self, done: Callable[[], bool]) -> None:
        """A daemon of which nothing is asked, stopped cleanly once something holds."""
        self.daemon.start()
        wait_until(self._daemon_is_there, seconds=KILL_SECONDS, explain=self.explain)
        wait_until(done, seconds=2 * KILL_SECONDS, explain=self.explain)
        self.daemon.stop()

    def restore(self, book: Store) -> None:
        """Have everybody work on another book from now on."""
        self.world = self.world.new_node(store=book)
        self._point_at_book()

    def explain(self) -> str:
        """Where everything stands, for a failure's message."""
        rows = Counter(row.status.value for row in self.world.rows())
        return f"{rows}; {self.world.breaks()}\n{self.daemon.last_words()}"

    def _daemon_is_there(self) -> bool:
        return self.daemon.ended or self.daemon.has_said("lane_taken")

    def attempts_by_transaction(self) -> dict[int, list[AttemptRow]]:
        """The attempts of every transaction that is not final."""
        ids = [row.transaction_id for row in self.world.unfinal()]
        with self.world.store.read() as tx:
            return transactions.attempts_of(tx, ids)

    def _stock_up(self, count: int) -> None:
        """Give investors their shares beforehand; later, blocks come by themselves."""
        self._stock = [self.world.order(f"order-{n}", (1 + n % 7) * SHARE) for n in range(count)]

    def _point_at_book(self) -> None:
        self.daemon.settings.write_text(
            settings_text(
                database_url=address_of(self.world.store.engine),
                endpoints=[self.chain.address],
                chain_id=self.chain.chain_id,
                engine=["replace_after_blocks = 1"],
            )
        )


def _nothing(crashes: Crashes) -> None:
    del crashes


def _reorganise(crashes: Crashes) -> None:
    """A batch is mined and not final when the daemon dies, and its block goes away meanwhile."""
    crashes.daemon.start()
    _wait_for_send(crashes)
    crashes.chain.mine()
    seen = RESTING | {S.PAID}
    wait_until(
        lambda: all(row.status in seen for row in crashes.world.rows()),
        seconds=KILL_SECONDS,
        explain=crashes.explain,
    )
    crashes.daemon.kill()
    crashes.world.reorganise(1)


def _outbid(crashes: Crashes) -> None:
    """A batch is sent and too cheap when the daemon dies: the base fee has risen."""
    crashes.daemon.start()
    _wait_for_send(crashes)
    crashes.daemon.kill()
    attempts = [a for of_one in crashes.attempts_by_transaction().values() for a in of_one]
    highest = max(a.max_fee_per_gas_wei for a in attempts)
    crashes.chain.set_next_base_fee(4 * highest)
    crashes.chain.mine()


def _wait_for_send(crashes: Crashes) -> None:
    """Until every order is in a transaction, and each of these was sent."""

    def sent() -> bool:
        if any(row.status is S.APPROVED for row in crashes.world.rows()):
            return False
        attempts = crashes.attempts_by_transaction()
        return all(any(a.sends_count for a in of_one) for of_one in attempts.values())

    wait_until(sent, seconds=KILL_SECONDS, explain=crashes.explain)


def _lose_book(crashes: Crashes) -> None:
    """The book is restored from a backup that was taken before the last batches were planned."""
    backup = crashes.copies.of(crashes.world.store)
    crashes.chain.set_interval(1)
    crashes.run_until(crashes.all_rest)
    crashes.chain.set_interval(0)
    crashes.restore(backup)


_BEFORE: dict[str, Callable[[Crashes], None]] = {
    "plain": _nothing,
    "reorganisation": _reorganise,
    "replacement": _outbid,
    "lost book": _lose_book,
}
