"""Unit tests of the chain layer run without a network."""

from __future__ import annotations

import pytest

from .lying import Rig, make_rig


@pytest.fixture(autouse=True)
def _no_network(socket_disabled: None) -> None:
    """A test that reaches for the network fails."""


@pytest.fixture
def rig() -> Rig:
    """A real block behind two endpoints whose answers a test changes."""
    return make_rig()
