"""How endpoints are judged, left alone and taken back."""

from __future__ import annotations

import pytest

from settlement_node.chain.client import PoolPolicy
from settlement_node.chain.endpoints.health import HealthPolicy, HealthRecord
from settlement_node.chain.wire.transport import RpcOk
from settlement_node.errors import InvalidInput, Transient

from .scripted import ACCOUNT, Clock, ScriptedTransport, client_of

POLICY = HealthPolicy(quarantine_seconds=10.0, failures_to_quarantine=3, probation_answers=2)


def fail(record: HealthRecord, times: int, now_seconds: float) -> None:
    for _ in range(times):
        record.failed("broken", now_seconds=now_seconds)


def test_failed__below_the_bound__not_quarantined() -> None:
    record = HealthRecord("a", POLICY)

    fail(record, 2, 0.0)

    assert not record.quarantined(now_seconds=0.0)


def test_failed__a_success_in_between__counts_from_the_start() -> None:
    record = HealthRecord("a", POLICY)
    fail(record, 2, 0.0)
    record.succeeded(now_seconds=0.0, latency_seconds=0.1)

    fail(record, 2, 0.0)

    assert not record.quarantined(now_seconds=0.0)


def test_failed__in_a_row__quarantined_for_the_time() -> None:
    record = HealthRecord("a", POLICY)

    fail(record, 3, 0.0)

    assert record.quarantined(now_seconds=9.9)
    assert not record.quarantined(now_seconds=10.0)


def test_failed__on_probation__at_once_and_twice_as_long() -> None:
    record = HealthRecord("a", POLICY)
    fail(record, 3, 0.0)

    fail(record, 1, 10.0)

    assert record.quarantined(now_seconds=29.9)
    assert not record.quarantined(now_seconds=30.0)


def test_failed__for_hours__quarantine_stays_bounded() -> None:
    record = HealthRecord("a", POLICY)
    now_seconds = 0.0
    for _ in range(100):
        fail(record, 3, now_seconds)
        now_seconds += POLICY.quarantine_max_seconds

    assert not record.quarantined(now_seconds=now_seconds)


def test_succeeded__probation_passed__forgiven() -> None:
    record = HealthRecord("a", POLICY)
    fail(record, 3, 0.0)
    for _ in range(2):
        record.succeeded(now_seconds=10.0, latency_seconds=0.1)

    fail(record, 3, 11.0)

    assert not record.quarantined(now_seconds=21.0), "the next quarantine is the short one again"


def test_order_key__on_probation__behind_the_healthy() -> None:
    healthy, returned = HealthRecord("a", POLICY), HealthRecord("b", POLICY)
    fail(returned, 3, 0.0)
    now_seconds = 10_000.0

    assert healthy.order_key(now_seconds=now_seconds) < returned.order_key(now_seconds=now_seconds)


def test_show__time_passes__score_mends() -> None:
    record = HealthRecord("a", POLICY)
    fail(record, 1, 0.0)

    scores = [
        record.show(now_seconds=seconds).score
        for seconds in (0.0, POLICY.half_life_seconds, 2 * POLICY.half_life_seconds)
    ]

    assert scores == [0.5, 0.75, 0.875]


def test_pool__failing_endpoint__is_asked_after_the_others() -> None:
    bad, good = ScriptedTransport("bad"), ScriptedTransport("good")
    for endpoint in (bad, good):
        endpoint.methods["eth_getBalance"] = lambda *_: RpcOk("0x5")
    client = client_of(bad, good, policy=PoolPolicy(agreement=1))
    client.refresh()
    bad.down = True
    client.native_balance(ACCOUNT)
    client.native_balance(ACCOUNT)
    asked = bad.round_trips

    client.native_balance(ACCOUNT)

    assert bad.round_trips == asked


def test_pool__quarantined_endpoint__left_alone_until_its_time_is_up() -> None:
    clock = Clock()
    endpoints = [ScriptedTransport(name) for name in ("bad", "b", "c")]
    bad = endpoints[0]
    client = client_of(*endpoints, clock=clock)
    bad.down = True
    for _ in range(3):
        client.refresh()
    asked = bad.round_trips

    client.refresh()
    left_alone = bad.round_trips
    clock.seconds = HealthPolicy().quarantine_seconds
    client.refresh()

    assert (left_alone, bad.round_trips) == (asked, asked + 1)


