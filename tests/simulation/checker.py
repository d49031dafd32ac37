"""The ten invariants of ARCHITECTURE, checked against the simulated chain's own ledger.

The checker reads the database over the driver's connection, beside the store, and the chain's
state directly; it asks nothing of the code it checks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from settlement_node.store.fence import Fence
from settlement_node.units import Shares
from tests.simulation.chain.transactions import MalformedTransaction, Transaction, decode
from tests.simulation.database import raw_connection
from tests.simulation.scenario import TERMS, account
from tests.simulation.signer import lane_key
from tests_support.book import payout_of

if TYPE_CHECKING:
    from tests.simulation.chain.blocks import Block
    from tests.simulation.world import World

RESERVED = ("requested", "approved", "settling", "burning", "held")
BURNED = ("burned", "paying", "returning", "paid", "settled")
PAID = ("paid", "settled")
VOIDS_MAX = 30
"""More void settlements than any redemption can have come to in a run that makes progress."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be. `kind` sorts it into the last line's counts."""

    kind: str
    step: int
    words: str


class Checker:
    """Looks after every step; `found` holds what it saw."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: list[Violation] = []
        self._by_nonce: dict[int, tuple[bytes, bytes]] = {}
        self._finals: dict[int, tuple[str, str]] = {}
        self._posted = 0
        self._handed_over = 0
        self._balances: Counter[tuple[str, str]] = Counter()

    def violation(self, kind: str, words: str) -> None:
        """Note something that must never be; a run that watches for some kinds passes others by."""
        if self.world.watched is not None and kind not in self.world.watched:
            return
        self.world.note(f"VIOLATION {kind}: {words}")
        self.found.append(Violation(kind, self.world.faults.step, words))

    # At the moment it happens

    def in_transaction(self) -> bool:
        """Whether a database transaction is open now."""
        return raw_connection().in_transaction

    def no_open_transaction(self, point: str) -> None:
        """No call leaves the process while a database transaction is open."""
        if self.in_transaction():
            self.violation("open_transaction", f"a call at {point} inside a database transaction")

    def sent(self, raw: bytes) -> Transaction | None:
        """Invariants 3 and 5: the bytes are committed, and their nonce has one intent. None for
        bytes that the lane's key did not sign."""
        try:
            transaction = decode(raw)
        except MalformedTransaction as error:
            self.violation("foreign_sender", f"bytes left that nobody signed: {error}")
            return None
        if transaction.sender != bytes.fromhex(lane_key().address[2:]):
            self.violation(
                "foreign_sender",
                f"nonce {transaction.nonce}: bytes left that 0x{transaction.sender.hex()} signed",
            )
            return None
        row = (
            raw_connection()
            .execute(
                "SELECT a.raw FROM attempts a WHERE a.attempt_hash = ?", (transaction.hash_hex,)
            )
            .fetchone()
        )
        if row is None:
            self.violation(
                "sent_unwritten", f"nonce {transaction.nonce}: bytes left before their commit"
            )
        elif bytes(row[0]) != raw:
            self.violation("sent_unwritten", f"nonce {transaction.nonce}: other bytes are written")
        if not transaction.data:
            return transaction  # a cancel belongs to the same intent
        intent = (transaction.to or b"", transaction.data)
        known = self._by_nonce.setdefault(transaction.nonce, intent)
        if known != intent:
            self.violation(
                "nonce_reused", f"nonce {transaction.nonce} was sent for two different batches"
            )
        return transaction

    def lane_written(self, node_id: str, fence: Fence | None, tables: list[str]) -> None:
        """Invariant 10: a commit to a lane's tables holds the lane's lease at that moment."""
        if fence is None:
            self.violation("unfenced", f"{node_id} writes {tables} without a fence")
            return
        row = (
            raw_connection()
            .execute("SELECT holder, fencing_token FROM leases WHERE name = ?", (fence.name,))
            .fetchone()
        )
        if row is None or (row[0], row[1]) != (fence.holder, fence.fencing_token):
            self.violation("two_writers", f"{node_id} writes {tables}; the lease is {row}'s")

    def handed_over(self, event_ids: list[int]) -> None:
        """Whoever hands them over: every event comes, in order, though some come again."""
        query = "SELECT max(event_id) FROM outbox WHERE event_id < ?"
        ((before,),) = self._rows(query, event_ids[0])
        if event_ids != sorted(event_ids) or (before or 0) > self._handed_over:
            self.violation(
                "event_skipped",
                f"{event_ids[0]} to {event_ids[-1]} are handed over after {self._handed_over}",
            )
        self._handed_over = max(self._handed_over, event_ids[-1])

    def built(self, block: Block) -> None:
        """Invariants 1 and 2 on every branch: nothing is paid twice, nor burned unpaid."""
        for item in block.executed:
            for payment in item.payments:
                paid = block.state.get(("paid", payment.redemption_id))
                burned = block.state.get(("burned", payment.redemption_id))
                if paid > 1:
                    self.violation(
                        "double_paid",
                        f"0x{payment.redemption_id.hex()} was paid {paid} times, last in block"
                        f" {block.number}",
                    )
                if burned != paid:
                    self.violation(
                        "lost", f"0x{payment.redemption_id.hex()}: burned {burned}, paid {paid}"
                    )

    def restored(self) -> None:
        """The book is an older one from here on."""
        self._by_nonce.clear()
        self._finals.clear()
        self._posted = 0
        self._balances.clear()
        ((self._handed_over,),) = self._rows(
            "SELECT coalesce(max(last_event_id), 0) FROM consumers"
        )

    # After every step

    def check(self) -> None:
        """Everything the database can show."""
        self._one_live_settlement()
        self._finals_stay()
        self._void_is_proven()
        self._voids_end()
        self._settled_is_paid()
        self._settled_is_priced()
        self._conservation()
        self._counts_are_kept()

    def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return raw_connection().execute(query, parameters).fetchall()

    def _one_live_settlement(self) -> None:
        for redemption_id, count in self._rows(
            "SELECT i.redemption_id, count(*) FROM settlement_items i"
            " JOIN settlements s USING (settlement_id)"
            " WHERE i.live AND s.status != 'void' GROUP BY 1 HAVING count(*) > 1"
        ):
            self.violation("two_settlements", f"{redemption_id} is in {count} live settlements")
        for redemption_id, status in self._rows(
            "SELECT r.redemption_id, r.status FROM redemptions r WHERE r.status = 'settling'"
            " AND NOT EXISTS (SELECT 1 FROM settlement_items i JOIN settlements s"
            " USING (settlement_id) WHERE i.redemption_id = r.redemption_id AND i.live"
            " AND s.status = 'live')"
        ):
            self.violation("no_settlement", f"{redemption_id} is {status} in no live settlement")

    def _finals_stay(self) -> None:
        """Invariant 8's other half: what was final never changes."""
        rows = self._rows(
            "SELECT transaction_id, outcome, mined_attempt_hash FROM transactions"
            " WHERE status = 'final'"
        )
        now = {row[0]: (row[1], row[2]) for row in rows}
        for transaction_id, before in self._finals.items():
            if now.get(transaction_id) != before:
                self.violation("final_changed", f"transaction {transaction_id} was {before}")
        fresh = [n for n in now if n not in self._finals]
        if not self.world.deep_reorganisation:
            for transaction_id in fresh:
                self._final_is_true(transaction_id, *now[transaction_id])
        self._finals = now

    def _final_is_true(self, transaction_id: int, outcome: str, hash_hex: str) -> None:
        """Invariant 7: a final outcome is what the chain's own branch shows, deep enough."""
        head = self.world.chain.head
        place = self.world.chain.mined(hash_hex, head)
        if place is None:
            self.violation("false_final", f"transaction {transaction_id} is not on the chain")
            return
        block, position = place
        item = block.executed[position]
        truth = (
            "void" if not item.transaction.data else "succeeded" if item.succeeded else "reverted"
        )
        if truth != outcome:
            self.violation(
                "false_final", f"transaction {transaction_id} is {truth}, booked {outcome}"
            )
        if self.world.chain.highest_number - block.number < self.world.least_depth:
            self.violation("false_final", f"transaction {transaction_id} was called final too soon")

    def _void_is_proven(self) -> None:
        for settlement_id, status, outcome in self._rows(
            "SELECT s.settlement_id, x.status, x.outcome FROM settlements s"
            " JOIN transactions x USING (transaction_id) WHERE s.status = 'void'"
            " AND (x.status != 'final' OR x.outcome = 'succeeded')"
        ):
            self.violation(
                "void_unproven",
                f"settlement {settlement_id} is void, its transaction {status} {outcome}",
            )

    def _voids_end(self) -> None:
        """A redemption is not planned again and again without end."""
        for redemption_id, count in self._rows(
            "SELECT i.redemption_id, count(*) FROM settlement_items i"
            " JOIN settlements s USING (settlement_id)"
            " WHERE s.status = 'void' GROUP BY 1 HAVING count(*) > ?",
            VOIDS_MAX,
        ):
            self.violation("voided_for_ever", f"{redemption_id} is in {count} void settlements")

    def _settled_is_paid(self) -> None:
        if self.world.deep_reorganisation:
            return
        state = self.world.chain.head.state
        for (redemption_id,) in self._rows(
            "SELECT redemption_id FROM redemptions WHERE status = 'settled'"
        ):
            if not state.get(("paid", bytes.fromhex(redemption_id[2:]))):
                self.violation("lost", f"{redemption_id} is settled in the book and not paid")

    def _settled_is_priced(self) -> None:
        """The price never changes in a run: what was settled at another is a money break."""
        said = {
            subject
            for (subject,) in self._rows("SELECT subject FROM breaks WHERE kind = 'price_differs'")
        }
        for redemption_id, shares, payout in self._rows(
            "SELECT redemption_id, shares_base_units, payout_base_units FROM redemptions"
            " WHERE status = 'settled'"
        ):
            right = payout_of(Shares(int(shares)), TERMS)
            if int(payout) != right and redemption_id not in said:
                self.violation(
                    "unpriced", f"{redemption_id} is settled at {int(payout)}, not {right}, unsaid"
                )

    def _conservation(self) -> None:
        """Invariant 9: the ledger's balances are what the redemptions' statuses make them."""
        for posting_id, fund_id, debit, credit, units in self._rows(
            "SELECT posting_id, fund_id, debit_account, credit_account, units_base_units"
            " FROM ledger_postings WHERE posting_id > ? ORDER BY posting_id",
            self._posted,
        ):
            self._posted = posting_id
            self._balances[fund_id, debit] += int(units)
            self._balances[fund_id, credit] -= int(units)
        expected: Counter[tuple[str, str]] = Counter()
        for fund_id, status, back_to, shares, payout in self._rows(
            "SELECT fund_id, status, back_to, shares_base_units, payout_base_units FROM redemptions"
        ):
            at = "burned" if (status, back_to) == ("held", "burned") else status
            if at in RESERVED:
                expected[fund_id, "shares_reserved"] += int(shares)
            elif at in BURNED:
                expected[fund_id, "shares_burned"] += int(shares)
            if at in PAID:
                expected[fund_id, "treasury"] -= int(payout)
            elif at in BURNED or at in ("settling", "burning"):
                expected[fund_id, "redemptions_payable"] -= int(payout)
        for fund in self.world.scenario.funds:
            for name in ("shares_reserved", "shares_burned", "treasury", "redemptions_payable"):
                key = (fund.fund_id, name)
                if self._balances[key] != expected[key]:
                    self.violation(
                        "conservation",
                        f"{name} of {fund.fund_id} is {self._balances[key]}, the redemptions make"
                        f" it {expected[key]}",
                    )

    def _counts_are_kept(self) -> None:
        """The counts by status, which commits keep, are what counting gives."""
        kept = self._rows(
            "SELECT fund_id, status, redemptions_count FROM redemption_counts"
            " WHERE redemptions_count != 0 ORDER BY 1, 2"
        )
        real = self._rows("SELECT fund_id, status, count(*) FROM redemptions GROUP BY 1, 2")
        if kept != sorted(real):
            self.violation("miscounted", f"kept {kept}, there are {sorted(real)}")

    def chain_is_sound(self) -> None:
        """The simulated tokens themselves: nothing appears and nothing vanishes."""
        state = self.world.chain.head.state
        for fund in self.world.scenario.funds:
            for token in (fund.share, account("money")):
                held = sum(
                    value
                    for key, value in state.values.items()
                    if key[0] == "balance" and key[1] == token
                )
                if held != state.get(("supply", token)):
                    self.violation("simulator", f"balances and supply of 0x{token.hex()} differ")
