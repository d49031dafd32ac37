"""What the chain takes back, the book takes back, and pays once on the chain that stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.marks import both_chains, both_databases
from chain_tests.world import World
from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.desk import operators
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionStatus
from settlement_node.domain.observations import SettleItem
from settlement_node.domain.postings import Account
from settlement_node.domain.redemption import HoldReason
from settlement_node.methods.deploy import SettlerSettings
from settlement_node.node.cycle import PassEnd
from settlement_node.store.book.ledger import postings_of
from settlement_node.store.book.settlers import add_settler
from settlement_node.store.telling import records
from settlement_node.store.telling.attention import open_breaks
from settlement_node.units import ZERO_HASH, Address, Payout
from tests_support.deploying import deploy_settler, grant_fund_role, send
from tests_support.embedded import EmbeddedChain

S = RedemptionStatus
NEVER = 1_000
MINED_TWICE = ["payment_mined", "payment_undone", "payment_mined"]
KEEP_BYTES = EnginePolicy(replace_after_blocks=NEVER)


def journals(world: World, name: str) -> list[str]:
    """The facts that moved money of a redemption, in order."""
    with world.store.read() as tx:
        rows = postings_of(tx, world.row(name).redemption_id)
    return [
        row["journal"].split(":")[0]
        for row in rows
        if row["asset_address"] == world.stage.fund.payout_token_address
        and Account.TREASURY.value in (row["debit_account"], row["credit_account"])
    ]


@both_chains
@both_databases
def test_reorg__before_finality__settling_again_then_paid_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=KEEP_BYTES)
    names = world.enter(3)
    world.tick()
    world.step()
    assert world.statuses(names) == [S.PAID] * 3
    hashes = [a.attempt_hash for a in world.attempts_of(names[0])]

    world.reorganise(1)
    world.tick()
    assert world.statuses(names) == [S.SETTLING] * 3
    assert world.ledger()[Account.TREASURY] == 0
    assert world.ledger()[Account.SHARES_BURNED] == 0
    # Gone from the mempool as well: the same pass has sent the same bytes again.
    assert world.is_pending(hashes[0])
    world.step()
    assert world.statuses(names) == [S.PAID] * 3
    world.settle()

    assert world.statuses(names) == [S.SETTLED] * 3
    assert [a.attempt_hash for a in world.attempts_of(names[0])] == hashes
    assert journals(world, names[0]) == MINED_TWICE
    world.check_books()


@both_chains
def test_reorg__mined_again_in_another_block__booked_at_the_new_place(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=KEEP_BYTES)
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.step()
    before = world.transaction_of(names[0])
    world.step()

    world.remine(2, [(attempt.raw, 1)])
    world.tick()
    after = world.transaction_of(names[0])
    assert (after.status, before.block_number) == (
        TransactionStatus.MINED,
        (after.block_number or 0) - 1,
    )
    assert after.block_hash != before.block_hash
    assert world.statuses(names) == [S.PAID] * 2
    world.settle()
    assert world.transaction_of(names[0]).block_hash == after.block_hash
    assert journals(world, names[0]) == MINED_TWICE
    world.check_books()


@both_chains
def test_reorg__same_height_other_hash__seen_although_the_number_is_the_same(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=KEEP_BYTES)
    names = world.enter(1)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.step()
    before = world.transaction_of(names[0])

    world.remine(1, [(attempt.raw, 0)])
    world.tick()
    after = world.transaction_of(names[0])
    assert after.block_number == before.block_number
    assert after.block_hash != before.block_hash
    world.settle()
    world.check_books()


@both_chains
def test_reorg__order_of_two_batches_blocks_reversed__one_waits_for_the_other(
    new_world: Callable[..., World],
) -> None:
    """Nonces keep the chain from mining them the other way round; their blocks come again with
    the second batch's block first, which cannot hold it yet."""
    world = new_world(policy=EnginePolicy(batch_items_max=1, replace_after_blocks=NEVER))
    first, second = "first", "second"
    orders = [world.order(first), world.order(second)]
    world.take_in(orders[0])
    world.tick()
    (one,) = world.attempts_of(first)
    world.step()
    world.take_in(orders[1])
    world.tick()
    (two,) = world.attempts_of(second)
    world.step()
    assert world.statuses([first, second]) == [S.PAID] * 2
    blocks = [world.transaction_of(name).block_number for name in (first, second)]
    assert blocks[0] is not None
    assert blocks[1] == blocks[0] + 1

    world.reorganise(2)
    world.send_raw(two.raw)
    world.mine()
    world.tick()
    assert world.statuses([first, second]) == [S.SETTLING] * 2
    world.send_raw(one.raw)
    world.settle()
    assert world.statuses([first, second]) == [S.SETTLED] * 2
    assert world.check_books().transactions == 2


