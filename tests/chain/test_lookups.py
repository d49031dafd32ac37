"""Receipts: mined, absent and unknown are three things."""

from __future__ import annotations

import pytest

from settlement_node.chain.transport import RpcError, RpcOk
from settlement_node.errors import Transient

from .scripted import ACCOUNT, ScriptedTransport, block_hash, client_of, hash_of, receipt

MINED, PENDING = hash_of("mined"), hash_of("pending")


def test_receipts__mined_on_the_agreed_chain__the_receipt() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = receipt(MINED, 95, status=0)

    found = client_of(endpoint).receipts([MINED])[MINED]

    assert found is not None
    assert (found.block_hash, found.succeeded) == (block_hash(95), False)


def test_receipts__null_from_an_endpoint_with_the_head__none() -> None:
    assert client_of(ScriptedTransport("a")).receipts([PENDING]) == {PENDING: None}


def test_receipts__null_from_an_endpoint_behind_the_head__transient() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.head = 99

    with pytest.raises(Transient, match="unknown"):
        client.receipts([PENDING])


def test_receipts__null_from_an_endpoint_on_a_fork__transient() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.fork_from(98, "other")

    with pytest.raises(Transient):
        client.receipts([PENDING])


def test_receipts__lookup_errors__transient_naming_the_hash() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = RpcError(-32000, "transaction indexing is in progress")

    with pytest.raises(Transient) as caught:
        client_of(endpoint).receipts([PENDING, MINED])

    assert caught.value.details["transaction_hashes"] == (MINED,)


def test_receipts__first_endpoint_errors__answered_by_the_next() -> None:
    broken, good = ScriptedTransport("broken"), ScriptedTransport("good")
    broken.receipts[MINED] = RpcError(-32000, "internal error")
    good.receipts[MINED] = receipt(MINED, 95)

    found = client_of(broken, good).receipts([MINED])[MINED]

    assert found is not None


def test_receipts__one_says_null_and_another_has_it__the_receipt_wins() -> None:
    indexing, good = ScriptedTransport("indexing"), ScriptedTransport("good")
    good.receipts[MINED] = receipt(MINED, 95)

    found = client_of(indexing, good).receipts([MINED])[MINED]

    assert found is not None


def test_receipts__receipt_in_a_block_of_a_fork__does_not_count() -> None:
    forked = ScriptedTransport("forked")
    forked.receipts[MINED] = receipt(MINED, 95, "other")
    honest = [ScriptedTransport("b"), ScriptedTransport("c")]

    assert client_of(forked, *honest).receipts([MINED]) == {MINED: None}


def test_receipts__only_source_is_on_a_fork__transient_and_not_none() -> None:
    endpoint = ScriptedTransport("a")
    client = client_of(endpoint)
    client.refresh()
    endpoint.receipts[MINED] = receipt(MINED, 95, "other")

    with pytest.raises(Transient):
        client.receipts([MINED])


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

    with pytest.raises(Transient):
        client_of(endpoint).receipts([MINED])


def test_receipts__receipt_of_another_transaction__transient() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.receipts[MINED] = receipt(PENDING, 95)

    with pytest.raises(Transient):
        client_of(endpoint).receipts([MINED])


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


def test_transactions_seen__any_endpoint_has_it__true() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    first.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(None)
    found = {"hash": PENDING, "from": ACCOUNT.lower(), "nonce": "0x9"}
    second.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(found)

    assert client_of(first, second).transactions_seen([PENDING]) == {PENDING: True}


@pytest.mark.parametrize("answer", [{}, [], "0x", False, {"hash": "0x"}])
def test_transactions_seen__only_nonsense__transient_and_neither_true_nor_false(
    answer: object,
) -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(answer)

    with pytest.raises(Transient):
        client_of(endpoint).transactions_seen([PENDING])


def test_transactions_seen__null_everywhere__false() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(None)

    assert client_of(endpoint).transactions_seen([PENDING]) == {PENDING: False}


def test_transactions_seen__only_errors__transient_and_not_false() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getTransactionByHash"] = lambda _hash: RpcError(-32000, "busy")

    with pytest.raises(Transient):
        client_of(endpoint).transactions_seen([PENDING])


def test_transaction_place__only_the_second_endpoint_has_it__found() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    first.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(None)
    found = {"hash": MINED, "from": ACCOUNT.lower(), "nonce": "0x9"}
    second.methods["eth_getTransactionByHash"] = lambda _hash: RpcOk(found)

    assert client_of(first, second).transaction_place(MINED) == (ACCOUNT, 9)
