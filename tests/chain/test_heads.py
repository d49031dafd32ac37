"""Which head and which blocks are the chain's."""

from __future__ import annotations

import pytest

from settlement_node.chain.client import PoolPolicy
from settlement_node.chain.wire.transport import RpcError, RpcOk
from settlement_node.errors import InvalidInput, Transient

from .scripted import CHAIN_ID, Clock, ScriptedTransport, block, block_hash, client_of


def test_refresh__one_endpoint__its_head_in_one_round_trip() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.safe, endpoint.finalized = 90, 80

    client = client_of(endpoint)
    view = client.refresh()

    assert (view.head.number, view.safe_number, view.finalized_number) == (100, 90, 80)
    before = endpoint.round_trips
    client.refresh()
    assert endpoint.round_trips == before + 1


def test_refresh__endpoints_level__one_round_trip_each() -> None:
    endpoints = [ScriptedTransport("a"), ScriptedTransport("b")]

    client_of(*endpoints).refresh()

    assert [endpoint.round_trips for endpoint in endpoints] == [1, 1]


def test_refresh__no_safe_tag__none_and_not_zero() -> None:
    endpoint = ScriptedTransport("a")

    view = client_of(endpoint).refresh()

    assert (view.safe_number, view.finalized_number) == (None, None)


def test_refresh__one_endpoint_ahead__head_both_have() -> None:
    ahead, behind = ScriptedTransport("ahead", 105), ScriptedTransport("behind", 103)

    assert client_of(ahead, behind).refresh().head.number == 103


def test_refresh__endpoint_far_ahead_alone__not_believed() -> None:
    liar = ScriptedTransport("liar", 10**6)

    head = client_of(liar, ScriptedTransport("b"), ScriptedTransport("c")).refresh().head

    assert head.number == 100


def test_refresh__two_against_one_at_the_tip__majority_block() -> None:
    odd = ScriptedTransport("odd")
    odd.fork_from(100, "other")

    client = client_of(odd, ScriptedTransport("b"), ScriptedTransport("c"))

    assert client.refresh().head.block_hash == block_hash(100)


def test_refresh__two_endpoints_differ_at_the_tip__last_common_block() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    second.fork_from(99, "other")

    head = client_of(first, second).refresh().head

    assert (head.number, head.block_hash) == (98, block_hash(98))


def test_refresh__endpoints_share_no_block__transient() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    second.fork_from(0, "other")

    with pytest.raises(Transient, match="disagree"):
        client_of(first, second).refresh()


def test_refresh__one_of_two_down__transient_and_no_head_from_the_other() -> None:
    down = ScriptedTransport("down")
    down.down = True

    with pytest.raises(Transient, match="2 must agree"):
        client_of(down, ScriptedTransport("b")).refresh()


def test_refresh__one_of_three_down__the_others_agree() -> None:
    down = ScriptedTransport("down")
    down.down = True

    client = client_of(down, ScriptedTransport("b"), ScriptedTransport("c"))

    assert client.refresh().head.number == 100


def test_refresh__wrong_chain__that_endpoint_has_no_say() -> None:
    stranger = ScriptedTransport("stranger")
    stranger.chain_id = 1

    with pytest.raises(Transient):
        client_of(stranger, ScriptedTransport("b")).refresh()


def test_refresh__head_falls_back_on_one_chain__ignored() -> None:
    endpoint = ScriptedTransport("a", 105)
    client = client_of(endpoint)
    client.refresh()
    endpoint.head = 103

    assert client.refresh().head.number == 105


def test_refresh__head_stays_back_past_the_tolerance__followed() -> None:
    clock, endpoint = Clock(), ScriptedTransport("a", 105)
    client = client_of(endpoint, clock=clock)
    client.refresh()
    endpoint.head = 103
    client.refresh()
    clock.seconds = PoolPolicy().backward_tolerance_seconds

    assert client.refresh().head.number == 103


def test_refresh__flapping_endpoint__never_goes_back() -> None:
    clock, endpoint = Clock(), ScriptedTransport("a")
    client = client_of(endpoint, clock=clock)
    seen = []
    for step, head in enumerate([100, 98, 101, 97, 99, 102, 100]):
        clock.seconds, endpoint.head = step * 12.0, head
        seen.append(client.refresh().head.number)

    assert seen == [100, 100, 101, 101, 101, 102, 102]


def test_refresh__lower_head_with_another_hash__a_reorganisation_is_followed() -> None:
    endpoint = ScriptedTransport("a", 103)
    client = client_of(endpoint)
    client.refresh()
    endpoint.head = 105
    client.refresh()
    endpoint.head = 103
    endpoint.fork_from(103, "other")

    assert client.refresh().head.block_hash == block_hash(103, "other")


def test_refresh__same_height_with_another_hash__followed() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.fork_from(100, "other")

    assert client.refresh().head.block_hash == block_hash(100, "other")


def test_refresh__transient__last_view_stays() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.down = True
    with pytest.raises(Transient):
        client.refresh()
    endpoint.down = False

    assert client.blocks([100])[100].block_hash == block_hash(100)


def test_refresh__tags_differ__the_one_that_enough_have_reached() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    first.finalized, second.finalized = 96, 64

    assert client_of(first, second).refresh().finalized_number == 64


def test_refresh__tag_above_the_agreed_head__cut_to_the_head() -> None:
    ahead, behind = ScriptedTransport("ahead", 110), ScriptedTransport("behind", 100)
    ahead.safe, behind.safe = 110, 100

    view = client_of(ahead, behind, policy=PoolPolicy(agreement=2)).refresh()

    assert view.safe_number == view.head.number == 100


