"""A lane whose signer is elsewhere: down, slow or wrong, it loses nothing and burns no nonce.

The signer is the real remote one, over HTTP, to a stand-in on this machine that fails as told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from chain_tests.marks import each_program
from chain_tests.world import Chain, World, wait_until
from settlement_node.chain.signers.backoff import BackoffSigner
from settlement_node.chain.signers.base import SignedTransaction, Signer, TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteReply
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionStatus
from settlement_node.errors import Refused, SettlementError, Transient
from settlement_node.node.cycle import PassEnd
from settlement_node.node.runtime import Node
from settlement_node.node.stages.heads import follow_head
from settlement_node.node.stages.plan import plan
from settlement_node.node.stages.scan import scan
from settlement_node.store.engine import transactions
from settlement_node.units import Address
from tests_support import web3signer as play
from tests_support.web3signer import OTHER_KEY, Web3SignerStandIn

PATIENCE_SECONDS = 60.0
"""How long a signer that answers may take; a busy machine is no failure of the signer."""
SHORT_PATIENCE_SECONDS = 0.2
"""While it hangs, so that nobody waits for it longer than need be."""
RHYTHM_SECONDS = 2.5
SMALL = EnginePolicy(batch_items_max=2)


class Wire:
    """The way to the signer. A signature is not waited for long while the signer is to hang."""

    def __init__(self, url: str) -> None:
        self.patient = RemoteHttp(url, timeout_seconds=PATIENCE_SECONDS)
        self.hasty = RemoteHttp(url, timeout_seconds=SHORT_PATIENCE_SECONDS)
        self.hangs = False
        self.name = self.patient.name

    def get(self, path: str, *, bytes_max: int) -> RemoteReply:
        return self.patient.get(path, bytes_max=bytes_max)

    def post(self, path: str, content: Mapping[str, str], *, bytes_max: int) -> RemoteReply:
        http = self.hasty if self.hangs else self.patient
        return http.post(path, content, bytes_max=bytes_max)


@dataclass(slots=True)
class Elsewhere:
    """The lane's key in another process, and how to break that process."""

    stand_in: Web3SignerStandIn
    wire: Wire
    signer: RemoteSigner

    def recover(self) -> None:
        self.wire.hangs = False
        self.stand_in.sign_answer = None
        self.stand_in.signs_with = None

    def signings(self) -> int:
        """How often it was asked to sign."""
        return self.stand_in.asked.count("POST")


@pytest.fixture
def elsewhere(chain: Chain) -> Iterator[Elsewhere]:
    key = chain.funded_keys[1]
    with Web3SignerStandIn() as stand_in:
        stand_in.keys = [OTHER_KEY, key]
        wire = Wire(stand_in.url)
        yield Elsewhere(stand_in, wire, RemoteSigner(wire, address=KeySigner(key).address))


@dataclass(frozen=True, slots=True)
class Failure:
    """How the signer fails, and the alert that is raised."""

    begin: Callable[[Elsewhere], None]
    alert: str


def answers(answer: Callable[[play.Handler], None]) -> Callable[[Elsewhere], None]:
    def begin(elsewhere: Elsewhere) -> None:
        elsewhere.stand_in.sign_answer = answer

    return begin


def slow(elsewhere: Elsewhere) -> None:
    elsewhere.wire.hangs = True
    elsewhere.stand_in.sign_answer = play.hang(1.0)


def wrong_key(elsewhere: Elsewhere) -> None:
    elsewhere.stand_in.signs_with = OTHER_KEY


FAILURES = {
    "down": Failure(answers(play.hang(0.0)), "signer_down"),
    "slow": Failure(slow, "signer_down"),
    "broken": Failure(answers(play.status(500)), "signer_down"),
    "wrong signature": Failure(wrong_key, "signer_refused"),
    "malformed": Failure(answers(play.status(200, "0x12")), "signer_refused"),
    "forbidden": Failure(answers(play.status(403)), "signer_refused"),
}
each_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())


class CountedSigner:
    """A local key that fails when told, at the n-th signing from then on."""

    def __init__(self, key: bytes) -> None:
        self.own = KeySigner(key)
        self.signs_left: int | None = None
        self.fails_with: SettlementError = Transient("the signer is away")

    @property
    def address(self) -> Address:
        return self.own.address

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        if self.signs_left is not None:
            if self.signs_left == 0:
                raise self.fails_with
            self.signs_left -= 1
        return self.own.sign(fields)


