"""Cursors that somebody made by hand."""

from __future__ import annotations

import base64
import json

import pytest

from settlement_node.errors import InvalidInput
from settlement_node.reads.pages import Listing

LISTING = Listing("redemptions", ["filters"], [int, str])


def made_by_hand(position: list[object]) -> str:
    """A cursor whose check fits, which needs no secret."""
    body = json.dumps(position).encode()
    return base64.urlsafe_b64encode(LISTING._check(body) + body).decode().rstrip("=")


def test_position__as_it_was_given__is_there() -> None:
    assert [5, "0xab"] == LISTING.position(made_by_hand([5, "0xab"]))


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a\nb"])
def test_position__text_that_no_database_takes__is_refused_as_no_cursor(text: str) -> None:
    with pytest.raises(InvalidInput, match="cursor is not one this listing gave out"):
        LISTING.position(made_by_hand([5, text]))
