"""Every fault the simulator knows, by name, and the one place that decides whether it happens.

`Faults` draws from the run's own random numbers, counts what it lets happen, and stops at a step
when asked to, which is how a failing run is cut to its shortest failing prefix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from settlement_node.errors import InvalidInput


class UnknownFault(InvalidInput):
    """A name that is not in the registry."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`rate` is the chance at each opportunity in an ordinary run."""

    name: str
    rate: float
    words: str


_KINDS = (
    # On the way to an endpoint and back
    FaultKind("request_lost", 0.008, "a question never arrives"),
    FaultKind("answer_lost", 0.008, "a question is answered and the answer lost"),
    FaultKind("rate_limited", 0.006, "HTTP 429"),
    FaultKind("malformed_answer", 0.004, "an answer of the wrong shape"),
    FaultKind("internal_error", 0.004, "an error without meaning"),
    FaultKind("slow_answer", 0.006, "an answer that takes many seconds"),
    FaultKind("send_request_lost", 0.08, "a transaction never arrives"),
    FaultKind("send_answer_lost", 0.1, "a transaction is taken and the answer lost"),
    FaultKind("send_swallowed", 0.09, "a transaction is accepted and forgotten at once"),
    FaultKind("send_mempool_full", 0.08, "the mempool is full"),
    FaultKind("send_unknown_error", 0.08, "refused in words nobody knows"),
    FaultKind("send_nonce_too_low", 0.08, "called too low by a confused proxy"),
    FaultKind("send_underpriced", 0.08, "refused as too cheap a replacement"),
    FaultKind("send_never_mineable", 0.02, "refused for a while in words that mean: never"),
    # What an endpoint says
    FaultKind("receipt_error", 0.06, "a receipt lookup fails"),
    FaultKind("receipt_null", 0.2, "null for a mined transaction: a lagging replica"),
    FaultKind("log_range_refused", 0.07, "the log range is called too large"),
    FaultKind("logs_cut", 0.17, "some logs of a range are left out"),
    FaultKind("logs_omitted", 0.1, "all logs of a transaction are left out"),
    FaultKind("state_unavailable", 0.01, "the state of a block is not there"),
    FaultKind("head_flaps_back", 0.017, "the head falls back for one answer"),
    FaultKind("head_lie", 0.008, "a head that does not exist"),
    FaultKind("wrong_chain_id", 0.016, "another chain's id"),
    # How an endpoint is doing, decided once a step
    FaultKind("endpoint_down", 0.014, "an endpoint is away for a while"),
    FaultKind("endpoint_lags", 0.03, "an endpoint stays behind for a while"),
    FaultKind("endpoint_on_fork", 0.018, "an endpoint follows another fork for a while"),
    FaultKind("mempool_drop", 0.07, "an endpoint forgets a transaction"),
    FaultKind("mempool_wiped", 0.05, "an endpoint forgets every transaction"),
    # What an endpoint makes up, for one answer or for a while: likely, and not so
    FaultKind("lie_receipt_reverted", 0.5, "a mined batch is said to have failed"),
    FaultKind("lie_batch_reattributed", 0.55, "and another is shown that used its indexes"),
    FaultKind("lie_receipt_invented", 0.28, "a waiting transaction is said to have paid"),
    FaultKind("lie_receipt_without_logs", 0.9, "receipts without their logs"),
    FaultKind("lie_logs_invented", 0.035, "a batch that nobody sent pays what is being planned"),
    FaultKind("lie_batch_hidden", 0.16, "one mined batch is left out of the logs"),
    FaultKind("lie_state", 0.007, "another hash and bitmap of the settler"),
    FaultKind("lie_balances", 0.047, "other balances and another supply"),
    FaultKind("lie_nonce_ahead", 0.06, "a nonce that is not used yet is said to be"),
    FaultKind("lie_nonce_behind", 0.25, "a nonce that is used is said not to be"),
    FaultKind("lie_preview_paused", 0.19, "settler and tokens are said to be paused"),
    FaultKind("lie_preview_not_permitted", 0.22, "every payee is said to be barred"),
    FaultKind("lie_treasury_empty", 0.053, "the treasury is said to be empty"),
    FaultKind("lie_tags", 0.0016, "the newest block is said to be final"),
    FaultKind("lie_fees", 0.15, "fees a thousandfold"),
    FaultKind("lie_header", 0.0008, "a made-up header at an old height"),
    # The chain
    FaultKind("reorganisation", 0.04, "the last blocks are replaced by others"),
    FaultKind("reorganisation_forgets", 0.6, "what a reorganisation took out is not mined again"),
    FaultKind("chain_halted", 0.037, "no blocks for a while"),
    FaultKind("empty_blocks", 0.042, "blocks without transactions for a while"),
    FaultKind("base_fee_spike", 0.042, "the base fee multiplies"),
    FaultKind("older_attempt_mined", 0.6, "an attempt that was replaced is mined after all"),
    FaultKind("batch_out_of_gas", 0.04, "the settler is dearer in the block than in the preview"),
    FaultKind("deep_reorganisation", 0.02, "a reorganisation below finality"),
    FaultKind("stranger_uses_key", 0.02, "somebody else sends with the lane's key"),
    FaultKind("key_stolen", 0.15, "somebody else settles genuine orders for next to nothing"),
    # The database
    FaultKind("commit_refused", 0.011, "a commit fails"),
    FaultKind("commit_unanswered", 0.01, "a commit happens and its answer is lost"),
    FaultKind("database_busy", 0.011, "a transaction cannot begin"),
    FaultKind("statement_failed", 0.012, "a statement fails in the middle"),
    FaultKind("database_restored", 0.02, "an older backup takes the book's place"),
    # The node and its signer
    FaultKind("crash_at_checkpoint", 0.009, "the node dies before or after a commit or a call"),
    FaultKind("crash_at_request", 0.002, "the node dies while it talks to an endpoint"),
    FaultKind("crash_at_commit", 0.006, "the node dies just before or just after a commit"),
    FaultKind("node_paused", 0.008, "the node stands still past its lease and goes on"),
    FaultKind("clean_restart", 0.042, "the node is stopped and started"),
    FaultKind("clock_jump", 0.035, "the node's wall clock jumps"),
    FaultKind("meddling", 0.05, "something happens between two steps of a stage"),
    FaultKind("signer_down", 0.2, "the signer cannot be reached"),
    FaultKind("signer_slow", 0.08, "the signer takes long"),
    FaultKind("signer_wrong", 0.08, "the signer answers with a wrong signature"),
    # People and money
    FaultKind("treasury_short", 0.04, "the treasury is emptied or its allowance cut"),
    FaultKind("payee_blocked", 0.042, "the stablecoin blocks a payee"),
    FaultKind("treasury_blocked", 0.04, "the stablecoin blocks the treasury"),
    FaultKind("token_paused", 0.04, "a token is paused"),
    FaultKind("settler_paused", 0.04, "the settler is paused"),
    FaultKind("holder_short", 0.042, "a holder moves shares away"),
    FaultKind("holder_barred", 0.042, "a holder loses the permission"),
    FaultKind("gas_short", 0.042, "the lane has no coins for gas"),
    FaultKind("duplicate_order", 0.06, "an order is entered again"),
    FaultKind("order_cancelled", 0.045, "an order is cancelled at any time"),
    FaultKind("lane_paused", 0.042, "an operator pauses the lane for a while"),
    FaultKind("cancel_requested", 0.09, "an operator has a transaction cancelled"),
    FaultKind("speed_up_requested", 0.1, "an operator has a transaction sped up"),
    FaultKind("hold_released", 0.08, "an operator releases a hold"),
    FaultKind("rescan_asked", 0.05, "an operator has events forgotten and read anew"),
)

