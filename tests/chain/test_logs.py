"""Logs come in pages, from endpoints that have the agreed head, and none may be missing."""

from __future__ import annotations

from typing import Any

import pytest

from settlement_node.chain.client import PoolPolicy
from settlement_node.chain.contracts.settler import (
    BATCH_SETTLED_TOPIC,
    REDEMPTION_SETTLED_TOPIC,
)
from settlement_node.chain.contracts.tokens import TRANSFER_TOPIC, address_topic
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult, TransportFailed
from settlement_node.domain.observations import BatchSettledEvent, RedemptionSettledEvent
from settlement_node.errors import InvalidInput, Transient

from .scripted import (
    ACCOUNT,
    OTHER,
    SETTLER,
    TOKEN,
    ScriptedTransport,
    client_of,
    hash_of,
    log,
)


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def settled_log(number: int, index: int) -> dict[str, Any]:
    topics = [
        REDEMPTION_SETTLED_TOPIC,
        hash_of("redemption"),
        address_topic(ACCOUNT),
        address_topic(OTHER),
    ]
    return log(number, index, topics=topics, data=words(1, 10**18, 10**6))


def batch_log(number: int, index: int, *, settled: int) -> dict[str, Any]:
    topics = [BATCH_SETTLED_TOPIC, hash_of("batch"), hash_of("previous")]
    return log(number, index, topics=topics, data=words(settled, 0))


class Logs:
    """`eth_getLogs` over a fixed set, refusing ranges above a bound."""

    def __init__(self, *logs: dict[str, Any], blocks_max: int = 10**9) -> None:
        self.logs = logs
        self.blocks_max = blocks_max
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, query: dict[str, Any]) -> RpcResult:
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        self.ranges.append((first, last))
        if last - first + 1 > self.blocks_max:
            return RpcError(-32005, "query returned more than 10000 results")
        return RpcOk([item for item in self.logs if first <= int(item["blockNumber"], 16) <= last])


def endpoint_with(logs: Logs, name: str = "a") -> ScriptedTransport:
    endpoint = ScriptedTransport(name)
    endpoint.methods["eth_getLogs"] = logs
    return endpoint


GOOD = (settled_log(50, 0), batch_log(50, 1, settled=1))


def test_settler_events__complete_batch__in_chain_order() -> None:
    logs = Logs(batch_log(50, 3, settled=1), settled_log(50, 2))

    events = client_of(endpoint_with(logs)).settler_events([SETTLER], from_block=0, to_block=100)

    assert [type(event) for event in events] == [RedemptionSettledEvent, BatchSettledEvent]


def test_settler_events__an_event_left_out__transient() -> None:
    logs = Logs(batch_log(50, 3, settled=2), settled_log(50, 2))

    with pytest.raises(Transient, match="left out"):
        client_of(endpoint_with(logs)).settler_events([SETTLER], from_block=0, to_block=100)


def test_settler_events__batch_event_left_out__transient() -> None:
    logs = Logs(settled_log(50, 2))

    with pytest.raises(Transient, match="left out"):
        client_of(endpoint_with(logs)).settler_events([SETTLER], from_block=0, to_block=100)


def test_settler_events__above_the_agreed_head__invalid_input() -> None:
    with pytest.raises(InvalidInput, match="above the agreed head 100"):
        client_of(endpoint_with(Logs())).settler_events([SETTLER], from_block=0, to_block=101)


def test_settler_events__no_settlers__nothing_asked() -> None:
    logs = Logs()

    assert client_of(endpoint_with(logs)).settler_events([], from_block=0, to_block=9) == []
    assert logs.ranges == []


def test_settler_events__range_refused__pages_halve_and_cover_every_block_once() -> None:
    logs = Logs(blocks_max=20)

    client_of(endpoint_with(logs)).settler_events([SETTLER], from_block=0, to_block=100)

    accepted = [(first, last) for first, last in logs.ranges if last - first + 1 <= 20]
    covered = [number for first, last in accepted for number in range(first, last + 1)]
    assert covered == list(range(101))


