"""Write the SQL of migration 0001 anew from the tables.

    python -m tools.make_initial_migration           write it
    python -m tools.make_initial_migration --check   only say whether it is up to date

For as long as no version is released only; after that, a change of the tables is a new script.
The output depends on the tables alone, so running it twice changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from settlement_node.store.migrations import versions
from settlement_node.store.tables import metadata

FOLDER = Path(versions.__path__[0])
DIALECTS: tuple[Dialect, ...] = (postgresql.dialect(), sqlite.dialect())


def statements(dialect: Dialect) -> Iterator[str]:
    """Every statement that makes the schema, referenced tables first."""
    for table in metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
        if dialect.supports_comments and table.comment:
            yield str(SetTableComment(table).compile(dialect=dialect))


def render(dialect: Dialect) -> str:
    """One database's script; a statement ends with a semicolon at the end of its line."""
    cleaned = (
        "\n".join(line.rstrip().expandtabs(4) for line in statement.strip().splitlines())
        for statement in statements(dialect)
    )
    return "".join(f"{statement};\n\n" for statement in cleaned)


def main(arguments: list[str]) -> int:
    """Write or check both scripts."""
    stale = 0
    for dialect in DIALECTS:
        path = FOLDER / f"m0001_initial.{dialect.name}.sql"
        text = render(dialect)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if "--check" in arguments:
            print(f"{path.name} does not match the tables")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.name}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
