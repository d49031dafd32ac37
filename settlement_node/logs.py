"""Structured logs: one JSON object a line, with the correlation id of the request at hand.

Values may come from anybody, the path of a request say. JSON escapes what is not printable by
itself; for the console it is done here, so that nothing reaches a terminal as a command to it.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo

from settlement_node.config.sections import LoggingSettings

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MANY_LINES = ("exception", "stack")
"""Values that keep their line breaks."""
QUIET_LOGGERS = ("uvicorn.access", "apscheduler", "urllib3", "web3", "alembic", "eth")
"""Libraries whose every step is not news here; their warnings are kept."""


def configure_logs(settings: LoggingSettings, *, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, once, at the start of a process.

    Logs go to standard error, since standard output belongs to what a command prints.
    """
    stream = stream or sys.stderr
    level = LEVELS[settings.level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at_utc"),
        structlog.processors.StackInfoRenderer(),
    ]
    if settings.format == "json":
        last: list[Any] = [
            structlog.processors.ExceptionRenderer(
                # Without the values of local variables: a key may be one of them.
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(sort_keys=True, default=str),
        ]
    else:
        last = [
            _make_printable,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=_printable_traceback
            ),
        ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def printable(text: str, *, keep: str = "") -> str:
    """The text with every character that is not printable written as its escape."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def _make_printable(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {
        printable(key): printable(value, keep="\n\t" if key in MANY_LINES else "")
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


def _printable_traceback(stream: TextIO, error: ExcInfo) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, error)
    stream.write(printable(written.getvalue(), keep="\n\t"))