@both_chains
def test_reorg__batches_of_two_blocks_come_back_in_one__both_booked_where_they_are(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(batch_items_max=1, replace_after_blocks=NEVER))
    names = world.enter(2)
    world.tick()
    one, two = (world.attempts_of(name)[0] for name in names)
    world.drop_pending()
    world.send_raw(one.raw)
    world.step()
    world.send_raw(two.raw)
    world.step()
    apart = [world.transaction_of(name).block_number for name in names]
    assert apart[0] != apart[1]

    world.remine(2, [(one.raw, 1), (two.raw, 1)])
    world.tick()
    together = [world.transaction_of(name).block_number for name in names]
    assert together == [apart[1]] * 2
    world.settle()
    world.check_books()


@both_chains
def test_reorg__while_the_node_sleeps_longer_than_its_memory__found_at_the_last_look(
    new_world: Callable[..., World],
) -> None:
    """The changed block was mined and changed while nobody looked; finality asks once more."""
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER, head_page_blocks=3))
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.step()
    world.remine(1, [(attempt.raw, 0)])
    world.mine(40)

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


def test_reorg__in_blocks_nobody_remembered__undone_at_the_last_look(
    new_world: Callable[..., World],
) -> None:
    """The node sleeps while a batch is mined, and remembers only the newest blocks when it wakes.
    What is replaced then begins below these. At first only the settler's hash contradicts: its
    events are read again, and nothing is planned; once the batch would be final, its block is
    asked for again."""
    policy = EnginePolicy(replace_after_blocks=NEVER, head_page_blocks=2)
    world = new_world(policy=policy, confirmations_blocks=8)
    names = world.enter(2)
    world.tick()
    world.mine(6)
    world.tick()
    assert world.statuses(names) == [S.PAID] * 2

    world.reorganise(6)
    world.tick(PassEnd.LATER)
    later = world.enter(1, "later")
    while S.PAID in world.statuses(names):
        assert world.statuses(later) == [S.APPROVED]
        world.step()
    assert world.statuses(names) == [S.SETTLING] * 2
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


