"""Watching: alerts come up by what is so, and go by themselves when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chain_tests.world import SHARE, Chain, World, build_world, later
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest, RpcResult, Transport
from settlement_node.demo.stage import set_stage
from settlement_node.domain.attention import Alert, AlertKind, OfChain
from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import Block
from settlement_node.domain.watching import (
    FINALITY_STALLED_AFTER,
    FINALITY_UNANSWERED_AFTER,
    HALTED_AFTER,
    STUCK_AFTER_BLOCKS,
    UNREAD_AFTER,
)
from settlement_node.errors import Transient
from settlement_node.node.cycle import PassEnd
from settlement_node.node.stages.reconcile import STUCK_AFTER_SECONDS, reconcile
from settlement_node.node.stages.watch import watch
from settlement_node.store.book.funds import NewFund, add_fund
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine.lanes import ensure_lane
from settlement_node.store.telling.attention import open_alerts, tell
from settlement_node.units import Payout, Shares, to_hex32
from tests_support.book import address

PER_SHARE = 103_989_375


def look(world: World) -> None:
    watch(world.context(), [world.lane])


def test_watch__nothing_wrong__raises_nothing(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.tick()
    look(world)
    assert set() == world.alerts()


def test_watch__no_new_block_for_long__says_so_until_one_comes(
    new_world: Callable[..., World], book: Store
) -> None:
    world = new_world()
    world.tick()
    later(book, HALTED_AFTER.total_seconds() + 1)
    look(world)
    assert {"chain_halted"} == world.alerts()
    world.step(1)
    world.tick()
    look(world)
    assert set() == world.alerts()


def test_watch__blocks_stay_empty__names_the_nonce_that_waits_until_it_is_mined(
    new_world: Callable[..., World],
) -> None:
    never = EnginePolicy(rebroadcast_after_blocks=1_000, replace_after_blocks=1_000)
    world = new_world(policy=never)
    names = world.enter(1)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.drop_pending()
    world.step(STUCK_AFTER_BLOCKS)
    look(world)
    assert {"transaction_stuck"} == world.alerts()

    world.send_raw(attempt.raw)
    world.settle()
    look(world)
    assert set() == world.alerts()


def test_watch__settler_paused_on_the_chain__says_so_until_lifted(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    world.tick()
    settler = world.stage.fund.settler_address
    world.stage.deployer.transact(settler, "RedemptionSettler", "pause")
    look(world)
    assert {"settler_paused"} == world.alerts()
    world.stage.deployer.transact(settler, "RedemptionSettler", "unpause")
    look(world)
    assert set() == world.alerts()


def test_watch__a_price_the_settler_does_not_pay__says_so_until_it_does(
    new_world: Callable[..., World],
) -> None:
    from settlement_node.desk.operators import set_nav

    def price(nav: str) -> None:
        with world.store.transaction(actor="test") as tx:
            set_nav(tx, world.stage.fund.fund_id, price=nav, nav_decimals=6, reason="a new price")
        look(world)

    world = new_world()
    world.tick()
    price("1000000")
    assert {"price_outside_band"} == world.alerts()
    (name,) = world.enter(1)
    world.tick()
    assert "price_band" == world.row(name).waiting_on
    price("100")
    assert set() == world.alerts()
    world.settle()
    assert world.statuses([name]) == [RedemptionStatus.SETTLED]


def test_watch__what_waited_for_money_is_cancelled__clears_the_alert(
    new_world: Callable[..., World],
) -> None:
    from settlement_node.desk.operators import cancel_redemption

    world = new_world(treasury=PER_SHARE)
    world.take_in(world.order("large", 10 * SHARE))
    world.tick()
    assert {"treasury_short"} == world.alerts()
    with world.store.transaction(actor="test") as tx:
        cancel_redemption(tx, world.row("large").redemption_id, reason="withdrawn")
    look(world)
    assert set() == world.alerts()


class Answering:
    """The embedded chain's endpoint, with answers a test may change."""

    def __init__(self, inner: Transport, change: Callable[[RpcRequest, RpcResult], RpcResult]):
        self.inner, self.change = inner, change

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        answers = self.inner.request(requests)
        return [self.change(asked, answer) for asked, answer in zip(requests, answers, strict=True)]


