"""What the stages work with, handed in once: store, chains, signers, policy and checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from settlement_node.chain.context import ChainContext
from settlement_node.chain.signers.base import Signer
from settlement_node.domain.attention import OfLane
from settlement_node.domain.engine.fees import Fees, market_fees
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.planning import BookView, ChainView
from settlement_node.domain.redemption import HoldReason
from settlement_node.node.processes import has_ended
from settlement_node.node.work import Work, read_work
from settlement_node.store.database import ReadTx, Store, Tx
from settlement_node.store.engine.leases import lane_key, take_lease
from settlement_node.store.fence import Fence
from settlement_node.store.rows import FundRow
from settlement_node.units import ZERO_HASH, Address, Hex32


@dataclass(frozen=True, slots=True)
class WouldHold:
    """An order that a dry run found cannot go as it is."""

    external_id: str
    redemption_id: Hex32
    reason: HoldReason
    detail: str


@dataclass(slots=True)
class Rehearsal:
    """How far a dry run is through one fund's book (`stages/rehearse.py`). Bit n of `judged` is the
    redemption of index n, so that a book of a million takes 125 kB. `obstacle` is what keeps the
    whole fund back now; `would_wait` counts by what the orders wait for."""

    above_index: int = -1
    judged: int = 0
    is_through: bool = False
    obstacle: str | None = None
    would_settle_count: int = 0
    would_pay_base_units: int = 0
    would_hold: list[WouldHold] = field(default_factory=list)
    would_wait: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Everything the stages of one node share.

    `process` is what proves to later processes of this machine that this one has ended, None where
    nothing does. `checkpoint(name)` is called before and after each commit and each call that
    leaves the process; tests stop the node there, in production it does nothing. With
    `rehearsals`, by fund, it is a dry run: the plan stage prices and previews the whole book once,
    and nothing is ever planned, signed or sent.
    """

    store: Store
    chains: Mapping[int, ChainContext]
    signers: Mapping[tuple[int, Address], Signer]
    node_id: str
    process: str | None = None
    policy: EnginePolicy = field(default_factory=EnginePolicy)
    lease_seconds: float = 30.0
    rehearsals: dict[str, Rehearsal] | None = None
    checkpoint: Callable[[str], None] = lambda name: None

    def lease(self, name: str) -> Fence | None:
        """Take or renew a lease for this node; None while another node holds it."""
        return take_lease(
            self.store,
            name=name,
            holder=self.node_id,
            seconds=self.lease_seconds,
            process=self.process,
            has_ended=has_ended,
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The chain as the newest pass over a lane saw it; block numbers are −1 before the first.

    `final_number` is the highest final block, `highest_number` the highest head that any pass of
    the lane ever saw. `is_below_final` says that the endpoints were behind what the book knows as
    final.
    """

    number: int = -1
    block_hash: Hex32 = ZERO_HASH
    final_number: int = -1
    highest_number: int = -1
    gas_limit: int = 30_000_000
    finality_answered: bool = True
    is_below_final: bool = False

    @property
    def is_behind(self) -> bool:
        """Whether the head is lower than one seen before: a fork half spread, or endpoints that
        lag. What the chain did in the blocks above is not seen then, so nothing is planned."""
        return self.number < self.highest_number


@dataclass(frozen=True, slots=True)
class Footing:
    """The book's side of a plan: the fund, its approved orders by their count and their moves
    (`redemptions.approved_moves`), and what else decides whether and how to plan."""

    fund: FundRow
    approved_moves: tuple[int, int]
    book: BookView


@dataclass(frozen=True, slots=True)
class Rest:
    """What a plan that came to nothing stood on; while all of it is so, so is that plan.

    `chain` and `is_of_block` are the plan's, made at `block_hash`; `until_utc` is when the next
    order comes due, by database time.
    """

    footing: Footing
    block_hash: Hex32
    chain: ChainView | None
    is_of_block: bool
    until_utc: datetime | None

    def holds(self, footing: Footing, at_utc: datetime) -> bool:
        """Whether the book is still so at a time."""
        return self.footing == footing and (self.until_utc is None or at_utc < self.until_utc)


@dataclass(slots=True)
class Memory:
    """What a held lane carries from one pass to the next; losing it costs but a look at the chain.

    `is_prepared` says that under this lease the book's nonce was compared with the chain's. `whole`
    holds the settlers whose events, as far as they are read, end at the settler's own hash.
    `stranger_polls` counts by nonce the passes in a row that saw bytes not ours at it.
    `lowest_unmined` is a nonce and the block since which it is the lowest. `unread_since_utc` says
    since when watching cannot read what of the chain. `resting` are the funds of which nothing can
    be planned, and for how long.
    """

    is_prepared: bool = False
    whole: set[Address] = field(default_factory=set)
    stranger_polls: dict[int, int] = field(default_factory=dict)
    lowest_unmined: tuple[int, int] | None = None
    head_changed_at_utc: datetime | None = None
    final_changed_at_utc: datetime | None = None
    stalled_since_utc: datetime | None = None
    stalled_reason: str = ""
    unread_since_utc: dict[str, datetime] = field(default_factory=dict)
    resting: dict[str, Rest] = field(default_factory=dict)


@dataclass(slots=True)
class Lane:
    """One signer on one chain, held by the node of `context` under `fence`.

    `head` and `unscanned` are of the newest pass: the latter names the funds whose settlers could
    not be read to the head, and why; nothing is planned for them, and no nonce is judged by them.
    `unplanned` names those for which planning met a passing fault in that pass, and why.
    `has_nonce` says whether the book knows the next nonce, as of this pass: a person who accepts a
    stranger's transaction has it read from the chain again, from whichever process they do it.
    """

    context: NodeContext
    chain_id: int
    signer_address: Address
    fence: Fence
    chain: ChainContext
    signer: Signer
    head: Head = field(default_factory=Head)
    unscanned: dict[str, str] = field(default_factory=dict)
    unplanned: dict[str, str] = field(default_factory=dict)
    has_nonce: bool = False
    memory: Memory = field(default_factory=Memory)
    _work: Work | None = field(default=None, init=False, repr=False)
    _fees: Fees | None = field(default=None, init=False, repr=False)

    @property
    def may_act(self) -> bool:
        """Whether the lane knows its nonce and all that was paid before it."""
        return self.memory.is_prepared and self.has_nonce

    @property
    def store(self) -> Store:
        """The node's database."""
        return self.context.store

    @property
    def policy(self) -> EnginePolicy:
        """The node's measures and bounds."""
        return self.context.policy

    def begin_pass(self, tx: ReadTx, *, final_number: int) -> None:
        """What the last pass read and asked is old: the open work is read as of now."""
        self._fees = None
        self._work = read_work(tx, self.chain_id, self.signer_address, final_number=final_number)

    @property
    def is_changed(self) -> bool:
        """Whether a commit of its own came since the open work was read."""
        return self._work is None

    def work(self) -> Work:
        """The lane's open work: read once in a pass, and again after a commit of its own."""
        return self._work or self.work_now()

    def work_now(self) -> Work:
        """The lane's open work as it is now, whatever others have written meanwhile."""
        with self.store.read() as tx:
            self._work = read_work(
                tx, self.chain_id, self.signer_address, final_number=self.head.final_number
            )
        return self._work

    def may_send(self, work: Work) -> bool:
        """Not in a dry run, and not while the lane is paused."""
        return self.context.rehearsals is None and work.row is not None and not work.row.paused

    def market_fees(self) -> Fees:
        """What the market asks for, within the chain's policy; asked once in a pass."""
        if self._fees is None:
            policy = self.policy
            history = self.chain.client.fee_history(
                block_count=policy.fee_history_blocks, percentile=policy.fee_percentile
            )
            self._fees = market_fees(history, self.chain.fees)
        return self._fees

    @contextmanager
    def commit(self, point: str | None = None, *, keeps_work: bool = False) -> Iterator[Tx]:
        """One commit of this lane, or nothing; raises LeaseLost when the lane has another holder
        by now, Transient when the database could not do it. With a `point` of
        `node/checkpoints.py` its `.before_commit` and `.after_commit` are passed around it.
        `keeps_work` says that it changes nothing of the open work."""
        context = self.context
        if not keeps_work:
            self._work = None
        if point is not None:
            context.checkpoint(f"{point}.before_commit")
        with context.store.transaction(actor=context.node_id, fence=self.fence) as tx:
            yield tx
        if point is not None:
            context.checkpoint(f"{point}.after_commit")

    @property
    def subject(self) -> OfLane:
        """The lane as an alert is about it."""
        return OfLane(self.chain_id, self.signer_address)

    def at_nonce(self, nonce: int) -> OfLane:
        """One nonce of it as an alert is about that."""
        return OfLane(self.chain_id, self.signer_address, nonce)

    @property
    def key(self) -> str:
        """The lane's name in leases, audit facts and alerts."""
        return lane_key(self.chain_id, self.signer_address)