def test_settler_events__range_not_answered__less_is_asked_each_time_until_all_is_read() -> None:
    logs = Logs()
    endpoint = endpoint_with(logs)

    def answer(query: dict[str, Any]) -> RpcResult:
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= 20:
            raise TransportFailed("endpoint a gave no answer (AnswerTooSlow)")
        return logs(query)

    endpoint.methods["eth_getLogs"] = answer
    client = client_of(endpoint)

    for _ in range(3):  # 101 blocks, 50, 25
        with pytest.raises(Transient):
            client.settler_events([SETTLER], from_block=0, to_block=100)
    client.settler_events([SETTLER], from_block=0, to_block=100)

    covered = [number for first, last in logs.ranges for number in range(first, last + 1)]
    assert covered == list(range(101))


def test_settler_events__range_answered_again__pages_grow_back() -> None:
    logs = Logs()
    endpoint = endpoint_with(logs)
    client = client_of(endpoint, policy=PoolPolicy(log_page_blocks=100))

    def answer(_query: dict[str, Any]) -> RpcResult:
        raise TransportFailed("endpoint a gave no answer (ReadTimeout)")

    endpoint.methods["eth_getLogs"] = answer
    for _ in range(8):
        with pytest.raises(Transient):
            client.settler_events([SETTLER], from_block=0, to_block=99)
    endpoint.methods["eth_getLogs"] = logs
    for _ in range(9):
        client.settler_events([SETTLER], from_block=0, to_block=99)

    assert logs.ranges[-1] == (0, 99)


def test_settler_events__range_refused__endpoint_is_not_blamed() -> None:
    client = client_of(endpoint_with(Logs(blocks_max=20)))

    client.settler_events([SETTLER], from_block=0, to_block=100)

    assert client.health()[0].last_error is None


def test_settler_events__one_block_still_refused__transient() -> None:
    with pytest.raises(Transient):
        client_of(endpoint_with(Logs(blocks_max=0))).settler_events(
            [SETTLER], from_block=7, to_block=7
        )


def test_settler_events__page_size__never_above_the_configured() -> None:
    logs = Logs()

    client_of(endpoint_with(logs), policy=PoolPolicy(log_page_blocks=30)).settler_events(
        [SETTLER], from_block=0, to_block=100
    )

    assert logs.ranges == [(0, 29), (30, 59), (60, 89), (90, 100)]


def test_settler_events__endpoints_lost_the_head__next_endpoints_are_asked() -> None:
    """As many as must agree lag behind, and give the same too little."""
    lagging = [endpoint_with(Logs(), name) for name in "ab"]
    good = [endpoint_with(Logs(*GOOD), name) for name in "cd"]
    client = client_of(*lagging, *good)
    client.refresh()
    for endpoint in lagging:
        endpoint.head = 40

    assert len(client.settler_events([SETTLER], from_block=0, to_block=100)) == 2


def test_settler_events__logs_of_other_blocks__transient() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getLogs"] = lambda _query: RpcOk([settled_log(5, 0)])

    with pytest.raises(Transient):
        client_of(endpoint).settler_events([SETTLER], from_block=50, to_block=60)


def test_settler_events__log_marked_removed__transient() -> None:
    logs = Logs(settled_log(50, 0) | {"removed": True})

    with pytest.raises(Transient):
        client_of(endpoint_with(logs)).settler_events([SETTLER], from_block=0, to_block=100)


CUT = {"data": "0x"}
SPOILT = [
    pytest.param([GOOD[0] | CUT, GOOD[1]], id="an event without its data"),
    pytest.param([GOOD[1]], id="an event left out"),
    pytest.param([*GOOD, GOOD[0]], id="a log twice"),
    pytest.param([*GOOD, log(50, 2, address=TOKEN, topics=GOOD[0]["topics"])], id="a stranger's"),
    pytest.param([*GOOD, log(50, 2, topics=[TRANSFER_TOPIC])], id="another topic"),
    pytest.param([*GOOD, log(50, 2)], id="no topic"),
    pytest.param([*GOOD, GOOD[0] | {"logIndex": "0x_2"}], id="an odd number"),
    pytest.param([*GOOD, None], id="a null"),
    pytest.param("0x", id="no list"),
    pytest.param(None, id="null"),
]


