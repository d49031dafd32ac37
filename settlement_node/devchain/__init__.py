"""Chains for the demonstration and the tests: an embedded EVM, and anvil."""

# Before any library of chains: they leave the interpreter's recursion limit as it is only after it.
import settlement_node.chain.wire.libraries  # noqa: F401
