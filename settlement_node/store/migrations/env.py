"""Alembic's entry: runs the scripts on the connection `store.migrate` hands over, inside its
transaction. There is no offline mode and no alembic.ini."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