def test_watch__finality_tag_no_longer_answered__says_so_until_it_is(
    chain: Chain, book: Store
) -> None:
    silent: list[tuple[str, ...]] = []

    def change(asked: RpcRequest, answer: RpcResult) -> RpcResult:
        return RpcOk(None) if asked.params[:1] in silent else answer

    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    world = build_world(chain, stage, book, transports=[Answering(chain.transport("node"), change)])
    world.tick()
    world.lane.chain = replace(world.lane.chain, finality=FinalityPolicy(FinalityMode.FINALIZED, 0))
    world.tick()

    silent.append(("finalized",))
    names = world.enter(1)
    world.step(3)
    later(book, FINALITY_UNANSWERED_AFTER.total_seconds())
    world.step()
    look(world)
    assert "finality_stalled" in world.alerts()
    assert world.statuses(names) == [RedemptionStatus.PAID]

    silent.clear()
    world.until(lambda: world.statuses(names) == [RedemptionStatus.SETTLED], "settled")
    look(world)
    assert "finality_stalled" not in world.alerts()


def test_watch__head_goes_on_and_nothing_becomes_final__says_so(
    new_world: Callable[..., World], book: Store
) -> None:
    world = new_world(confirmations_blocks=50)
    world.tick()
    later(book, FINALITY_STALLED_AFTER.total_seconds())
    world.step()
    look(world)
    assert "finality_stalled" in world.alerts()
    world.step(60)
    look(world)
    assert "finality_stalled" not in world.alerts()


def forgetful(chain: Chain, *, below: list[int]) -> Answering:
    """An endpoint without the state of blocks below a height and its head, as a pruned node."""
    plain = chain.transport("plain")

    def change(asked: RpcRequest, answer: RpcResult) -> RpcResult:
        at = asked.params[-1] if asked.method == "eth_call" else None
        if isinstance(at, dict):
            named, head = plain.request(
                [
                    RpcRequest("eth_getBlockByHash", (at["blockHash"], False)),
                    RpcRequest("eth_blockNumber"),
                ]
            )
            assert isinstance(named, RpcOk)
            assert isinstance(head, RpcOk)
            if int(named.value["number"], 16) < min(below[0], int(head.value, 16)):
                return RpcError(-32000, "missing trie node 5f3a (path ) state is not available")
        return answer

    return Answering(chain.transport("node"), change)


def test_reconcile__endpoint_without_the_final_state__an_alert_until_it_has_it(
    chain: Chain, book: Store
) -> None:
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    below = [10**9]
    world = build_world(chain, stage, book, transports=[forgetful(chain, below=below)])
    names = world.enter(2)
    world.settle()
    assert world.statuses(names) == [RedemptionStatus.SETTLED] * 2
    with pytest.raises(Transient, match="state"):
        reconcile(world.context())
    assert world.alerts() == set()

    later(book, STUCK_AFTER_SECONDS)
    with pytest.raises(Transient, match="state"):
        reconcile(world.context())
    assert world.alerts() == {"reconciliation_stuck"}

    below[0] = 0
    assert [run.settled_count for run in reconcile(world.context())] == [2]
    assert world.alerts() == set()


