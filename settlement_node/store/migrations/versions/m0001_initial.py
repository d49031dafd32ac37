"""The schema of version 0.1.0: frozen SQL for each database, in the files beside this one."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the database's own script, one statement after the other."""
    connection = op.get_bind()
    script = Path(__file__).with_name(f"m0001_initial.{connection.dialect.name}.sql")
    for statement in script.read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """There is nothing before 0001: a restored backup is the way back."""
    raise NotImplementedError("0001 cannot be downgraded")