@both_chains
def test_reorg__deeper_than_finality__lane_stops_with_a_break_and_nothing_is_sent_again(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    names = world.enter(2)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    (attempt,) = world.attempts_of(names[0])
    later = world.enter(2, "later")

    world.reorganise(8)
    world.tick(PassEnd.STOPPED)
    assert world.lane_row().paused
    assert world.breaks() == ["reorganisation_beyond_finality"]
    assert world.statuses(names) == [S.SETTLED] * 2
    for _ in range(4):
        world.mine()
        world.tick(PassEnd.STOPPED)
    assert world.breaks() == ["reorganisation_beyond_finality"]
    assert world.statuses(later) == [S.APPROVED] * 2
    assert not world.is_pending(attempt.attempt_hash)
    assert world.client.nonce(world.stage.operator.address) == 0


def test_reorg__accepted_below_finality__the_lost_bytes_go_out_again_and_later_orders_settle(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    names = world.enter(2)
    world.mine(6)
    world.settle()
    (attempt,) = world.attempts_of(names[0])
    world.mine(4)
    world.reorganise(8)
    world.tick(PassEnd.STOPPED)
    with world.store.transaction(actor="person") as tx:
        (stopped,) = open_breaks(tx)
        operators.resolve(tx, stopped["break_id"], reason="the chain forked, we follow it")
        lane = world.lane
        operators.resume(
            tx,
            chain_id=lane.chain_id,
            signer_address=lane.signer_address,
            reason="the fork is accepted",
        )

    later = world.enter(2, "later")
    world.until(lambda: world.statuses(later) == [S.SETTLED] * 2, "the later orders")
    receipts = world.client.receipts([attempt.attempt_hash])
    assert receipts[attempt.attempt_hash] is not None
    world.check_chain()
    assert world.statuses(names) == [S.SETTLED] * 2


@both_chains
def test_reorg__batch_in_flight_when_finality_breaks__not_sent_again(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    first = world.enter(1, "first")
    world.settle()
    second = world.enter(1, "second")
    world.tick()
    (attempt,) = world.attempts_of(second[0])
    world.drop_pending()

    world.reorganise(8)
    for _ in range(3):
        world.tick(PassEnd.STOPPED)
        world.mine()
    assert world.statuses([*first, *second]) == [S.SETTLED, S.SETTLING]
    assert not world.is_pending(attempt.attempt_hash)


def test_reorg__told_to_the_outside__undone_and_paid_again_in_the_outbox(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=KEEP_BYTES)
    (name,) = world.enter(1)
    world.tick()
    world.step()
    world.reorganise(1)
    world.settle()
    world.tick()

    mine = world.row(name).redemption_id
    assert [e["topic"] for e in world.events.events if e["subject_id"] == mine] == [
        "redemption.approved",
        "redemption.settling",
        "redemption.paid",
        "redemption.settling",
        "redemption.paid",
        "redemption.settled",
    ]
    assert [e["topic"] for e in world.events.events].count("head.reorganised") == 1
    with world.store.read() as tx:
        facts = [row["action"] for row in records.audit_of(tx, "redemption", mine)]
    assert "payment_undone" in facts


def test_reorg__skip_undone_and_paid_in_the_new_block__settled_not_held(
    new_world: Callable[..., World],
) -> None:
    """A skip is taken back like a payment: on the other branch the payee was not blocked yet."""
    from settlement_node.demo.book import account

    world = new_world(policy=KEEP_BYTES)
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.drop_pending()
    world.stage.set_blocked(account(names[0]), blocked=True)
    world.send_raw(attempt.raw)
    world.step()
    assert world.statuses(names) == [S.SETTLING, S.PAID]

    world.remine(2, [(attempt.raw, 0)])
    world.tick()
    assert world.statuses(names) == [S.PAID] * 2
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


def test_reorg__shallow_ones_again_and_again__paid_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(batch_items_max=2, replace_after_blocks=2))
    names = world.enter(6)
    world.tick()
    for _ in range(5):
        world.step()
        world.reorganise(1)
        world.tick()
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 6
    assert world.check_books().transactions == 3


def test_reorg__head_lower_than_one_seen_before__nothing_planned_until_it_is_there_again(
    world: World,
) -> None:
    world.tick()
    world.step(3)
    assert isinstance(world.chain, EmbeddedChain)
    orders = world.orders(2)
    world.step()
    world.take_in(*orders)
    world.chain.rollback(1)
    names = [order.external_id for order in orders]
    other = world.new_node(node_id="other")
    world.node.stop()

    other.tick(PassEnd.LATER)
    assert other.statuses(names) == [S.APPROVED] * 2
    assert other.lane.head.is_behind
    # Not even by a process that starts now and has the book alone to know it by.
    other.node.stop()
    third = world.new_node(node_id="third")
    third.tick(PassEnd.LATER)
    assert third.statuses(names) == [S.APPROVED] * 2
    third.mine()
    third.settle()
    assert third.statuses(names) == [S.SETTLED] * 2
    third.check_books()


def foreign_settler(world: World) -> Address:
    """An older settler of the fund, whose operator's key is not the lane's."""
    fund, deployer = world.stage.fund, world.stage.deployer
    settler = deploy_settler(
        deployer,
        SettlerSettings(
            share_token_address=fund.share_token_address,
            payout_token_address=fund.payout_token_address,
            treasury_address=fund.treasury_address,
            burn_style=fund.burn_style,
            daily_payout_limit_base_units=Payout(10**12),
            ceiling_price=200 * 10**6,
            restrict_payees=False,
        ),
        owner_address=deployer.address,
        operator_address=deployer.address,
        guardian_address=deployer.address,
    )
    grant_fund_role(deployer, fund.share_token_address, "BURNER_ROLE", settler)
    world.stage.treasury.transact(
        fund.payout_token_address, "TestStablecoin", "approve", [settler, Payout(10**12)]
    )
    with world.store.transaction(actor="test") as tx:
        add_settler(tx, fund.fund_id, settler_address=settler, from_block=world.chain.head_number)
    return settler


def pay_elsewhere(world: World, settler: Address, name: str) -> bytes:
    """Another settler pays an order of the book; gives what paid it."""
    row = world.row(name)
    paid = SettleItem(
        row.redemption_id,
        row.redemption_index,
        row.investor_address,
        row.payee_address,
        row.shares_base_units,
        Payout(100 * 10**6),
    )
    batch = encode_settle(ZERO_HASH, [paid])
    send(world.stage.deployer, settler, batch, gas_limit=1_000_000)
    return batch


@pytest.mark.parametrize("was", [S.APPROVED, S.HELD])
def test_reorg__takes_back_what_another_settler_paid__held_and_never_paid_beside_it(
    world: World, was: S
) -> None:
    settler = foreign_settler(world)
    (name,) = world.enter(1)
    payee = world.row(name).payee_address
    batch = pay_elsewhere(world, settler, name)
    world.tick()
    if was is S.HELD:
        with world.store.transaction(actor="test") as tx:
            row = world.row(name)
            operators.hold(tx, row.redemption_id, reason="a question to the investor")
    assert world.status(name) is was

    world.reorganise(1)
    world.step(2)
    assert world.status(name) is S.HELD
    assert world.row(name).hold_reason == HoldReason.PAYMENT_UNDONE.value
    assert world.money_of(payee) == 0

    send(world.stage.deployer, settler, batch, gas_limit=1_000_000)
    world.until(lambda: world.status(name) is S.SETTLED, "found as paid")
    assert world.money_of(payee) == 100 * 10**6
    assert world.unfinal() == []


def test_reorg__takes_back_what_another_settler_paid_in_a_block_nobody_remembered__held(
    new_world: Callable[..., World],
) -> None:
    """Only the settler's own hash tells, and its events are not merely read again."""
    world = new_world(policy=EnginePolicy(head_page_blocks=2), confirmations_blocks=8)
    settler = foreign_settler(world)
    (name,) = world.enter(1)
    pay_elsewhere(world, settler, name)
    world.mine(6)
    world.tick()
    assert world.status(name) is S.APPROVED

    world.reorganise(7)
    world.tick(PassEnd.LATER)
    assert world.row(name).hold_reason == HoldReason.PAYMENT_UNDONE.value
