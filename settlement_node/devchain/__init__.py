"""Chains for the demonstration and the tests: an embedded EVM, and anvil."""
