"""Structured logs: one JSON object a line, with the correlation id of the request at hand."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from settlement_node.config import LoggingSettings

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
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
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
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
