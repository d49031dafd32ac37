"""Which programs a test is repeated on."""

import pytest

both_chains = pytest.mark.parametrize("chain_name", ["pyevm", "anvil"], indirect=True)
on_anvil = pytest.mark.parametrize("chain_name", ["anvil"], indirect=True)
both_databases = pytest.mark.parametrize("database_name", ["sqlite", "postgresql"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_name", ["postgresql"], indirect=True)
each_program = pytest.mark.parametrize(
    ("chain_name", "database_name"), [("pyevm", "sqlite"), ("anvil", "postgresql")], indirect=True
)
"""Every chain and every database once, for whole stories: what depends on one of them shows with
either of the other. The plain whole way alone is gone with all four pairs."""
