"""Logs: one JSON object a line, with the correlation id, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from settlement_node.config.sections import LoggingSettings
from settlement_node.logs import configure_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail_with(secret: str) -> None:
    kept = secret  # noqa: F841 -- a local variable a traceback could show
    raise ValueError("something broke")


def test_json__of_both_kinds_of_logger__is_one_object_a_line(stream: io.StringIO) -> None:
    configure_logs(LoggingSettings(), stream=stream)
    structlog.contextvars.bind_contextvars(correlation_id="c-1")
    structlog.get_logger().info("planned", items=3)
    logging.getLogger("somewhere").warning("careful")
    logging.getLogger("uvicorn.access").info("GET /")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["items"], first["correlation_id"]) == ("planned", 3, "c-1")
    assert (second["event"], second["level"]) == ("careful", "warning")
    assert first["at_utc"].endswith("Z")


@pytest.mark.parametrize("form", ["json", "console"])
def test_traceback__of_an_error__shows_no_local_variable(stream: io.StringIO, form: str) -> None:
    configure_logs(LoggingSettings(format=form), stream=stream)  # type: ignore[arg-type]
    try:
        fail_with("the-" + "private-key")
    except ValueError:
        structlog.get_logger().exception("failed")
    logged = stream.getvalue()
    assert "something broke" in logged
    assert "the-private-key" not in logged


def test_level__below_the_configured__is_not_logged(stream: io.StringIO) -> None:
    configure_logs(LoggingSettings(level="warning"), stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("somewhere").info("quiet")
    assert stream.getvalue() == ""


HOSTILE = "/v1/\x1b[2Jcleared\x9b31m\r\nforged \u202eline\x07 é"


@pytest.mark.parametrize("form", ["json", "console"])
def test_value__with_commands_to_a_terminal__is_escaped(stream: io.StringIO, form: str) -> None:
    configure_logs(LoggingSettings(format=form), stream=stream)  # type: ignore[arg-type]
    structlog.get_logger().info("request", path=HOSTILE, parts=[HOSTILE], **{HOSTILE: "key"})
    structlog.get_logger().info(HOSTILE)
    logging.getLogger("somewhere").warning("asked for %s", HOSTILE)
    logged = stream.getvalue()
    assert len(logged.splitlines()) == 3
    assert all(line.isprintable() for line in logged.split("\n"))
    assert "[2Jcleared" in logged


def test_traceback__with_commands_to_a_terminal__is_escaped(stream: io.StringIO) -> None:
    configure_logs(LoggingSettings(format="console"), stream=stream)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("somewhere").exception("failed")
    logged = stream.getvalue()
    assert logged.count("ValueError: ") == 2
    assert all(line.isprintable() for line in logged.split("\n"))
