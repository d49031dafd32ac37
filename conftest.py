"""Both suites, `tests/` and `chain_tests/`, share one plugin."""

pytest_plugins = ["tests_support.plugin"]
