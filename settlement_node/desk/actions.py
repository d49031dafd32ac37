"""What people do to the book: every action once, as one row of a table.

The routes under `/v1`, the commands, the OpenAPI document and the tables in the guides are drawn
from it. Each action takes a reason, is one commit, and is audited under the caller's name. What it
does to the chain, the stages do in their next pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from settlement_node.errors import InvalidInput
from settlement_node.units import INT64_MAX, Address, Hex32

if TYPE_CHECKING:
    from settlement_node.store.database import Tx

CHAIN_ID_MAX = 2**53 - 1
"""What every reader of JSON holds exactly."""
REASON_LENGTH_MIN, REASON_LENGTH_MAX = 3, 300
REQUIRED: Any = object()
"""The default of an argument that must be given."""


def check_reason(reason: str) -> str:
    """A reason that a later reader understands; raises InvalidInput for one that none does."""
    text = reason.strip()
    if not REASON_LENGTH_MIN <= len(text) <= REASON_LENGTH_MAX or not text.isprintable():
        raise InvalidInput(
            f"reason must have {REASON_LENGTH_MIN} to {REASON_LENGTH_MAX} printable characters",
            field="reason",
        )
    return text


class Role(StrEnum):
    """Who may do an action. There is one role in this version, and whoever has an API key, or may
    run the command with the node's settings, has it."""

    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Argument:
    """What an action is told. `type` is Hex32, Address, int, str or list[int]; `bounds` of an int
    are inclusive. `option` is its name on the command line; without one it is given by place."""

    name: str
    type: Any
    help: str
    option: str | None = None
    bounds: tuple[int, int] | None = None
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `name` is its operation in the OpenAPI document, where `path` says that it is
    there; `command` are its words on the command line. `says` is what the command says was done,
    followed by the fields of the answer that `shows` names. `audits` are the facts it writes."""

    name: str
    title: str
    does: str
    arguments: tuple[Argument, ...]
    audits: tuple[str, ...]
    path: str | None = None
    command: str | None = None
    says: str = ""
    shows: tuple[str, ...] = ()
    role: Role = Role.OPERATOR
    needs_second_person: bool = False
    """Whether somebody else must confirm it. Nothing asks for that in this version."""

    def carry_out(self, tx: Tx, given: Mapping[str, Any], *, reason: str) -> Any:
        """Do it in this commit, as the function of its name in desk/operators.py does, and return
        that one's answer. Raises InvalidInput, NotFound or Conflict; then nothing is to be kept."""
        # Loaded when something is done: the command line draws itself from this table.
        from settlement_node.desk import operators

        return getattr(operators, self.name)(tx, **given, reason=check_reason(reason))


_REDEMPTION = (Argument("redemption_id", Hex32, "The redemption_id, 0x and 64 hex digits."),)
_LANE = (
    Argument("chain_id", int, "The chain's id.", bounds=(1, CHAIN_ID_MAX)),
    Argument("signer_address", Address, "The lane's address."),
)
_TRANSACTION = (
    Argument("transaction_hash", Hex32, "The hash of any attempt, 0x and 64 hex digits."),
)
_FUND = Argument("fund_id", str, "The fund.")
_MINED = "Refused once it is mined or final."

