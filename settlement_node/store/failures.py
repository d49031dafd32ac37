"""What a database says of itself, in short words for the person who mends it.

Words only: whether the same work is tried again is decided by codes, in `database_errors`. Server
messages come in the server's language, so nothing may be decided by what is written here.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from settlement_node.errors import SettlementError

FIELD = "database.url"
CAUSE_LENGTH_MAX = 300
_SEVERITY = re.compile(r"(?:FATAL|PANIC|ERROR):\s+(.+)")
_SQLITE_WORDS = {
    sqlite3.SQLITE_NOTADB: "{file} is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "{file} is damaged; restore it from a backup",
    sqlite3.SQLITE_READONLY: "{file} can only be read; check the rights of it and of its folder",
    sqlite3.SQLITE_FULL: "{file} cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "{file} cannot be read or written: input/output error",
    sqlite3.SQLITE_BUSY: "another program is writing to {file}",
    sqlite3.SQLITE_LOCKED: "another program is writing to {file}",
}


class DatabaseUnusable(SettlementError):
    """The database refuses what trying again cannot mend: a person must. Nothing was changed."""

    code = "database_unusable"


def cause_of(error: sa.exc.DBAPIError, url: sa.URL) -> str:
    """One line about what is wrong, without the password of the URL."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    cause = _of_server(error) if code is None else _of_file(str(error.orig), code & 0xFF, url)
    for secret in (url.password, url.query.get("password")):
        if secret:
            cause = cause.replace(str(secret), "***")
    return cause[:CAUSE_LENGTH_MAX]


def _of_file(said: str, code: int, url: sa.URL) -> str:
    path = Path(url.database or ":memory:")
    if code == sqlite3.SQLITE_CANTOPEN:
        if not path.parent.is_dir():
            return f"the folder {path.parent} does not exist"
        if path.is_dir():
            return f"{path} is a folder, not a file"
        return f"{path} cannot be opened; check the rights of it and of its folder"
    return _SQLITE_WORDS.get(code, "{said}").format(file=path, said=_first_line(said))


def _of_server(error: sa.exc.DBAPIError) -> str:
    said = str(error.orig)
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    refusal = primary or ((found := _SEVERITY.search(said)) and found[1])
    if refusal:
        return _first_line(str(refusal))
    # "connection to server at … failed: Connection refused", then advice on further lines.
    reason = _first_line(said).rpartition("failed: ")[2]
    began = "the connection broke" if error.connection_invalidated else "cannot be reached"
    return f"{began}: {reason[:1].lower()}{reason[1:]}"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[0].rstrip(".")
