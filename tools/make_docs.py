"""Writes the parts of the documentation that are drawn from the code.

    .venv/bin/python -m tools.make_docs

Whole pages: docs/guides/configuration.md, docs/guides/cli.md, docs/failures.md. Parts of a page,
between the marks `<!-- generated: NAME -->` and `<!-- end -->`: the life cycles and tables in
ARCHITECTURE.md, the endpoints and actions in docs/guides/api.md, the actions in docs/runbook.md,
the floor of gas in docs/benchmarks.md. A test fails when any of it is stale.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from benchmarks.floor import EXAMPLE, lines
from tools.failures_page import failures

ROOT = Path(__file__).parent.parent
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
PROGRAM = "settlement-node"

SECTIONS = (
    ("", "Settings"),
    ("[database]", "DatabaseSettings"),
    ("[api]", "ApiSettings"),
    ("[[api.api_keys]]", "ApiKey"),
    ("[[chains]]", "ChainSettings"),
    ("[[chains.endpoints]]", "EndpointSettings"),
    ("[chains.finality]", "FinalitySettings"),
    ("[chains.fees]", "FeeSettings"),
    ("[[signers]]", "SignerSettings"),
    ("[engine]", "EngineSettings"),
    ("[logging]", "LoggingSettings"),
)
"""How each section is written in the file. The first is the file itself and has no keys."""

MEANINGS = {
    "ApiSettings.host": "the address the API listens at; loopback unless told otherwise",
    "ApiSettings.reads_need_key": "whether reading needs an API key too; false only while `host` is"
    " this machine's own",
    "ApiSettings.body_bytes_max": "the largest body of a request, in bytes",
    "ApiSettings.idempotency_in_flight_seconds": "after this long a key whose request never ended"
    " may be used again",
    "ApiSettings.event_queue_max": "events kept for a subscriber that reads slowly, before it is"
    " cut off and resumes",
    "ApiSettings.event_subscribers_max": "event streams open at the same time",
    "ApiKey.key_env": "the variable that holds the key, at least 16 characters",
    "ChainSettings.name": "a name for people",
    "ChainSettings.poll_interval_seconds": "how often the stages run when nothing wakes them; the"
    " shortest of all chains counts",
    "EndpointSettings.timeout_seconds": "how long an answer may take",
    "FinalitySettings.confirmations_blocks": "blocks on top of a final one; with `safe` or"
    " `finalized` a least depth besides the tag",
    "FeeSettings.tip_floor_wei": "least tip offered, in wei per gas",
    "FeeSettings.tip_ceiling_wei": "most the market may ask of a first attempt as tip, in wei per"
    " gas; a replacement may pass it",
    "FeeSettings.cap_ceiling_wei": "most that is ever offered for a unit of gas, in wei",
    "FeeSettings.base_fee_headroom_bps": "part of the cap that covers a rising base fee: 20000 is"
    " twice the next base fee; at least 10000",
    "SignerSettings.chain_id": "the chain it signs for; a [[chains]] table must have it",
    "SignerSettings.key_env": "kind env: the variable that holds the private key in hex",
    "SignerSettings.keystore_file": "kind keystore: the encrypted file",
    "SignerSettings.password_env": "kind keystore: the variable that holds its password",
    "SignerSettings.password_file": "kind keystore: the file whose first line is its password",
    "SignerSettings.address": "if given, the key must have this address",
    "EngineSettings.batch_items_max": "redemptions in one settlement, 1 to 500",
    "EngineSettings.in_flight_max": "transactions of a lane that are unmined at the same time, 1 to"
    " 64; clients keep 16 of an account",
    "EngineSettings.unfinal_max": "transactions of a lane that are not final at the same time,"
    " mined or not, 1 to 10000",
    "EngineSettings.batch_gas_bps": "part of the block gas limit a batch may ask for, in 1/100 %,"
    " 1 to 10000; never above 2^24 gas (EIP-7825)",
    "EngineSettings.gas_margin_bps": "added to the gas of the preview, in 1/100 %, 0 to 100000",
    "EngineSettings.fee_history_blocks": "blocks the market fee is taken from",
    "EngineSettings.fee_percentile": "tip percentile within each of them, 1 to 100",
    "EngineSettings.replace_after_blocks": "an unmined transaction is replaced with higher fees"
    " after this many blocks at the head of its lane",
    "EngineSettings.rebroadcast_after_blocks": "and its bytes are sent again after this many",
    "EngineSettings.cancel_after_blocks": "and cancelled by a no-op at its nonce after this many;"
    " 0 never cancels by itself",
    "EngineSettings.attempts_max": "signed attempts of one transaction; then it is only sent again",
    "EngineSettings.stranger_after_polls": "sightings of a foreign transaction at our nonce before"
    " the lane stops",
    "EngineSettings.heads_kept_blocks": "block hashes kept below the last final block",
    "EngineSettings.head_page_blocks": "block hashes fetched at most when catching up",
    "EngineSettings.log_page_blocks": "blocks in one request for logs; shrinks by itself where an"
    " endpoint allows or manages fewer",
    "EngineSettings.intake_batch_max": "redemptions found settled that are booked in one commit",
    "EngineSettings.deliver_batch_max": "events delivered in one go",
    "EngineSettings.lease_seconds": "how long a lane stays with a node that does not renew; renewed"
    " every quarter of it, at most every 5 s",
    "EngineSettings.reconcile_interval_seconds": "how often book and chain are compared",
    "EngineSettings.deliver_interval_seconds": "how often the outbox is emptied",
    "EngineSettings.watch_interval_seconds": "how often alerts are looked at",
    "LoggingSettings.level": "the least level that is logged",
    "LoggingSettings.format": "one JSON object a line, or text for a terminal",
}
"""Meanings of keys whose name in the code says enough there, and not here."""


def life_cycle(name: str) -> str:
    """A life cycle as a Mermaid block, drawn from its table."""
    from settlement_node.domain import lifecycle

    if name == "redemption":
        text = lifecycle.diagram(lifecycle.REDEMPTION_TABLE)
    else:
        text = lifecycle.diagram(lifecycle.TRANSACTION_TABLE)
    return f"```mermaid\n{text}```\n"


def tables() -> str:
    """Every table of the schema with its comment."""
    from settlement_node.store.tables import metadata

    rows = "".join(f"| `{t.name}` | {t.comment} |\n" for t in metadata.sorted_tables)
    return "| table | what a row is |\n|---|---|\n" + rows


def endpoints() -> str:
    """Every endpoint of the API from its OpenAPI document."""
    lines = ["| request | what it does | needs a key |", "|---|---|---|"]
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            guarded = "yes" if method == "post" else "unless set otherwise"
            needed = guarded if operation.get("security") else ""
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {needed} |")
    return "\n".join(lines) + "\n"


def action_commands() -> str:
    """Every action that has a command, from the table of the desk."""
    from settlement_node.desk.actions import ACTIONS, REQUIRED

    lines = ["| command | what it does | audited as |", "|---|---|---|"]
    for action in ACTIONS:
        if action.command is not None:
            given = [
                f"{one.option or ''} {one.name.upper()}".strip()
                for one in action.arguments
                if one.default is REQUIRED or one.option is None
            ]
            usage = " ".join([PROGRAM, action.command, *given])
            facts = ", ".join(f"`{fact}`" for fact in action.audits)
            lines.append(f"| `{usage}` | {action.does} | {facts} |")
    return "\n".join(lines) + "\n"


def action_routes() -> str:
    """Every action that has a route, from the table of the desk."""
    from settlement_node.desk.actions import ACTIONS

    lines = ["| POST to | what it does | audited as |", "|---|---|---|"]
    for action in ACTIONS:
        if action.path is not None:
            facts = ", ".join(f"`{fact}`" for fact in action.audits)
            lines.append(f"| `{action.path}` | {action.does} | {facts} |")
    return "\n".join(lines) + "\n"


def openapi() -> dict[str, Any]:
    """The OpenAPI document, without a running node."""
    from settlement_node.api.app import create_app
    from settlement_node.config.sections import ApiSettings
    from settlement_node.node.context import NodeContext
    from settlement_node.store.database import Store, open_engine

    store = Store(open_engine("sqlite://"))
    context = NodeContext(store=store, chains={}, signers={}, node_id="docs")
    return create_app(context, ApiSettings(), environment={}).openapi()


def configuration() -> str:
    """docs/guides/configuration.md."""
    from settlement_node.config import sections

    parts = [CONFIGURATION_HEAD]
    for heading, name in SECTIONS[1:]:
        section: type[BaseModel] = getattr(sections, name)
        words = " ".join((section.__doc__ or "").split())
        parts.append(f"## `{heading}`\n\n{words}\n\n{_keys(section)}")
    return "\n".join(parts)


def _keys(section: type[BaseModel]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        if _is_section(field.annotation):
            continue
        meaning = field.description or MEANINGS.get(f"{section.__name__}.{name}", "")
        cells = (f"`{name}`", _type_words(field), _default(field), meaning)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def keys_without_meaning() -> Iterator[str]:
    """Keys nobody has described, as `Section.key`."""
    from settlement_node.config import sections

    for _, name in SECTIONS[1:]:
        for key, field in getattr(sections, name).model_fields.items():
            known = field.description or f"{name}.{key}" in MEANINGS
            if not known and not _is_section(field.annotation):
                yield f"{name}.{key}"


def sections_without_page() -> set[str]:
    """Section classes that SECTIONS does not list."""
    from settlement_node.config import sections

    found = {
        name
        for name, value in vars(sections).items()
        if isinstance(value, type) and issubclass(value, sections.Section)
    }
    return found - {name for _, name in SECTIONS} - {"Section"}


def _is_section(annotation: Any) -> bool:
    inner = [a for a in get_args(annotation) if a is not Ellipsis] or [annotation]
    return any(isinstance(a, type) and issubclass(a, BaseModel) for a in inner)


def _type_words(field: FieldInfo) -> str:
    words = _plain_type(field.annotation)
    bounds = {type(m).__name__: m for m in field.metadata}
    limits = []
    if "Ge" in bounds:
        limits.append(f"≥ {bounds['Ge'].ge:_}")
    if "Gt" in bounds:
        limits.append(f"> {bounds['Gt'].gt:_}")
    if "Le" in bounds:
        limits.append(f"≤ {bounds['Le'].le:_}")
    return ", ".join([words, *limits]).replace("_", " ")


def _plain_type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _plain_type(inner[0])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_plain_type(a) for a in inner if a is not type(None))
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f'"{value.value}"' for value in annotation)
    names = {
        str: "text", int: "whole number", float: "number", bool: "true or false",
        Path: "path", SecretStr: "text, kept out of logs",
    }  # fmt: skip
    return names.get(annotation, "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, StrEnum):
        return f'`"{value.value}"`'
    if isinstance(value, str):
        return f'`"{value}"`'
    # As TOML takes them; short numbers need no grouping.
    return f"`{value:_}`" if isinstance(value, int) and value >= 10_000 else f"`{value}`"


def command_line() -> str:
    """docs/guides/cli.md."""
    from settlement_node.cli import app
    from settlement_node.cli.output import EXIT_CODES

    top = typer.main.get_command(app)
    parts = [CLI_HEAD, f"{EXIT_CODES}.\n"]
    for path, command in _commands(top, ()):
        parts.append(f"## `{' '.join((PROGRAM, *path))}`\n\n{_command(path, command)}")
    return "\n".join(parts)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _command(path: tuple[str, ...], command: Any) -> str:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    options = [p for p in command.params if p.opts[0].startswith("-")]
    usage = " ".join(
        [PROGRAM, *path, "[OPTIONS]"]
        + [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments]
    )
    text = f"```\n{usage}\n```\n\n{_paragraphs(command.help or '')}\n\n"
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for p in arguments:
        lines.append(f"| `{p.name.upper()}` | {'must be given' if p.required else ''} | {p.help} |")
    for p in options:
        names = ", ".join(f"`{o}`" for o in [*p.opts, *p.secondary_opts])
        bounds = "" if p.min is None or p.max is None else f" {p.min} to {p.max}."
        meaning = " ".join((p.help or "").split()) + bounds
        lines.append(f"| {names} | {_option_default(p)} | {meaning} |")
    return text + "\n".join(lines) + "\n"


def _option_default(option: Any) -> str:
    value = option.default
    if option.required:
        return "must be given"
    if value is None or (option.is_bool_flag and not option.secondary_opts):
        return ""
    if option.is_bool_flag:
        return f"`{(option.opts if value else option.secondary_opts)[0]}`"
    return f"`{value.value if isinstance(value, StrEnum) else value}`"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def gas_floor() -> str:
    """The derivation of the least gas a redemption can cost."""
    return "```text\n" + "\n".join(lines(EXAMPLE)) + "\n```\n"


PARTS = {
    "gas-floor": gas_floor,
    "redemption-life-cycle": lambda: life_cycle("redemption"),
    "transaction-life-cycle": lambda: life_cycle("transaction"),
    "tables": tables,
    "endpoints": endpoints,
    "action-commands": action_commands,
    "action-routes": action_routes,
}
PAGES = {
    "docs/guides/configuration.md": configuration,
    "docs/guides/cli.md": command_line,
    "docs/failures.md": failures,
}
MARKED_PAGES = ("ARCHITECTURE.md", "docs/benchmarks.md", "docs/guides/api.md", "docs/runbook.md")

CONFIGURATION_HEAD = """\
# Configuration