ACTIONS = (
    Action(
        name="hold",
        title="Hold an approved redemption",
        does="Keep an approved redemption from being planned until it is released. Refused when it"
        " is not approved.",
        arguments=_REDEMPTION,
        audits=("hold_placed",),
        path="/v1/redemptions/{redemption_id}/hold",
        command="redemption hold",
        says="held",
        shows=("redemption_id", "status"),
    ),
    Action(
        name="release",
        title="Release a held redemption",
        does="Let a held redemption be planned again, one held as `already_settled` under another"
        " index if nothing of it was ever signed. Refused when it is not held, or when the chain"
        " shows it as paid.",
        arguments=_REDEMPTION,
        audits=("hold_released",),
        path="/v1/redemptions/{redemption_id}/release",
        command="redemption release",
        says="released",
        shows=("redemption_id", "status"),
    ),
    Action(
        name="cancel_redemption",
        title="Cancel a redemption",
        does="End a redemption nothing of which can be on the chain, and release its shares."
        " Refused once it is settling, paid or ended, and when the chain shows it as paid.",
        arguments=_REDEMPTION,
        audits=("cancellation_given",),
        path="/v1/redemptions/{redemption_id}/cancel",
        command="redemption cancel",
        says="cancelled",
        shows=("redemption_id", "status"),
    ),
    Action(
        name="pause",
        title="Pause a lane",
        does="Plan, sign and send nothing on a lane; what is in flight is tracked on.",
        arguments=_LANE,
        audits=("lane_paused",),
        path="/v1/lanes/{chain_id}/{signer_address}/pause",
        command="lane pause",
        says="paused",
        shows=("chain_id", "signer_address"),
    ),
    Action(
        name="resume",
        title="Resume a lane",
        does="Let a lane go on. Refused while a break that stopped it is open: resolve it first.",
        arguments=_LANE,
        audits=("lane_resumed", "lane_resume_reason"),
        path="/v1/lanes/{chain_id}/{signer_address}/resume",
        command="lane resume",
        says="resumed",
        shows=("chain_id", "signer_address"),
    ),
    Action(
        name="cancel_transaction",
        title="Cancel an unmined transaction",
        does="Have a no-op replace an unmined transaction at its nonce. Its redemptions are planned"
        f" anew once that is final; the original may still win. {_MINED}",
        arguments=_TRANSACTION,
        audits=("cancel_requested",),
        path="/v1/transactions/{transaction_hash}/cancel",
        command="transaction cancel",
        says="cancel asked for",
        shows=("transaction_id", "nonce"),
    ),
    Action(
        name="speed_up_transaction",
        title="Speed an unmined transaction up",
        does="Have an unmined transaction replaced with higher fees at its nonce, unless they would"
        f" pass the ceiling. {_MINED}",
        arguments=_TRANSACTION,
        audits=("speed_up_requested",),
        path="/v1/transactions/{transaction_hash}/speed-up",
        command="transaction speed-up",
        says="speed-up asked for",
        shows=("transaction_id", "nonce"),
    ),
    Action(
        name="resolve_many",
        title="Resolve several breaks",
        does="Close breaks, with the reason why book and chain are right as they are: these, or"
        " every open one of a kind of a fund. It is one commit, and the answer says what came of"
        " each. Of a stopped lane it also accepts what stopped it. Refused when none is open.",
        arguments=(
            Argument(
                "break_ids", list[int], "The breaks' numbers.", bounds=(1, INT64_MAX), default=None
            ),
            Argument(
                "kind", str, "Instead of numbers: every open one of this kind.", "--kind",
                default=None,
            ),
            Argument("fund_id", str, "The fund of --kind.", "--fund", default=None),
        ),
        audits=("break_resolved",),
        path="/v1/breaks/resolve",
        command="break resolve",
        says="resolved",
        shows=("breaks",),
    ),
    Action(
        name="resolve",
        title="Resolve a break",
        does="Close an open break, with the reason why book and chain are right as they are. Of a"
        " stopped lane it also accepts what stopped it.",
        arguments=(Argument("break_id", int, "The break's number.", bounds=(1, INT64_MAX)),),
        audits=("break_resolved",),
        path="/v1/breaks/{break_id}/resolve",
    ),
    Action(
        name="rescan",
        title="Read a fund's settler events again",
        does="Forget a fund's settler events from a block on, and have them read anew and compared"
        " again; nothing is planned, released or cancelled for the fund until they are. Refused"
        " for a block that the node does not know yet.",
        arguments=(
            _FUND,
            Argument(
                "from_block", int, "The first block to read again.", "--from-block",
                bounds=(0, INT64_MAX),
            ),
        ),
        audits=("rescan_requested",),
        path="/v1/funds/{fund_id}/rescan",
        command="fund rescan",
        says="re-scan asked for",
        shows=("fund_id", "from_block"),
    ),
    Action(
        name="set_nav",
        title="Set a fund's price",
        does="Set the price of one whole share for what is planned from now on, or for a time in"
        " the past. It is not compared with the settler's floor and ceiling here: one outside them"
        " raises `price_outside_band`, and the orders wait.",
        arguments=(
            _FUND,
            Argument("price", str, "Payout token for one whole share, such as 104.25."),
            Argument("nav_decimals", int, "Decimals kept of it.", "--decimals", default=6),
            Argument(
                "since", str,
                "A time in the past since which it held, such as 2026-01-31T12:00:00Z: for a"
                " restored book that has lost this price.",
                "--since", default=None,
            ),
        ),
        audits=("nav_set", "nav_reason"),
        command="fund nav",
        says="NAV set",
        shows=("fund_id", "nav_per_share", "nav_decimals"),
    ),
    Action(
        name="pause_fund",
        title="Pause a fund",
        does="Plan nothing for a fund until it is resumed; what is in flight goes on to its end.",
        arguments=(_FUND,),
        audits=("fund_paused",),
        command="fund pause",
        says="paused",
        shows=("fund_id",),
    ),
    Action(
        name="resume_fund",
        title="Resume a fund",
        does="Let a fund be planned again.",
        arguments=(_FUND,),
        audits=("fund_resumed", "fund_resume_reason"),
        command="fund resume",
        says="resumed",
        shows=("fund_id",),
    ),
)  # fmt: skip
"""Every action, in the order in which the pages show them."""
