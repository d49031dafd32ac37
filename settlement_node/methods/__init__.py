"""How a fund settles, behind one port, and how its contracts come onto a chain."""

from __future__ import annotations

from settlement_node.methods.port import Method
from settlement_node.methods.settler import Settler
from settlement_node.store.rows import FundRow

__all__ = ["Method", "method_of"]


def method_of(fund: FundRow) -> Method:
    """How this fund settles."""
    return Settler(fund)
