"""Leaving a failed signer alone: how long, and that it changes nothing else."""

from __future__ import annotations

import itertools

import pytest

from settlement_node.chain.signers.backoff import PAUSE_SECONDS_MAX, BackoffSigner
from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.errors import InvalidInput, Refused, SettlementError, Transient
from settlement_node.units import Address
from tests_support.web3signer import KEY

from .fields import FIELDS


class Moody:
    """Signs unless told to fail, and counts how often it was asked."""

    def __init__(self) -> None:
        self.own = KeySigner(KEY)
        self.fails: SettlementError | None = None
        self.asked_count = 0

    @property
    def address(self) -> Address:
        return self.own.address

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        self.asked_count += 1
        if self.fails is not None:
            raise self.fails
        return self.own.sign(fields)


class Hand:
    """A clock moved by hand."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_sign__no_failure__asks_each_time(moody: Moody, hand: Hand) -> None:
    signer = BackoffSigner(moody, now=hand)

    assert signer.sign(FIELDS) == signer.sign(FIELDS) == moody.own.sign(FIELDS)
    assert moody.asked_count == 2
    assert signer.address == moody.address


@pytest.mark.parametrize("family", [Transient, Refused])
def test_sign__failed__same_failure_at_once_until_the_pause_is_over(
    moody: Moody, hand: Hand, family: type[SettlementError]
) -> None:
    signer = BackoffSigner(moody, now=hand)
    moody.fails = family("away", reason="x")
    for _ in range(5):
        with pytest.raises(family, match="away") as caught:
            signer.sign(FIELDS)
        assert type(caught.value) is family
        assert caught.value.details == {"reason": "x"}
    assert moody.asked_count == 1

    moody.fails = None
    hand.seconds += 1.0

    assert signer.sign(FIELDS) == moody.own.sign(FIELDS)


def test_sign__keeps_failing__pauses_double_up_to_their_bound(moody: Moody, hand: Hand) -> None:
    signer = BackoffSigner(moody, now=hand)
    moody.fails = Transient("away")
    asked_at: list[float] = []
    while hand.seconds < 400:
        before = moody.asked_count
        with pytest.raises(Transient):
            signer.sign(FIELDS)
        if moody.asked_count > before:
            asked_at.append(hand.seconds - 100.0)
        hand.seconds += 0.5

    pauses = [b - a for a, b in itertools.pairwise(asked_at)]
    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(pauses[6:]) == {PAUSE_SECONDS_MAX}


def test_sign__success_between__pauses_start_small_again(moody: Moody, hand: Hand) -> None:
    signer = BackoffSigner(moody, now=hand)
    for _ in range(6):
        moody.fails = Transient("away")
        with pytest.raises(Transient):
            signer.sign(FIELDS)
        moody.fails = None
        hand.seconds += 1.0
        signer.sign(FIELDS)

    assert moody.asked_count == 12


def test_sign__fields_no_chain_takes__no_pause(moody: Moody, hand: Hand) -> None:
    signer = BackoffSigner(moody, now=hand)
    moody.fails = InvalidInput("gas")
    with pytest.raises(InvalidInput):
        signer.sign(FIELDS)
    moody.fails = None

    assert signer.sign(FIELDS) == moody.own.sign(FIELDS)