def made_up(endpoint: ScriptedTransport, number: int) -> None:
    """Have the endpoint call a block safe that is on no chain."""
    plain = endpoint._block
    endpoint.methods["eth_getBlockByNumber"] = lambda which, _: RpcOk(
        block(number, "made up") if which == "safe" else plain(which)
    )


@pytest.mark.parametrize("number", [95, 100, 10**6])
def test_refresh__most_endpoints_make_up_a_safe_block__not_believed(number: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"]
    for endpoint in endpoints:
        endpoint.safe = 90
    for endpoint in endpoints[:2]:
        made_up(endpoint, number)

    view = client_of(*endpoints, policy=PoolPolicy(agreement=2)).refresh()

    assert view.safe_number in (90, None)


def test_refresh__the_only_endpoint_makes_up_a_safe_block__no_safe_block() -> None:
    endpoint = ScriptedTransport("a")
    made_up(endpoint, 10**6)

    assert client_of(endpoint).refresh().safe_number is None


def test_blocks__above_the_agreed_head__left_out() -> None:
    client = client_of(ScriptedTransport("a"), ScriptedTransport("b"))

    assert set(client.blocks([99, 100, 101])) == {99, 100}


def test_blocks__asked_again_on_the_same_head__answered_from_memory() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.blocks([97, 98])
    before = endpoint.round_trips

    client.blocks([98, 97, 100])

    assert endpoint.round_trips == before


def test_blocks__after_a_reorganisation__the_new_ones() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.blocks([99])
    endpoint.fork_from(99, "other")
    client.refresh()

    assert client.blocks([99])[99].block_hash == block_hash(99, "other")


def test_blocks__second_endpoint_cannot_confirm__transient() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    client = client_of(first, second)
    client.refresh()
    second.down = True

    with pytest.raises(Transient, match="the blocks below the head, 2 must agree"):
        client.blocks([95])


def test_blocks__endpoint_lost_the_agreed_head__has_no_say() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.fork_from(90, "other")

    with pytest.raises(Transient):
        client.blocks([95])


def test_blocks__endpoint_answers_another_height__transient() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.methods["eth_getBlockByNumber"] = lambda *_: RpcError(-32000, "internal")

    with pytest.raises(Transient):
        client.blocks([95])


def test_check_chain_id__another_chain__names_endpoint_and_both_ids() -> None:
    stranger = ScriptedTransport("stranger")
    stranger.chain_id = 1

    with pytest.raises(InvalidInput) as caught:
        client_of(ScriptedTransport("a"), stranger).check_chain_id()

    assert caught.value.details == {
        "endpoint": "stranger",
        "chain_id": CHAIN_ID,
        "answered_chain_id": 1,
    }


def test_check_chain_id__endpoint_silent__transient() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.down = True

    with pytest.raises(Transient):
        client_of(endpoint).check_chain_id()


def test_blocks__a_header_that_does_not_name_its_parent__transient_and_not_kept() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    plain = endpoint._block
    made_up = {hex(97): block(97, "made up")}
    endpoint.methods["eth_getBlockByNumber"] = lambda which, _: RpcOk(
        made_up.get(which) or plain(which)
    )

    with pytest.raises(Transient, match="do not follow one another"):
        client.blocks([96, 97, 98])

    made_up.clear()
    assert client.blocks([97])[97].block_hash == block_hash(97)


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_refresh__one_of_three_changes_a_field_of_the_head__not_believed(liar: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"]
    plain = endpoints[liar]._block
    endpoints[liar].methods["eth_getBlockByNumber"] = lambda which, _: RpcOk(
        (plain(which) or {}) | {"timestamp": "0x1", "gasLimit": "0x1"}
    )

    client = client_of(*endpoints)

    head = client.refresh().head

    assert (head.timestamp_seconds, head.gas_limit) == (1_100, 30_000_000)
    assert [item.contradiction is not None for item in client.health()] == [
        number == liar for number in range(3)
    ]


@pytest.mark.parametrize("liar", [0, 1])
def test_blocks__one_of_three_has_another_below_the_agreed_head__blamed(liar: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"]
    client = client_of(*endpoints)
    client.refresh()
    plain = endpoints[liar]._block
    endpoints[liar].methods["eth_getBlockByNumber"] = lambda which, _: RpcOk(
        block(95, "made up") if which == hex(95) else plain(which)
    )

    assert client.blocks([95])[95].block_hash == block_hash(95)
    assert "block 95" in (client.health()[liar].contradiction or "")


def test_blocks__two_differ_below_the_agreed_head__transient_and_both_named() -> None:
    endpoints = [ScriptedTransport(name) for name in "ab"]
    client = client_of(*endpoints)
    client.refresh()
    plain = endpoints[0]._block
    endpoints[0].methods["eth_getBlockByNumber"] = lambda which, _: RpcOk(
        block(95, "made up") if which == hex(95) else plain(which)
    )

    with pytest.raises(Transient, match=r"a says .*, b says"):
        client.blocks([95])


@pytest.mark.parametrize("liar", [0, 1, 2])
@pytest.mark.parametrize("count", [2, 3])
def test_refresh__one_endpoint_calls_the_head_final__not_believed(liar: int, count: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"[:count]]
    for endpoint in endpoints:
        endpoint.safe = endpoint.finalized = 80
    endpoints[min(liar, count - 1)].safe = endpoints[min(liar, count - 1)].finalized = 100

    view = client_of(*endpoints).refresh()

    assert (view.safe_number, view.finalized_number) == (80, 80)
