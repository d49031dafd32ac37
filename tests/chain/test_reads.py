"""State is read at the agreed head; a revert is an answer, an error is not."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode

from settlement_node.chain.contracts.settler import (
    GAS_TOO_LOW_SELECTOR,
    PREVIEW_RESULT_SELECTOR,
    SETTLER_PAUSED_SELECTOR,
)
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReturned, CallReverted
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult
from settlement_node.chain.wire.words import selector
from settlement_node.errors import InvalidInput, Refused, Transient

from .scripted import (
    ACCOUNT,
    OTHER,
    SETTLER,
    TOKEN,
    ScriptedTransport,
    block_hash,
    client_of,
    item,
)

AT_HEAD = {"blockHash": block_hash(100)}


def word(number: int) -> str:
    return f"0x{number:064x}"


def test_nonce__at_the_head_or_below__at_the_agreed_blocks_hash() -> None:
    asked: list[Any] = []
    endpoint = ScriptedTransport("a")

    def answer(*params: Any) -> RpcResult:
        asked.append(params)
        return RpcOk("0x9")

    endpoint.methods["eth_getTransactionCount"] = answer
    client = client_of(endpoint)

    assert [client.nonce(ACCOUNT), client.nonce(ACCOUNT, 5)] == [9, 9]
    assert asked == [(ACCOUNT, AT_HEAD), (ACCOUNT, {"blockHash": block_hash(5)})]


def test_calls__at_the_head_or_below__at_the_blocks_hash() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_call"] = lambda *_: RpcOk("0xaa")
    client = client_of(endpoint)

    client.calls([CallRequest(TOKEN, b"")])
    client.calls([CallRequest(TOKEN, b"")], block=5)

    asked = [item.params[1] for item in endpoint.asked if item.method == "eth_call"]
    assert asked == [AT_HEAD, {"blockHash": block_hash(5)}]


def test_native_balance__endpoint_lacks_the_head__next_one_answers() -> None:
    lagging, *good = [ScriptedTransport(name) for name in "abc"]
    lagging.methods["eth_getBalance"] = lambda *_: RpcError(-32000, "header not found")
    for endpoint in good:
        endpoint.methods["eth_getBalance"] = lambda *_: RpcOk("0x5")

    assert client_of(lagging, *good).native_balance(ACCOUNT) == 5


def test_native_balance__nobody_has_the_head__transient() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getBalance"] = lambda *_: RpcError(-32000, "header not found")

    with pytest.raises(Transient, match="header not found"):
        client_of(endpoint).native_balance(ACCOUNT)


@pytest.mark.parametrize("value", [None, 5, "5", "0xzz", {}])
def test_native_balance__not_a_quantity__transient_and_not_zero(value: object) -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getBalance"] = lambda *_: RpcOk(value)

    with pytest.raises(Transient):
        client_of(endpoint).native_balance(ACCOUNT)


def test_native_balance__pending__invalid_input() -> None:
    with pytest.raises(InvalidInput):
        client_of(ScriptedTransport("a")).native_balance(ACCOUNT, "pending")


@pytest.mark.parametrize(("code", "has_code"), [("0x", False), ("0x60", True)])
def test_has_code__code_at_the_address__whether(code: str, has_code: bool) -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_getCode"] = lambda *_: RpcOk(code)

    assert client_of(endpoint).has_code(ACCOUNT) is has_code


def test_calls__returned_and_reverted__both_are_outcomes() -> None:
    answers = {"0x01": RpcOk("0xaa"), "0x02": RpcError(3, "execution reverted", "0xbb")}
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_call"] = lambda call, _block: answers[call["data"]]

    outcomes = client_of(endpoint).calls([CallRequest(TOKEN, b"\x01"), CallRequest(TOKEN, b"\x02")])

    assert outcomes == [
        CallReturned(b"\xaa"),
        CallReverted(b"\xbb", "execution reverted", out_of_gas=False),
    ]


def preview_client(*answers: RpcResult) -> tuple[Any, list[Any]]:
    """A client whose endpoint answers previews one after the other."""
    asked: list[Any] = []
    left = list(answers)
    endpoint = ScriptedTransport("a")

    def answer(call: dict[str, str], _block: object) -> RpcResult:
        asked.append(call)
        return left.pop(0) if len(left) > 1 else left[0]

    endpoint.methods["eth_call"] = answer
    return client_of(endpoint), asked


def preview_result(*indexes: int) -> RpcError:
    rows = [(bytes.fromhex(item(index).redemption_id_hex[2:]), 0, 9, b"") for index in indexes]
    data = PREVIEW_RESULT_SELECTOR + abi_encode(["(bytes32,uint8,uint256,bytes)[]"], [rows])
    return RpcError(3, "execution reverted", "0x" + data.hex())


def reverted(data: bytes) -> RpcError:
    return RpcError(3, "execution reverted", "0x" + data.hex())


def test_preview__result__one_per_item_and_called_by_the_operator() -> None:
    client, asked = preview_client(preview_result(1, 2))

    previews = client.preview(SETTLER, [item(1), item(2)], from_address=ACCOUNT)

    assert [one.gas_used for one in previews] == [9, 9]
    assert asked[0]["from"] == ACCOUNT


def test_preview__paused__refused_with_its_reason() -> None:
    client, _ = preview_client(reverted(SETTLER_PAUSED_SELECTOR))

    with pytest.raises(Refused) as caught:
        client.preview(SETTLER, [item(1)], from_address=ACCOUNT)

    assert caught.value.details["reason"] == "settler_paused"


@pytest.mark.parametrize(
    "bounded",
    [reverted(GAS_TOO_LOW_SELECTOR + bytes(64)), RpcError(-32000, "out of gas")],
)
def test_preview__too_large_for_one_call__in_halves_and_in_order(bounded: RpcError) -> None:
    client, _ = preview_client(bounded, preview_result(1), preview_result(2, 3))

    previews = client.preview(SETTLER, [item(1), item(2), item(3)], from_address=ACCOUNT)

    assert [one.redemption_id_hex for one in previews] == [
        item(index).redemption_id_hex for index in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reverted(GAS_TOO_LOW_SELECTOR + bytes(64)), "preview_gas_too_low"),
        (reverted(selector("EmptyBatch()")), "preview_refused"),
        (reverted(b""), "preview_refused"),
        (RpcOk("0x"), "not_a_settler"),
        (reverted(PREVIEW_RESULT_SELECTOR + b"nonsense"), "not_a_settler"),
    ],
)
def test_preview__one_item_and_no_result__refused(answer: RpcResult, reason: str) -> None:
    client, _ = preview_client(answer)

    with pytest.raises(Refused) as caught:
        client.preview(SETTLER, [item(1)], from_address=ACCOUNT)

    assert caught.value.details["reason"] == reason


def test_preview__endpoint_errors__transient_and_not_refused() -> None:
    client, _ = preview_client(RpcError(-32603, "internal error"))

    with pytest.raises(Transient):
        client.preview(SETTLER, [item(1)], from_address=ACCOUNT)


def test_preview__no_items__nothing_asked() -> None:
    client, asked = preview_client()

    assert client.preview(SETTLER, [], from_address=ACCOUNT) == []
    assert asked == []


def test_settler_view__no_contract__refused() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_call"] = lambda *_: RpcOk("0x")

    with pytest.raises(Refused, match="no settler"):
        client_of(endpoint).settler_view(SETTLER)


def test_settler_view__numbers_out_of_form__refused() -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_call"] = lambda *_: RpcOk(word(2**200))

    with pytest.raises(Refused, match="like no settler"):
        client_of(endpoint).settler_view(SETTLER)


def token_endpoint(**answers: RpcResult) -> ScriptedTransport:
    table = {"0x" + selector(signature).hex(): answer for signature, answer in answers.items()}
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_call"] = lambda call, _block: table[call["data"][:10]]
    return endpoint


def erc20(**changes: RpcResult) -> ScriptedTransport:
    answers: dict[str, RpcResult] = {
        "totalSupply()": RpcOk(word(1_000)),
        "balanceOf(address)": RpcOk(word(10)),
        "allowance(address,address)": RpcOk(word(5)),
        "paused()": RpcOk(word(0)),
        "decimals()": RpcOk(word(18)),
    }
    return token_endpoint(**(answers | changes))


def test_token_view__all_answers__in_one_round_trip() -> None:
    endpoint = erc20()
    client = client_of(endpoint)
    client.refresh()
    before = endpoint.round_trips

    view = client.token_view(TOKEN, holders=[ACCOUNT, OTHER, ACCOUNT], allowance=(ACCOUNT, OTHER))

    assert endpoint.round_trips == before + 1
    assert view.balances_base_units == {ACCOUNT: 10, OTHER: 10}
    assert (view.total_supply_base_units, view.allowance_base_units, view.paused) == (
        1_000,
        5,
        False,
    )


@pytest.mark.parametrize(
    ("answer", "paused"),
    [
        (RpcOk(word(1)), True),
        (RpcError(3, "execution reverted", "0x"), None),
        (RpcOk("0x"), None),
        (RpcOk(word(7)), None),
    ],
)
def test_token_view__paused__true_false_or_not_known(
    answer: RpcResult, paused: bool | None
) -> None:
    client = client_of(erc20(**{"paused()": answer}))

    assert client.token_view(TOKEN).paused is paused


def test_token_view__paused_cannot_be_read__transient_and_not_unpaused() -> None:
    client = client_of(erc20(**{"paused()": RpcError(-32603, "internal error")}))

    with pytest.raises(Transient):
        client.token_view(TOKEN)


def test_token_view__balance_reverts__refused() -> None:
    client = client_of(erc20(**{"balanceOf(address)": RpcError(3, "execution reverted", "0x")}))

    with pytest.raises(Refused, match=r"balanceOf\(address\) reverts"):
        client.token_view(TOKEN, holders=[ACCOUNT])


def test_token_decimals__a_token__read() -> None:
    assert client_of(erc20()).token_decimals(TOKEN) == 18


@pytest.mark.parametrize("answer", [RpcOk(word(200)), RpcOk("0x")])
def test_token_decimals__not_a_sensible_token__refused(answer: RpcResult) -> None:
    with pytest.raises(Refused):
        client_of(erc20(**{"decimals()": answer})).token_decimals(TOKEN)