REGISTRY: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}
LIES = tuple(name for name in REGISTRY if name.startswith("lie_"))
"""What only one endpoint at a time says. Each is counted once for every answer it changed."""
STOPPING = frozenset({"deep_reorganisation", "key_stolen", "stranger_uses_key"})
"""Faults a lane must stop at; they are in few runs, and those are counted apart."""
RARE = STOPPING | {"database_restored"}


def check_names(names: Sequence[str]) -> None:
    """Raise UnknownFault for a name that is not in the registry."""
    for name in names:
        if name not in REGISTRY:
            raise UnknownFault(
                f"there is no fault {name!r}; the names are: {', '.join(sorted(REGISTRY))}",
                field="faults",
            )


class Faults:
    """Decides and counts. `rates` names the faults of this run; others never happen."""

    def __init__(
        self, rng: Random, rates: Mapping[str, float], *, stop_after_step: int | None = None
    ) -> None:
        check_names(list(rates))
        self._rng = rng
        self._rates = dict(rates)
        self._stop_after_step = stop_after_step
        self.step = 0
        self.active = False
        self.counts: Counter[str] = Counter()
        self._tables: dict[tuple[str, ...], tuple[float, list[float]]] = {}

    @property
    def happening(self) -> bool:
        """Whether anything may go wrong now."""
        return self.active and (self._stop_after_step is None or self.step <= self._stop_after_step)

    def enabled(self, name: str) -> bool:
        """Whether this run has the fault at all."""
        return self._rates.get(name, 0.0) > 0

    def hits(self, name: str) -> bool:
        """Whether the fault happens at this opportunity."""
        if name not in REGISTRY:
            check_names([name])
        rate = self._rates.get(name, 0.0)
        if not rate or not self.happening or self._rng.random() >= rate:
            return False
        self.counts[name] += 1
        return True

    def count(self, name: str) -> None:
        """A picked fault had an effect."""
        self.counts[name] += 1

    def pick(self, names: tuple[str, ...]) -> str | None:
        """At most one of several, in one draw; `count` it once it has had an effect."""
        if not self.happening:
            return None
        table = self._tables.get(names)
        if table is None:
            check_names(names)
            rates = [self._rates.get(name, 0.0) for name in names]
            table = self._tables[names] = (sum(rates), rates)
        total, rates = table
        if not total:
            return None
        drawn = self._rng.random()
        if drawn >= total:
            return None
        for name, rate in zip(names, rates, strict=True):
            if drawn < rate:
                return name
            drawn -= rate
        return None
