"""The settler itself: what whoever holds a right over it, or a token, cannot make of it."""

from __future__ import annotations

from tests.defences.changes import Gives, Never, Swaps, Text
from tests.defences.model import Defence, Line

SKIPS = "contracts/test/Skips.t.sol"
ODD = "contracts/test/OddTokens.t.sol"
CONTROLS = "contracts/test/Controls.t.sol"
BOUNDS = "contracts/test/Bounds.t.sol"
CYCLE = "chain_tests/cycle/test_indexes.py"
ORDERS = "tests/store/test_redemptions.py"
CHANGE = "chain_tests/cycle/test_change_of_settler.py"
PREDECESSORS = "tests/settlers/test_predecessors.py"

SETTLERS: tuple[Defence, ...] = (
    Defence(
        name="floor_price",
        line=Line.SETTLER_RIGHTS,
        happens="a stolen operator key settles genuine orders for next to nothing",
        holds="the settler pays no less than its floor for a share",
        at="contracts/RedemptionSettler.sol",
        change=Text(
            "            if (paidPerShares + _wholeShare <= shares * frame.floorPrice)"
            " _skip(SkipReason.PriceBelowFloor);\n",
            "",
        ),
        tests=(f"{SKIPS}::test_skip__price_one_unit_below_floor",),
    ),
    Defence(
        name="least_payout_rounded_down",
        line=Line.SETTLER_RIGHTS,
        happens="an order priced at the very floor is paid a whole number of base units",
        holds="the least payout is rounded down as payouts are, so it is not refused",
        at="contracts/RedemptionSettler.sol",
        change=Text(
            "if (paidPerShares + _wholeShare <= shares * frame.floorPrice)",
            "if (paidPerShares < shares * frame.floorPrice)",
        ),
        tests=(f"{SKIPS}::test_skip__least_payout_is_rounded_down",),
    ),
    Defence(
        name="a_failed_frame_hands_nothing_on",
        line=Line.SETTLER_RIGHTS,
        happens="an item fails, and its answer lies where the treasury's balance is handed on",
        holds="the balance is read again, so the items behind it are settled",
        at="contracts/RedemptionSettler.sol",
        change=Text("                _forgetTreasuryHeld(frame);\n", ""),
        tests=(f"{SKIPS}::test_skip__treasury_short__smaller_item_behind_is_paid",),
    ),
    Defence(
        name="proposals_expire",
        line=Line.SETTLER_RIGHTS,
        happens="a proposal is left to ripen and taken up years later",
        holds="it lapses 14 days after its delay",
        at="contracts/SettlerControls.sol",
        change=Text(
            "        if (block.timestamp >= readyAt + PROPOSAL_GRACE) {\n",
            "        if (readyAt == 0) {\n",
        ),
        tests=(
            f"{CONTROLS}::test_role__accepted_too_late__refused_until_proposed_again",
            f"{BOUNDS}::test_bound__widening_applied_too_late__refused",
        ),
    ),
    Defence(
        name="new_owner_starts_clean",
        line=Line.SETTLER_RIGHTS,
        happens="an owner leaves ripe proposals behind for the next one's time",
        holds="accepting the owner's role cancels everything proposed before",
        at="contracts/SettlerControls.sol",
        change=Text("        if (role == Role.Owner) _cancelAll();\n", ""),
        tests=(f"{CONTROLS}::test_role__owner_changes__its_proposals_are_gone",),
    ),
    Defence(
        name="dismissal_is_not_outrun",
        line=Line.SETTLER_RIGHTS,
        happens="the operator is dismissed while another operator and a wider bound are ripe",
        holds="the dismissal cancels both",
        at="contracts/SettlerControls.sol",
        change=Text(
            "        _cancelRole(Role.Operator);\n        _cancelWidenings();\n    }\n",
            "    }\n",
        ),
        tests=(f"{CONTROLS}::test_operator__revoked__ripe_proposals_do_not_outrun_it",),
    ),
    Defence(
        name="guardian_can_be_replaced",
        line=Line.SETTLER_RIGHTS,
        happens="a guardian turns bad and cancels its own replacement for ever",
        holds="only the owner can cancel that proposal",
        at="contracts/SettlerControls.sol",
        change=Text(
            "        if (role == Role.Guardian && msg.sender != owner()) revert"
            " NotOwner(msg.sender);\n",
            "",
        ),
        tests=(f"{CONTROLS}::test_guardian__own_replacement__cannot_be_cancelled_by_it",),
    ),
    Defence(
        name="band_is_never_crossed",
        line=Line.SETTLER_RIGHTS,
        happens="the floor is raised above the ceiling, or the ceiling lowered below the floor",
        holds="either is refused, so that a price is always left",
        at="contracts/SettlerControls.sol",
        change=Text("        if (floor > ceiling) revert FloorAboveCeiling(floor, ceiling);\n", ""),
        tests=(
            f"{BOUNDS}::test_band__never_crossed",
            "contracts/test/Deployment.t.sol::"
            "test_deploy__price_band__can_be_read_and_is_never_empty",
        ),
    ),
    Defence(
        name="skipped_indexes_count_for_nothing",
        line=Line.SETTLER_RIGHTS,
        happens="a stolen operator key has items skipped at enormous indexes",
        holds="the book counts on from what was settled only",
        at="settlement_node/node/stages/scan.py:_scan_page",
        change=Swaps(
            "isinstance(e, RedemptionSettledEvent)", "not isinstance(e, BatchSettledEvent)"
        ),
        tests=(f"{CYCLE}::test_lost_book__indexes_that_were_only_skipped__are_given",),
    ),
    Defence(
        name="far_indexes_count_for_nothing",
        line=Line.SETTLER_RIGHTS,
        happens="a stolen operator key settles one item at the last index there is",
        holds="the book counts on from indexes that a book can have given",
        at="settlement_node/store/book/funds.py:raise_next_index",
        change=Swaps("following <= index < following + INDEX_LEAP_MAX", "following <= index"),
        tests=(
            f"{CYCLE}::test_lost_book__one_index_settled_far_ahead__the_others_are_left_for_orders",
            f"{ORDERS}::test_raise_next_index__one_no_book_gave__does_not_use_up_the_others",
        ),
    ),
    Defence(
        name="indexes_are_bounded",
        line=Line.SETTLER_RIGHTS,
        happens="an item has an index that no column holds",
        holds="the settler skips it as invalid",
        at="contracts/ItemData.sol",
        change=Text("or(or(zero, tooWide), tooFar)", "or(zero, tooWide)"),
        tests=(f"{SKIPS}::test_skip__index_too_far",),
    ),
    Defence(
        name="treasury_is_checked",
        line=Line.HOSTILE_TOKEN,
        happens="a payout token takes its fee from the sender, on top of what the payee gets",
        holds="the treasury's balance must fall by exactly the payout, or nothing happens",
        at="contracts/TokenCalls.sol",
        change=Text("and(received, eq(heldAfter, sub(heldBefore, value)))", "received"),
        tests=(
            f"{ODD}::test_fee_from_the_sender__skipped_and_nothing_moves",
            f"{ODD}::test_treasury_that_does_not_fall__skipped",
        ),
    ),
    Defence(
        name="payee_is_checked",
        line=Line.HOSTILE_TOKEN,
        happens="a payout token takes its fee from what the payee gets",
        holds="the payee's balance must rise by exactly the payout, or nothing happens",
        at="contracts/TokenCalls.sol",
        change=Text(
            "and(received, eq(heldAfter, sub(heldBefore, value)))",
            "eq(heldAfter, sub(heldBefore, value))",
        ),
        tests=(f"{ODD}::test_fee_on_transfer__skipped_and_nothing_burned",),
    ),
    Defence(
        name="tokens_are_no_accounts",
        line=Line.HOSTILE_TOKEN,
        happens="an order pays to, or burns of, one of the two tokens itself",
        holds="the settler skips it as invalid",
        at="contracts/ItemData.sol",
        change=Text("or(excluded, token)))", "excluded))"),
        tests=(f"{SKIPS}::test_skip__accounts_that_are_a_token",),
    ),
    Defence(
        name="predecessors_are_followed",
        line=Line.CHANGE_OF_SETTLER,
        happens="a book is lost, and the new one knows the fund's present settler only",
        holds="the node finds the settlers before it and reads what they paid",
        at="settlement_node/node/stages/scan.py:_scan_fund",
        change=Gives("know_predecessors", "work.settlers"),
        tests=(
            f"{CHANGE}::"
            "test_lost_book__node_knows_the_new_settler_only__finds_the_old_and_pays_none_again",
        ),
    ),
    Defence(
        name="predecessors_are_proven",
        line=Line.CHANGE_OF_SETTLER,
        happens="a settler names a predecessor of another fund",
        holds="it must have the fund's two tokens, or the fund waits and says so",
        at="settlement_node/desk/succession.py:settler_of",
        change=Never("ours", "theirs"),
        tests=(f"{PREDECESSORS}::test_predecessors__other_tokens__refused",),
    ),
    Defence(
        name="predecessors_end",
        line=Line.CHANGE_OF_SETTLER,
        happens="settlers name one another in a circle",
        holds="refused when one comes again",
        at="settlement_node/desk/succession.py:predecessors",
        change=Never("newest", "found"),
        tests=(f"{PREDECESSORS}::test_predecessors__in_a_circle__refused",),
    ),
    Defence(
        name="switch_waits_for_finality",
        line=Line.CHANGE_OF_SETTLER,
        happens="the settler is changed while a batch of the old one is in flight",
        holds="refused until the batch is final",
        at="settlement_node/desk/succession.py:switch_settler",
        change=Never("last_live"),
        tests=(f"{CHANGE}::test_switch__batch_in_flight_or_not_final__refused",),
    ),
    Defence(
        name="old_settler_is_closed",
        line=Line.CHANGE_OF_SETTLER,
        happens="the settler is changed while the old one can still pay what a lost book sent",
        holds="refused until it is paused, without operator or without allowance",
        at="settlement_node/desk/succession.py:check_successor",
        change=Never("operator_address", "lane_address"),
        tests=(
            f"{CHANGE}::test_switch__present_settler_can_still_pay__refused_until_it_is_closed",
        ),
    ),
    Defence(
        name="predecessors_are_closed",
        line=Line.CHANGE_OF_SETTLER,
        happens="a book is begun anew with a new settler while the old one can still pay what the"
        " lost book sent",
        holds="the fund is refused until the old one is closed",
        at="settlement_node/desk/succession.py:_check_closed",
        change=Never("operator_address"),
        tests=(
            f"{CHANGE}::test_new_book__predecessor_can_still_pay__refused_until_it_is_closed"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="successor_is_proven",
        line=Line.CHANGE_OF_SETTLER,
        happens="the settler is changed to one that this lane may not settle with",
        holds="refused, naming what differs",
        at="settlement_node/desk/succession.py:check_successor",
        change=Never("differing"),
        tests=(f"{CHANGE}::test_switch__not_one_of_the_funds_settlers__refused",),
    ),
)