def nonces(world: World) -> list[int]:
    return [row.nonce for row in world.unfinal()]


def chain_nonce(world: World) -> int:
    """The lane's next nonce by the chain."""
    world.client.refresh()
    return world.client.nonce(world.stage.operator.address)


def settle_and_check(world: World, names: list[str]) -> None:
    """All are paid once, the books agree, and no alert of the signer is left."""
    world.settle()
    assert set(world.statuses(names)) == {RedemptionStatus.SETTLED}
    world.check_books()
    assert not {alert for alert in world.alerts() if alert.startswith("signer_")}


@each_failure
def test_signer__fails_and_recovers__nothing_lost_and_no_nonce_burned(
    new_world: Callable[..., World], elsewhere: Elsewhere, failure: Failure
) -> None:
    world = new_world(signer=elsewhere.signer)
    next_nonce = chain_nonce(world)
    names = world.enter(3)
    failure.begin(elsewhere)

    world.tick(PassEnd.LATER)
    planned = world.unfinal()
    world.step(3, PassEnd.LATER)

    assert [row.status for row in planned] == [TransactionStatus.PLANNED]
    assert world.unfinal() == planned
    assert nonces(world) == [next_nonce]
    assert world.attempts_of(names[0]) == []
    assert failure.alert in world.alerts()
    assert not world.lane_row().paused
    assert chain_nonce(world) == next_nonce

    elsewhere.recover()
    settle_and_check(world, names)
    assert world.transaction_of(names[0]).nonce == next_nonce
    assert world.lane_row().next_nonce == next_nonce + 1