<!-- Written by tools/make_docs.py from settlement_node/config/sections.py. Do not edit. -->

One TOML file tells a process everything about its surroundings: database, API, chains, signers and
the engine's bounds. Funds and what belongs to them are in the database, not here.

The file is `--config FILE`, else the variable `SETTLEMENT_NODE_CONFIG`, else
`./settlement-node.toml`. `examples/settlement-node.toml` is a working one for a local anvil, and
`settlement-node config check` says in plain words what is wrong with yours. Unknown keys are
refused. Relative paths are relative to the file's folder.

A variable overrides a key: `SETTLEMENT_NODE__DATABASE__URL` is `database.url`. List entries are
numbered from zero: `SETTLEMENT_NODE__CHAINS__0__ENDPOINTS__0__URL`.

Secrets are named, not written: the file says which variable or file holds a key or a password.
Addresses that may carry a password (`database.url`, an endpoint's `url`) are never shown.

Only `[database]` must be there. A process without `[[chains]]` or `[[signers]]` can answer for the
book and settles nothing.
"""

CLI_HEAD = """\
# Commands

<!-- Written by tools/make_docs.py from the commands themselves. Do not edit. -->

Results go to standard output; errors, notes, progress and logs to standard error. With `--json`
the result, or the error, is one JSON object on standard output, with two exceptions. Wrong use,
such as an unknown option or a number out of range, leaves standard output empty: its words go to
standard error, with exit status 2. `run` prints one object when it has started and one when it
has stopped, each on a line of its own.
"""


def render_parts(text: str) -> str:
    """A page with every marked part drawn anew."""
    return MARKED.sub(lambda found: found[1] + PARTS[found[2]]() + found[4], text)


def main() -> None:
    """Write everything; say what changed."""
    for name, make in PAGES.items():
        _write(ROOT / name, make())
    for name in MARKED_PAGES:
        path = ROOT / name
        if path.exists():
            _write(path, render_parts(path.read_text(encoding="utf-8")))


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
