"""What the stages work with, handed in once: store, chains, signers, policy and checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from settlement_node.chain.context import ChainContext
from settlement_node.chain.signers import Signer
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.redemption import HoldReason
from settlement_node.store.database import Store, Tx
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.fence import Fence
from settlement_node.units import Address, Hex32


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Everything the stages of one node share.

    `process` is what proves to later processes of this machine that this one has ended, None where
    nothing does. `checkpoint(name)` is called before and after each commit and each call that
    leaves the process; tests stop the node there, in production it does nothing. With `dry_run` the
    plan stage prices and previews the whole book once, and nothing is ever planned, signed or sent.
    """

    store: Store
    chains: Mapping[int, ChainContext]
    signers: Mapping[tuple[int, Address], Signer]
    node_id: str
    process: str | None = None
    policy: EnginePolicy = field(default_factory=EnginePolicy)
    lease_seconds: float = 30.0
    dry_run: bool = False
    checkpoint: Callable[[str], None] = lambda name: None


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


@dataclass(slots=True)
class Lane:
    """One signer on one chain, held by the node of `context` under `fence`.

    The last fields are what the stages carry from one pass to the next; losing them costs nothing
    but a look at the chain. `unscanned` names the funds whose settlers could not be read to the
    head in this pass, and why: nothing is planned for them, and no nonce is judged by them. `whole`
    holds the settlers whose events, as far as they are read, end at the settler's own hash.
    `has_nonce` says whether the book knows the next nonce, as of this pass: a person who accepts a
    stranger's transaction has it read from the chain again, from whichever process they do it.
    """

    context: NodeContext
    chain_id: int
    signer_address: Address
    fence: Fence
    chain: ChainContext
    signer: Signer
    replayed: bool = False
    has_nonce: bool = False
    head_number: int = -1
    highest_head_number: int = -1
    is_below_final: bool = False
    final_number: int = -1
    head_timestamp_seconds: int = 0
    head_gas_limit: int = 30_000_000
    stranger_polls: dict[int, int] = field(default_factory=dict)
    lowest_unmined: tuple[int, int] | None = None
    head_changed_at_utc: datetime | None = None
    final_changed_at_utc: datetime | None = None
    finality_answered: bool = True
    unscanned: dict[str, str] = field(default_factory=dict)
    whole: set[Address] = field(default_factory=set)
    stalled_since_utc: datetime | None = None
    stalled_reason: str = ""
    rehearsals: dict[str, Rehearsal] = field(default_factory=dict)

    @property
    def is_behind(self) -> bool:
        """Whether the head is lower than one seen before: a fork half spread, or endpoints that
        lag. What the chain did in the blocks above is not seen then, so nothing is planned."""
        return self.head_number < self.highest_head_number

    @property
    def store(self) -> Store:
        """The node's database."""
        return self.context.store

    @property
    def policy(self) -> EnginePolicy:
        """The node's measures and bounds."""
        return self.context.policy

    @contextmanager
    def commit(self, point: str | None = None) -> Iterator[Tx]:
        """One commit of this lane, or nothing; raises LeaseLost when the lane has another holder
        by now, Transient when the database could not do it. With a `point` of
        `node/checkpoints.py` its `.before_commit` and `.after_commit` are passed around it."""
        context = self.context
        if point is not None:
            context.checkpoint(f"{point}.before_commit")
        with context.store.transaction(actor=context.node_id, fence=self.fence) as tx:
            yield tx
        if point is not None:
            context.checkpoint(f"{point}.after_commit")

    @property
    def key(self) -> str:
        """The lane's name in leases, audit facts and alerts."""
        return lane_key(self.chain_id, self.signer_address)