@each_program
def test_signer__down_then_wrong_then_back__settles_at_the_same_nonces(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    world = new_world(signer=elsewhere.signer, policy=SMALL)
    names = world.enter(5)
    FAILURES["down"].begin(elsewhere)
    world.step(2, PassEnd.LATER)
    assert world.alerts() >= {"signer_down"}
    elsewhere.recover()
    FAILURES["wrong signature"].begin(elsewhere)
    world.step(2, PassEnd.LATER)
    assert "signer_refused" in world.alerts()
    assert "signer_down" not in world.alerts()
    first = nonces(world)

    elsewhere.recover()
    settle_and_check(world, names)

    used = sorted({world.transaction_of(name).nonce for name in names})
    assert used == list(range(first[0], first[0] + 3))


@each_failure
def test_signer__fails_for_many_passes__one_alert_and_one_transaction_waits(
    new_world: Callable[..., World], elsewhere: Elsewhere, failure: Failure
) -> None:
    world = new_world(signer=elsewhere.signer, policy=SMALL)
    names = world.enter(6)
    failure.begin(elsewhere)

    world.step(5, PassEnd.LATER)
    elsewhere.recover()

    raised = [event for event in world.events.events if event["topic"] == "alert.raised"]
    assert [event["payload"]["kind"] for event in raised] == [failure.alert]
    assert len(world.unfinal()) == 1, "what cannot be signed is not planned further"
    settle_and_check(world, names)


def test_signer__fails_with_others_in_flight__they_are_tracked_to_the_end(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    world = new_world(signer=elsewhere.signer)
    early = world.enter(2, "early")
    world.tick()
    FAILURES["down"].begin(elsewhere)
    late = world.enter(2, "late")

    world.step(4, PassEnd.LATER)

    assert set(world.statuses(early)) == {RedemptionStatus.SETTLED}
    assert set(world.statuses(late)) == {RedemptionStatus.SETTLING}
    elsewhere.recover()
    settle_and_check(world, early + late)


def test_signer__fails_at_a_replacement__what_is_signed_is_sent_again(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    policy = EnginePolicy(replace_after_blocks=1, rebroadcast_after_blocks=1, batch_items_max=1)
    world = new_world(signer=elsewhere.signer, policy=policy)
    names = world.enter(2)
    world.tick()
    # The second pass notes which nonce the lane waits for, and since when.
    world.tick()
    dropped = world.drop_pending()
    assert len(dropped) == 2
    FAILURES["down"].begin(elsewhere)

    world.step(2, PassEnd.LATER)

    # The lowest is due for new bytes, which nobody signs; the other's bytes are there again.
    assert world.is_pending(dropped[1])
    assert [len(world.attempts_of(name)) for name in names] == [1, 1]
    assert "signer_down" in world.alerts()
    elsewhere.recover()
    settle_and_check(world, names)


def test_signer__fails_between_two_signings__the_first_goes_out(
    new_world: Callable[..., World], chain: Chain
) -> None:
    signer = CountedSigner(chain.funded_keys[1])
    world = new_world(signer=signer, policy=EnginePolicy(batch_items_max=1))
    world.tick()
    names = world.enter(2)
    # Two are planned and unsigned, as when two funds share the lane.
    follow_head(world.lane)
    scan(world.lane)
    for _ in range(2):
        assert plan(world.lane) == 1
    assert [row.status for row in world.unfinal()] == [TransactionStatus.PLANNED] * 2
    signer.signs_left = 1

    world.tick(PassEnd.LATER)

    first, second = world.unfinal()
    assert first.status is TransactionStatus.SENT
    assert second.status is TransactionStatus.PLANNED
    assert "signer_down" in world.alerts()
    world.step(1, PassEnd.LATER)
    signer.signs_left = None
    settle_and_check(world, names)
    assert world.transaction_of(names[1]).nonce == first.nonce + 1


def test_signer__down_while_a_node_restarts__same_transaction_goes_on(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    world = new_world(signer=elsewhere.signer)
    names = world.enter(2)
    FAILURES["down"].begin(elsewhere)
    world.tick(PassEnd.LATER)
    planned = world.unfinal()
    world.node.stop()

    restarted = world.new_node()
    restarted.tick(PassEnd.LATER)

    assert restarted.unfinal() == planned
    elsewhere.recover()
    settle_and_check(restarted, names)


def test_signer__hangs__left_alone_so_that_passes_stay_quick(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    clock = [0.0]
    world = new_world(signer=BackoffSigner(elsewhere.signer, now=lambda: clock[0]))
    names = world.enter(2)
    FAILURES["slow"].begin(elsewhere)
    world.tick(PassEnd.LATER)
    # The node has given up by now, perhaps before the signer looked.
    wait_until(lambda: elsewhere.signings() > 0, seconds=60)

    for _ in range(5):
        world.tick(PassEnd.LATER)

    # No pass waits for a signer that it does not ask.
    assert elsewhere.stand_in.asked == ["GET", "POST"]
    assert "signer_down" in world.alerts()
    elsewhere.recover()
    clock[0] += 1.0
    settle_and_check(world, names)


@pytest.mark.parametrize("error", [Transient("away"), Refused("no")])
def test_signer__fails_and_the_transaction_is_cancelled__alert_clears_with_the_no_op(
    new_world: Callable[..., World], chain: Chain, error: SettlementError
) -> None:
    signer = CountedSigner(chain.funded_keys[1])
    signer.fails_with = error
    world = new_world(signer=signer)
    names = world.enter(1)
    world.tick()
    world.drop_pending()
    signer.signs_left = 0
    request_cancel(world)
    world.step(1, PassEnd.LATER)
    assert len(world.attempts_of(names[0])) == 1
    assert {"signer_down", "signer_refused"} & world.alerts()

    signer.signs_left = None
    settle_and_check(world, names)


def request_cancel(world: World) -> None:
    from settlement_node.desk.operators import cancel_transaction

    (row,) = world.unfinal()
    with world.store.transaction(actor="test") as tx:
        (attempt,) = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]
        cancel_transaction(tx, attempt.attempt_hash, reason="the signer is away")


def test_node__signer_down__scheduler_keeps_its_rhythm(
    new_world: Callable[..., World], elsewhere: Elsewhere
) -> None:
    world = new_world(signer=elsewhere.signer)
    names = world.enter(1)
    FAILURES["broken"].begin(elsewhere)
    node: Node = world.node
    world.store.on_commit = node.wake
    started = time.monotonic()
    node.start()
    try:
        time.sleep(RHYTHM_SECONDS)
        wait_until(lambda: elsewhere.signings() >= 2, seconds=60)
    finally:
        node.stop()

    # One pass a second, and one for each of the few commits that had news.
    longer_seconds = time.monotonic() - started - RHYTHM_SECONDS
    assert 2 <= elsewhere.signings() <= 8 + longer_seconds
    elsewhere.recover()
    resumed = world.new_node()
    settle_and_check(resumed, names)


def test_signer_protocol__every_signer__is_one(chain: Chain, elsewhere: Elsewhere) -> None:
    signers: list[Signer] = [
        elsewhere.signer,
        CountedSigner(chain.funded_keys[1]),
        BackoffSigner(elsewhere.signer, now=time.monotonic),
    ]

    assert {signer.address for signer in signers} == {KeySigner(chain.funded_keys[1]).address}
