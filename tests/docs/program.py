"""The command line as it is: every command with its options."""

from __future__ import annotations

from typing import Any

import typer

from settlement_node.cli import app


def commands() -> dict[tuple[str, ...], set[str]]:
    """Every command and group, by its words, with its options."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        found[path] = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))

    walk(typer.main.get_command(app), ())
    return found
