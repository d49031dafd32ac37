"""`db`: the database's schema."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from settlement_node.cli.common import ConfigOption, load
from settlement_node.cli.output import EXIT_WRONG, JsonOption, emit, finish, reports_errors

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command("upgrade")
@reports_errors
def upgrade_schema(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """Bring the database to this version's schema; does nothing when it is there already."""
    from settlement_node.assembly import build_store
    from settlement_node.store.migrate import current_revision, upgrade

    engine = build_store(load(config)).engine
    ran = upgrade(engine)
    revision = current_revision(engine)

    def human(console: Console) -> None:
        if ran:
            console.print(f"migrated to {revision} ({len(ran)} run: {', '.join(ran)})")
        else:
            console.print(f"already at {revision}")

    emit({"revision": revision, "ran": list(ran)}, json_output=json_output, human=human)


@app.command("status")
@reports_errors
def show_schema(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """Say which schema the database has. Exit status 1 when an upgrade is due."""
    from settlement_node.assembly import build_store
    from settlement_node.store.migrate import HEAD_REVISION, current_revision, pending

    engine = build_store(load(config)).engine
    due = pending(engine)
    data: dict[str, Any] = {
        "backend": engine.dialect.name,
        "revision": current_revision(engine),
        "needed": HEAD_REVISION,
        "pending": list(due),
    }

    def human(console: Console) -> None:
        console.print(f"{data['backend']} at revision {data['revision'] or 'none'}")
        if due:
            console.print(f"{len(due)} migrations are due; run: settlement-node db upgrade")
        else:
            console.print("nothing is due")

    emit(data, json_output=json_output, human=human)
    if due:
        finish(EXIT_WRONG)
