"""Answers to machines that watch the node."""

from __future__ import annotations

from settlement_node.reads.shapes import Answer


class HealthOut(Answer):
    """The process answers."""

    status: str


class CheckOut(Answer):
    """One condition of readiness."""

    name: str
    ok: bool
    detail: str


class ReadyOut(Answer):
    """Whether work can be given to this process, and why not."""

    ready: bool
    checks: list[CheckOut]
