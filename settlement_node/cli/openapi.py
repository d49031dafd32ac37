"""`openapi`: the API's description, without a running node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from settlement_node.cli.output import JsonOption, emit, reports_errors

app = typer.Typer()


@app.command("openapi")
@reports_errors
def write_openapi(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; standard output by default.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write the API's OpenAPI document."""
    from settlement_node.api.app import create_app
    from settlement_node.config.sections import ApiSettings
    from settlement_node.node.context import NodeContext
    from settlement_node.store.database import Store, open_engine

    store = Store(open_engine("sqlite://"))
    context = NodeContext(store=store, chains={}, signers={}, node_id="openapi")
    document = create_app(context, ApiSettings(), environment={}).openapi()
    if file is None:
        typer.echo(json.dumps(document, indent=None if json_output else 2))
        return
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    data = {"file": str(file), "paths": len(document["paths"])}
    emit(
        data,
        json_output=json_output,
        human=lambda console: console.print(f"wrote {file} ({data['paths']} paths)"),
    )
