"""Import this before any library of chains by name: none of them raises the limit after it."""

from __future__ import annotations

from settlement_node.chain.wire.recursion import own_recursion_limit

with own_recursion_limit():
    # web3, eth-account and eth-keyfile all import it, and it raises the limit.
    import py_ecc  # noqa: F401
