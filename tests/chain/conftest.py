"""Unit tests of the chain layer run without a network."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_network(socket_disabled: None) -> None:
    """A test that reaches for the network fails."""
