"""Both suites, `tests/` and `chain_tests/`, share one plugin."""

# First of all: a test that imports a library of chains by itself would raise the recursion limit.
import settlement_node.chain.wire.libraries  # noqa: F401

pytest_plugins = ["tests_support.plugin"]