def test_pool__only_endpoint_keeps_failing__still_asked() -> None:
    endpoint = ScriptedTransport("only")
    client = client_of(endpoint)
    endpoint.down = True
    for _ in range(10):
        with pytest.raises(Transient):
            client.refresh()
    endpoint.down = False

    assert client.refresh().head.number == 100


def test_pool__both_needed_endpoints_quarantined__both_still_asked() -> None:
    endpoints = [ScriptedTransport("a"), ScriptedTransport("b")]
    client = client_of(*endpoints)
    for endpoint in endpoints:
        endpoint.down = True
    for _ in range(5):
        with pytest.raises(Transient):
            client.refresh()
    for endpoint in endpoints:
        endpoint.down = False

    assert client.refresh().head.number == 100


def test_pool__stale_endpoint__quarantined_and_the_others_go_on() -> None:
    endpoints = [ScriptedTransport(name) for name in ("stale", "b", "c")]
    endpoints[0].head = 50
    client = client_of(*endpoints)
    for _ in range(3):
        client.refresh()

    assert [item.quarantined for item in client.health()] == [True, False, False]


def test_pool__slightly_behind__not_blamed() -> None:
    endpoints = [ScriptedTransport(name) for name in ("behind", "b", "c")]
    endpoints[0].head = 99
    client = client_of(*endpoints)
    for _ in range(5):
        client.refresh()

    assert client.health()[0].last_error is None


def test_pool__endpoint_on_a_fork__quarantined() -> None:
    endpoints = [ScriptedTransport(name) for name in ("forked", "b", "c")]
    endpoints[0].fork_from(60, "other")
    client = client_of(*endpoints)
    for _ in range(3):
        client.refresh()

    assert client.health()[0].quarantined


def test_pool__endpoint_of_another_chain__shown_as_quarantined_at_once() -> None:
    endpoints = [ScriptedTransport(name) for name in ("stranger", "b", "c")]
    endpoints[0].chain_id = 1
    client = client_of(*endpoints)

    client.refresh()

    stranger = client.health()[0]
    assert stranger.quarantined
    assert stranger.last_error == "it is on chain 1, not 7"


def test_pool__endpoint_back_on_our_chain__taken_back() -> None:
    clock = Clock()
    endpoints = [ScriptedTransport(name) for name in ("stranger", "b", "c")]
    endpoints[0].chain_id = 1
    client = client_of(*endpoints, clock=clock)
    client.refresh()
    endpoints[0].chain_id = 7

    client.refresh()

    assert not client.health()[0].quarantined


def test_contradicted__once__quarantined_at_once_and_told_for_an_hour() -> None:
    record = HealthRecord("a", POLICY)

    record.contradicted("the nonce: it says 5", now_seconds=0.0)

    assert record.quarantined(now_seconds=9.9)
    assert not record.quarantined(now_seconds=10.0)
    told = [record.show(now_seconds=seconds).contradiction for seconds in (0.0, 3_599.0, 3_600.0)]
    assert told == ["the nonce: it says 5", "the nonce: it says 5", None]


def test_contradicted__again_after_good_answers__twice_as_long() -> None:
    record = HealthRecord("a", POLICY)
    record.contradicted("one", now_seconds=0.0)
    for _ in range(5):
        record.succeeded(now_seconds=11.0, latency_seconds=0.1)

    record.contradicted("two", now_seconds=12.0)

    assert record.quarantined(now_seconds=31.9)
    assert not record.quarantined(now_seconds=32.0)


def test_pool__same_answers__same_order_every_time() -> None:
    def run() -> list[int]:
        endpoints = [ScriptedTransport(name) for name in ("a", "b", "c")]
        for endpoint in endpoints:
            endpoint.methods["eth_getBalance"] = lambda *_: RpcOk("0x5")
        client = client_of(*endpoints)
        client.refresh()
        for _ in range(20):
            client.native_balance(ACCOUNT)
        return [endpoint.round_trips for endpoint in endpoints]

    assert run() == run() == [21, 21, 1]


def test_client__two_endpoints_of_one_name__invalid_input() -> None:
    with pytest.raises(InvalidInput, match="same name"):
        client_of(ScriptedTransport("a"), ScriptedTransport("a"))


def test_client__no_endpoints__invalid_input() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        client_of()
