"""The packing by hand equals a general encoder's, and the selectors are the contract's."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.chain.contracts import reverts, tokens
from settlement_node.chain.contracts import settler as contracts
from settlement_node.chain.contracts.settler import (
    PREVIEW_RESULT_SELECTOR,
    batch_hash_of,
    decode_preview_result,
    decode_settler_events,
    encode_preview,
    encode_settle,
)
from settlement_node.chain.wire.decode import read_log
from settlement_node.chain.wire.words import MalformedData, selector, topic
from settlement_node.domain.observations import (
    RedemptionSkippedEvent,
    SettleItem,
    SkipReason,
)
from settlement_node.errors import InvalidInput, InvariantBroken
from settlement_node.units import UINT256_MAX, Address, Hex32, Payout, Shares, to_hex32
from tests_support.abi import signatures

from .scripted import ACCOUNT, OTHER, SETTLER, TOKEN, hash_of, item, log

ITEMS_TYPE = "(bytes32,uint256,address,address,uint256,uint256)[]"
WORDS = st.integers(0, UINT256_MAX)
ITEMS = st.lists(
    st.builds(
        SettleItem,
        redemption_id_hex=st.binary(min_size=32, max_size=32).map(to_hex32),
        redemption_index=WORDS,
        investor_address=st.sampled_from([ACCOUNT, OTHER]),
        payee_address=st.sampled_from([ACCOUNT, OTHER]),
        shares_base_units=WORDS.map(Shares),
        payout_base_units=WORDS.map(Payout),
    ),
    max_size=5,
)


def as_tuples(items: list[SettleItem]) -> list[tuple[bytes, int, Address, Address, int, int]]:
    return [
        (
            bytes.fromhex(one.redemption_id_hex[2:]),
            one.redemption_index,
            one.investor_address,
            one.payee_address,
            one.shares_base_units,
            one.payout_base_units,
        )
        for one in items
    ]


@given(ITEMS)
def test_encode_settle__any_items__as_a_general_encoder(items: list[SettleItem]) -> None:
    previous = hash_of("previous")
    arguments = [bytes.fromhex(previous[2:]), as_tuples(items)]

    expected = selector(f"settle(bytes32,{ITEMS_TYPE})") + abi_encode(
        ["bytes32", ITEMS_TYPE], arguments
    )

    assert encode_settle(previous, items) == expected


@given(ITEMS)
def test_encode_preview__any_items__as_a_general_encoder(items: list[SettleItem]) -> None:
    expected = selector(f"preview({ITEMS_TYPE})") + abi_encode([ITEMS_TYPE], [as_tuples(items)])

    assert encode_preview(items) == expected


@given(ITEMS)
def test_batch_hash_of__any_items__the_contracts_formula(items: list[SettleItem]) -> None:
    previous = hash_of("previous")
    inner = keccak(abi_encode([ITEMS_TYPE], [as_tuples(items)]))

    expected = keccak(abi_encode(["bytes32", "bytes32"], [bytes.fromhex(previous[2:]), inner]))

    assert batch_hash_of(previous, items) == to_hex32(expected)


def test_encode_settle__amount_beyond_256_bits__invalid_input() -> None:
    with pytest.raises(InvalidInput, match="256 bits"):
        encode_settle(hash_of("previous"), [item(1, payout=UINT256_MAX + 1)])


def test_selectors__settler__are_in_the_generated_abi() -> None:
    functions = {selector(text) for text in signatures("RedemptionSettler", "function")}
    errors = {selector(text) for text in signatures("RedemptionSettler", "error")}

    assert functions >= {
        contracts.SETTLE_SELECTOR,
        contracts.PREVIEW_SELECTOR,
    }
    assert errors >= {
        contracts.PREVIEW_RESULT_SELECTOR,
        contracts.SETTLER_PAUSED_SELECTOR,
        contracts.GAS_TOO_LOW_SELECTOR,
    }


def test_topics__settler_and_token__are_in_the_generated_abi() -> None:
    events = {
        topic(text)
        for name in ("RedemptionSettler", "FundToken")
        for text in signatures(name, "event")
    }

    assert events >= {
        contracts.REDEMPTION_SETTLED_TOPIC,
        contracts.REDEMPTION_SKIPPED_TOPIC,
        contracts.BATCH_SETTLED_TOPIC,
        tokens.TRANSFER_TOPIC,
    }


@pytest.mark.parametrize("name", ["RedemptionSettler", "FundToken", "TestStablecoin"])
def test_revert_reason__every_error_of_our_contracts__is_known_by_name(name: str) -> None:
    # A preview's result is an answer, not a reason.
    unknown = [
        signature
        for signature in signatures(name, "error")
        if not signature.startswith("PreviewResult")
        and "unknown error" in reverts.revert_reason(selector(signature) + bytes(320))
    ]

    assert unknown == []


def outcomes(*rows: tuple[Hex32, int, int, bytes]) -> bytes:
    return PREVIEW_RESULT_SELECTOR + abi_encode(
        ["(bytes32,uint8,uint256,bytes)[]"],
        [[(bytes.fromhex(row[0][2:]), *row[1:]) for row in rows]],
    )


def test_decode_preview_result__two_items__in_their_order() -> None:
    items = [item(1), item(2)]
    data = outcomes(
        (items[0].redemption_id_hex, 0, 15_000, b""),
        (items[1].redemption_id_hex, 5, 9_000, b"no shares"),
    )

    first, second = decode_preview_result(data, items)

    assert (first.skip_reason, first.gas_used, first.detail) == (SkipReason.NONE, 15_000, b"")
    assert (second.skip_reason, second.detail) == (SkipReason.BURN_FAILED, b"no shares")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x02\x03\x04",
        PREVIEW_RESULT_SELECTOR,
        outcomes((hash_of("redemption 1"), 0, 1, b"")),
        outcomes((hash_of("redemption 2"), 0, 1, b""), (hash_of("redemption 1"), 0, 1, b"")),
        outcomes((hash_of("redemption 1"), 0, 1, b""), (hash_of("redemption 2"), 99, 1, b"")),
        outcomes((hash_of("redemption 1"), 0, 1, b""), (hash_of("redemption 2"), 0, 1, b"x"))[:-40],
    ],
)
def test_decode_preview_result__anything_else__malformed(data: bytes) -> None:
    with pytest.raises(MalformedData):
        decode_preview_result(data, [item(1), item(2)])


@given(st.binary(max_size=400))
def test_decode_preview_result__arbitrary_bytes__malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedData):
        decode_preview_result(PREVIEW_RESULT_SELECTOR + data, [item(1), item(2), item(3)])


def test_decode_settler_events__skipped__reason_and_detail() -> None:
    data = abi_encode(["uint256", "uint8", "bytes"], [7, 7, b"blocked"])
    raw = log(5, 0, topics=[contracts.REDEMPTION_SKIPPED_TOPIC, hash_of("redemption 7")], data=data)

    (event,) = decode_settler_events([read_log(raw)])

    assert isinstance(event, RedemptionSkippedEvent)
    assert (event.redemption_index, event.skip_reason, event.detail) == (
        7,
        SkipReason.PAYOUT_FAILED,
        b"blocked",
    )


def test_decode_settler_events__other_logs__left_out() -> None:
    logs = [read_log(log(5, 0, topics=[hash_of("event")])), read_log(log(5, 1))]

    assert decode_settler_events(logs) == []


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"\xff" * 96])
def test_decode_settler_events__our_topic_with_another_layout__invariant_broken(
    data: bytes,
) -> None:
    raw = log(5, 0, topics=[contracts.REDEMPTION_SKIPPED_TOPIC, hash_of("id")], data=data)

    with pytest.raises(InvariantBroken):
        decode_settler_events([read_log(raw)])


def test_decode_settler_events__a_token_imitates_the_settler__left_out_unread() -> None:
    topics = [contracts.REDEMPTION_SKIPPED_TOPIC, hash_of("id")]
    imitation = read_log(log(5, 0, address=TOKEN, topics=topics, data=b"nonsense"))

    assert decode_settler_events([imitation], settler_address=SETTLER) == []