def test_reconcile__long_history_without_old_states__carried_by_transfers_and_compared_at_the_end(
    chain: Chain, book: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement_node.node.stages.reconcile.RANGE_BLOCKS_MAX", 4)
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    below = [0]
    world = build_world(chain, stage, book, transports=[forgetful(chain, below=below)])
    world.tick()
    world.step(3)
    assert reconcile(world.context())[-1].differences == ()

    names = world.enter(2)
    world.settle()
    world.step(7)
    below[0] = chain.head_number - 3
    runs = reconcile(world.context())
    assert len(runs) > 2
    assert sum(run.settled_count for run in runs) == 2
    assert [run.differences for run in runs] == [()] * len(runs)
    assert world.statuses(names) == [RedemptionStatus.SETTLED] * 2


def test_watch__the_chain_is_younger_than_the_book__says_so_at_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    world.tick()
    number = world.lane.head.number + 50
    final = Block(number, to_hex32(b"\1" * 32), to_hex32(b"\2" * 32), 2_000_000_000, 1, 30_000_000)
    with world.store.transaction(actor="the chain before") as tx:
        chain_book.remember_heads(tx, world.lane.key, [final])
        chain_book.mark_final(tx, world.lane.key, up_to_number=final.number)
    world.tick(PassEnd.LATER)
    look(world)
    assert {"lane_not_advancing"} == world.alerts()
    with world.store.read() as tx:
        (alert,) = open_alerts(tx)
    assert "a younger chain than the book" in alert["detail"]


def test_watch__nobody_answers_at_a_settler__the_rest_is_told_all_the_same(
    chain: Chain, book: Store
) -> None:
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    gone: list[str] = []

    def change(asked: RpcRequest, answer: RpcResult) -> RpcResult:
        is_call = asked.method == "eth_call" and asked.params[0]["to"] in gone
        return RpcOk("0x") if is_call else answer

    world = build_world(chain, stage, book, transports=[Answering(chain.transport("node"), change)])
    world.tick()
    gone += [stage.fund.settler_address, stage.fund.settler_address.lower()]
    later(book, HALTED_AFTER.total_seconds())
    look(world)
    assert {"chain_halted"} == world.alerts()


def test_watch__a_fund__its_supply_and_daily_limit_are_noted(
    new_world: Callable[..., World],
) -> None:
    world = new_world(daily_limit=7 * PER_SHARE)
    world.enter(2)
    world.tick()
    look(world)
    noted = world.fund_row().capacity
    supply = world.client.token_view(world.stage.fund.share_token_address).total_supply_base_units
    assert noted == FundCapacity(Shares(supply), Payout(7 * PER_SHARE))
    assert supply > 0


def test_watch__one_settler_answers_nothing__the_others_are_told_and_in_the_end_that_too(
    new_world: Callable[..., World], book: Store
) -> None:
    world = new_world()
    world.tick()
    fund = world.fund_row()
    known = {n: getattr(fund, n) for n in NewFund.__dataclass_fields__ if hasattr(fund, n)}
    where = {"settler_address": address("nobody"), "share_token_address": address("shares")}
    nobody = {"fund_id": "a-broken-one", **where}
    with world.store.transaction(actor="test") as tx:
        add_fund(tx, NewFund(**{**known, **nobody, "settler_from_block": 1}))
    world.stage.deployer.transact(fund.settler_address, "RedemptionSettler", "pause")
    look(world)
    assert {"settler_paused"} == world.alerts()
    later(book, UNREAD_AFTER.total_seconds())
    look(world)
    assert {"settler_paused", "reads_failing"} == world.alerts()


def test_watch__a_lane_that_nobody_holds__is_told_by_any_node(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    world.tick()
    with world.store.transaction(actor="test") as tx:
        ensure_lane(tx, world.lane.chain_id, address("a signer that no node has"))
    look(world)
    assert {"lane_not_held"} == world.alerts()


def test_watch__an_endpoint_was_taken_out_of_the_settings__its_alerts_end(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    world.tick()
    elsewhere = OfChain(world.lane.chain_id + 1, "another")
    with world.store.transaction(actor="test") as tx:
        for about in (OfChain(world.lane.chain_id, "taken out"), elsewhere):
            tell(tx, Alert(AlertKind.ENDPOINT_QUARANTINED, about, "it does not answer"))
    look(world)
    with world.store.read() as tx:
        assert [str(elsewhere)] == [alert["subject"] for alert in open_alerts(tx)]


def test_watch__a_fund_is_paused__says_so_until_it_is_resumed(
    new_world: Callable[..., World],
) -> None:
    from settlement_node.desk.operators import pause_fund, resume_fund

    world = new_world()
    world.tick()
    for act, told in ((pause_fund, {"fund_paused"}), (resume_fund, set[str]())):
        with world.store.transaction(actor="test") as tx:
            act(tx, world.fund_id, reason="an audit")
        look(world)
        assert told == world.alerts()
