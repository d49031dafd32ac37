"""Receipts: mined, absent and unknown are three things."""

from __future__ import annotations

import pytest

from settlement_node.chain.endpoints.agreement import EndpointsDisagree
from settlement_node.chain.views import Undecided
from settlement_node.chain.wire.transport import RpcError, RpcOk
from settlement_node.domain.observations import Receipt
from settlement_node.errors import Transient

from .scripted import ACCOUNT, OTHER, ScriptedTransport, block_hash, client_of, hash_of, receipt

MINED, PENDING = hash_of("mined"), hash_of("pending")


def test_receipts__mined_on_the_agreed_chain__the_receipt() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = receipt(MINED, 95, status=0)

    found = client_of(endpoint).receipts([MINED])[MINED]

    assert found is not None
    assert (found.block_hash, found.succeeded) == (block_hash(95), False)


def test_receipts__null_from_an_endpoint_with_the_head__none() -> None:
    assert client_of(ScriptedTransport("a")).receipts([PENDING]) == {PENDING: None}


def test_receipts__null_from_an_endpoint_behind_the_head__undecided() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.head = 99

    assert isinstance(client.receipts([PENDING])[PENDING], Undecided)


def test_receipts__null_from_an_endpoint_on_a_fork__undecided() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.fork_from(98, "other")

    assert isinstance(client.receipts([PENDING])[PENDING], Undecided)


def test_receipts__lookup_errors__undecided_and_the_others_are_not() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = RpcError(-32000, "transaction indexing is in progress")

    found = client_of(endpoint).receipts([PENDING, MINED])

    assert found[PENDING] is None
    assert found[MINED] == Undecided("transaction indexing is in progress")


def test_receipts__lookup_fails_now_and_then__asked_again_at_once() -> None:
    endpoint = ScriptedTransport("a")
    left = [RpcError(-32000, "busy"), RpcError(-32000, "busy"), RpcOk(receipt(MINED, 95))]
    endpoint.methods["eth_getTransactionReceipt"] = lambda _hash: left.pop(0)

    assert isinstance(client_of(endpoint).receipts([MINED])[MINED], Receipt)


def test_receipts__first_endpoint_errors__answered_by_the_others() -> None:
    broken, *good = [ScriptedTransport(name) for name in "abc"]
    broken.receipts[MINED] = RpcError(-32000, "internal error")
    for endpoint in good:
        endpoint.receipts[MINED] = receipt(MINED, 95)

    assert isinstance(client_of(broken, *good).receipts([MINED])[MINED], Receipt)


def test_receipts__one_of_two_says_null__undecided_and_both_named() -> None:
    first, second = ScriptedTransport("first"), ScriptedTransport("second")
    second.receipts[MINED] = receipt(MINED, 95)
    client = client_of(first, second)

    found = client.receipts([MINED])[MINED]

    assert isinstance(found, Undecided)
    (disagreement,) = client.disagreements()
    assert "first says no receipt, second says succeeded in block 95" in disagreement.detail
    assert all(health.contradiction is None for health in client.health())