@pytest.mark.parametrize("answer", SPOILT)
def test_settler_events__first_endpoint_spoils_them__another_is_asked_and_it_is_blamed(
    answer: Any,
) -> None:
    bad = ScriptedTransport("bad")
    bad.methods["eth_getLogs"] = lambda _query: RpcOk(answer)
    client = client_of(bad, *[endpoint_with(Logs(*GOOD), name) for name in "bc"])

    events = client.settler_events([SETTLER], from_block=0, to_block=100)

    assert [type(event) for event in events] == [RedemptionSettledEvent, BatchSettledEvent]
    assert client.health()[0].last_error is not None


@pytest.mark.parametrize("answer", SPOILT)
def test_settler_events__one_of_two_spoils_them_and_nothing_proves__transient_and_kept(
    answer: Any,
) -> None:
    bad = ScriptedTransport("bad")
    bad.methods["eth_getLogs"] = lambda _query: RpcOk(answer)

    with pytest.raises(Transient):
        client_of(bad, endpoint_with(Logs(*GOOD), "good")).settler_events(
            [SETTLER], from_block=0, to_block=100
        )


@pytest.mark.parametrize("liar", [0, 1])
def test_settler_events__one_of_three_leaves_out_a_batch__given_and_it_is_blamed(liar: int) -> None:
    endpoints = [endpoint_with(Logs(*GOOD), name) for name in "abc"]
    endpoints[liar].methods["eth_getLogs"] = Logs()
    client = client_of(*endpoints)

    assert len(client.settler_events([SETTLER], from_block=0, to_block=100)) == 2
    why = client.health()[liar].contradiction or ""
    assert "it gives 0 logs in block 50, and there are 2 logs in block 50" in why


def test_settler_events__one_of_three_always_wants_less__the_others_decide_at_once() -> None:
    small = endpoint_with(Logs(*GOOD, blocks_max=1), "small")
    others = [endpoint_with(Logs(*GOOD), name) for name in "bc"]

    client_of(small, *others).settler_events([SETTLER], from_block=0, to_block=100)

    assert [(0, 100)] == others[0].methods["eth_getLogs"].ranges  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [b"", b"\x01"])
def test_transfers__first_endpoint_spoils_them__another_is_asked(data: bytes) -> None:
    topics = [TRANSFER_TOPIC, address_topic(ACCOUNT), address_topic(OTHER)]
    bad = endpoint_with(Logs(log(10, 0, address=TOKEN, topics=topics, data=data)), "bad")
    right = Logs(log(10, 0, address=TOKEN, topics=topics, data=words(5)))
    good = [endpoint_with(right, name) for name in "bc"]

    (transfer,) = client_of(bad, *good).transfers(TOKEN, from_block=0, to_block=100)

    assert transfer.value_base_units == 5


def test_transfers__of_another_token__transient() -> None:
    topics = [TRANSFER_TOPIC, address_topic(ACCOUNT), address_topic(OTHER)]
    logs = Logs(log(10, 0, address=SETTLER, topics=topics, data=words(5)))

    with pytest.raises(Transient, match="not asked about"):
        client_of(endpoint_with(logs)).transfers(TOKEN, from_block=0, to_block=100)


def test_transfers__filtered_by_receiver__topics_by_position() -> None:
    asked: list[Any] = []
    endpoint = ScriptedTransport("a")

    def answer(query: dict[str, Any]) -> RpcResult:
        asked.append(query["topics"])
        topics = [TRANSFER_TOPIC, address_topic(ACCOUNT), address_topic(OTHER)]
        return RpcOk([log(10, 0, address=TOKEN, topics=topics, data=words(5))])

    endpoint.methods["eth_getLogs"] = answer

    (transfer,) = client_of(endpoint).transfers(TOKEN, from_block=0, to_block=100, to_address=OTHER)

    assert asked == [[[TRANSFER_TOPIC], None, [address_topic(OTHER)]]]
    assert (transfer.from_address, transfer.value_base_units) == (ACCOUNT, 5)


def test_transfers__erc_721_with_four_topics__left_out() -> None:
    topics = [TRANSFER_TOPIC, address_topic(ACCOUNT), address_topic(OTHER), hash_of("id")]
    logs = Logs(log(10, 0, address=TOKEN, topics=topics))

    assert client_of(endpoint_with(logs)).transfers(TOKEN, from_block=0, to_block=100) == []
