"""A share token that refuses in words of its own, read with the ABI that the fund's file names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_tests.cycle.test_isolation import items_of
from chain_tests.marks import both_chains
from chain_tests.tokens.stage import OddStage, set_odd_stage
from chain_tests.world import SHARE, Chain, World, build_world
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.methods.error_abi import error_signatures
from settlement_node.store.book.funds import set_checks
from settlement_node.store.database import Store
from tests_support.abi import signatures

S = RedemptionStatus
TOKEN = "LockableShare"
UNTIL = 1_900_000_000


def words_of(name: str) -> str:
    return f"HolderLockedFor({account(name).lower()}, ({UNTIL}, 'court order'))"


def set_own_stage(chain: Chain) -> OddStage:
    stage = set_odd_stage(chain, share=TOKEN)
    errors = error_signatures(signatures(TOKEN, "error"))
    return replace(stage, fund=replace(stage.fund, error_signatures=errors))


def lock(stage: OddStage, name: str) -> None:
    stage.shares("setLock", account(name), UNTIL, "court order")


def assert_first_is_held_in_its_words(world: World, names: list[str]) -> None:
    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED]
    row = world.row(names[0])
    assert row.hold_reason == HoldReason.BURN_FAILED.value
    assert words_of(names[0]) in (row.hold_detail or "")
    assert world.shares_of(account(names[0])) == SHARE
    world.check_books()


@both_chains
@pytest.mark.parametrize("after_planning", [False, True], ids=["before", "after"])
def test_own_error__holder_locked__held_in_the_tokens_own_words_and_the_other_paid(
    chain: Chain, book: Store, after_planning: bool
) -> None:
    """Before planning the preview meets the lock; after it, the mined batch does."""
    stage = set_own_stage(chain)
    world = build_world(chain, stage, book)
    names = world.enter(2)
    raw = None
    if after_planning:
        world.tick()
        world.drop_pending()
        raw = world.attempts_of(names[0])[0].raw
    lock(stage, names[0])
    if raw is not None:
        world.send_raw(raw)

    assert_first_is_held_in_its_words(world, names)
    skipped = [words_of(names[0])] if after_planning else []
    assert skipped == [item.skip_detail for item in items_of(world, names[0])]


def test_own_error__told_to_the_book_later__the_next_hold_has_its_words(
    chain: Chain, book: Store
) -> None:
    stage = set_own_stage(chain)
    unread = replace(stage, fund=replace(stage.fund, error_signatures=()))
    world = build_world(chain, unread, book)
    names = world.enter(1, "unread")
    lock(stage, names[0])
    world.settle()
    assert "unknown error 0x" in (world.row(names[0]).hold_detail or "")
    with book.transaction(actor="operator") as tx:
        set_checks(tx, world.fund_id, stage.fund.checks, stage.fund.error_signatures)

    names = world.enter(2, "read")
    lock(stage, names[0])
    assert_first_is_held_in_its_words(world, names)