def test_receipts__they_agree_at_last__the_disagreement_is_over() -> None:
    first, second = ScriptedTransport("first"), ScriptedTransport("second")
    second.receipts[MINED] = receipt(MINED, 95)
    client = client_of(first, second)
    client.receipts([MINED])
    first.receipts[MINED] = receipt(MINED, 95)

    assert isinstance(client.receipts([MINED])[MINED], Receipt)
    assert client.disagreements() == []


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_receipts__one_of_three_calls_it_reverted__not_believed_and_blamed(liar: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"]
    for endpoint in endpoints:
        endpoint.receipts[MINED] = receipt(MINED, 95)
    endpoints[liar].receipts[MINED] = receipt(MINED, 95, status=0)
    client = client_of(*endpoints)

    found = client.receipts([MINED])[MINED]

    assert isinstance(found, Receipt)
    assert found.succeeded
    asked = liar < 2  # who is third in the order is not needed
    assert asked == (client.health()[liar].contradiction is not None)


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_receipts__one_of_three_makes_one_up__absent_all_the_same(liar: int) -> None:
    endpoints = [ScriptedTransport(name) for name in "abc"]
    endpoints[liar].receipts[PENDING] = receipt(PENDING, 95)

    assert client_of(*endpoints).receipts([PENDING]) == {PENDING: None}


def test_receipts__receipt_in_a_block_of_a_fork__does_not_count() -> None:
    forked = ScriptedTransport("forked")
    forked.receipts[MINED] = receipt(MINED, 95, "other")
    honest = [ScriptedTransport("b"), ScriptedTransport("c")]

    assert client_of(forked, *honest).receipts([MINED]) == {MINED: None}


def test_receipts__only_source_is_on_a_fork__undecided_and_not_none() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.receipts[MINED] = receipt(MINED, 95, "other")

    assert isinstance(client.receipts([MINED])[MINED], Undecided)


def test_receipts__mined_above_the_agreed_head__not_there_yet() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.head = 101
    endpoint.receipts[MINED] = receipt(MINED, 101)

    before = client.receipts([MINED])
    client.refresh()
    after = client.receipts([MINED])

    assert before == {MINED: None}
    assert after[MINED] is not None


def test_receipts__no_status__never_taken_for_success() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = receipt(MINED, 95) | {"status": None}

    assert isinstance(client_of(endpoint).receipts([MINED])[MINED], Undecided)


def test_receipts__receipt_of_another_transaction__undecided() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = receipt(PENDING, 95)

    assert isinstance(client_of(endpoint).receipts([MINED])[MINED], Undecided)


def test_receipts__all_endpoints_down__transient() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.down = True

    with pytest.raises(Transient):
        client.receipts([MINED])


def test_receipts__many_hashes__one_round_trip_and_every_hash_a_key() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    hashes = [hash_of(str(index)) for index in range(150)]
    before = endpoint.round_trips

    found = client.receipts(hashes)

    assert list(found) == hashes
    assert endpoint.round_trips == before + 1


def test_receipts__none_asked__nothing_asked() -> None:
    endpoint = ScriptedTransport("a")

    assert client_of(endpoint).receipts([]) == {}


@pytest.mark.parametrize("answer", [{}, [], "0x", False, {"hash": "0x"}])
def test_transaction_place__only_nonsense__transient_and_no_absence(answer: object) -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(answer)

    with pytest.raises(Transient):
        client_of(endpoint).transaction_place(PENDING)


def test_transaction_place__null_everywhere__none() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(None)

    assert client_of(endpoint).transaction_place(PENDING) is None


def test_transaction_place__only_errors__transient_and_no_absence() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcError(-32000, "busy")

    with pytest.raises(Transient):
        client_of(endpoint).transaction_place(PENDING)


PLACE = {"hash": MINED, "from": ACCOUNT.lower(), "nonce": "0x9"}


def placed(**places: object) -> list[ScriptedTransport]:
    """Endpoints by name, each with its answer to where a transaction stands."""
    endpoints = []
    for name, place in places.items():
        endpoint = ScriptedTransport(name)
        endpoint.methods["eth_getTransactionByHash"] = lambda _hash, place=place: RpcOk(place)
        endpoints.append(endpoint)
    return endpoints


def test_transaction_place__two_of_three_have_it__found() -> None:
    client = client_of(*placed(a=None, b=PLACE, c=PLACE))

    assert client.transaction_place(MINED) == (ACCOUNT, 9)


def test_transaction_place__one_of_two_has_it_and_nothing_proves_it__transient() -> None:
    with pytest.raises(EndpointsDisagree):
        client_of(*placed(a=None, b=PLACE)).transaction_place(MINED)


def test_transaction_place__one_of_three_names_another_sender__not_believed_and_blamed() -> None:
    client = client_of(*placed(a=PLACE | {"from": OTHER.lower()}, b=PLACE, c=PLACE))

    assert client.transaction_place(MINED) == (ACCOUNT, 9)
    assert "the sender of transaction" in (client.health()[0].contradiction or "")


def test_transaction_place__one_says_null_and_the_other_nothing__transient() -> None:
    silent, null = placed(silent=PLACE, null=None)
    client = client_of(silent, null)
    client.refresh()
    silent.down = True

    with pytest.raises(Transient):
        client.transaction_place(MINED)
