"""Answers to machines that watch the node."""

from __future__ import annotations

from settlement_node.api.fields import Schema


class HealthOut(Schema):
    """The process answers."""

    status: str


class CheckOut(Schema):
    """One condition of readiness."""

    name: str
    ok: bool
    detail: str


class ReadyOut(Schema):
    """Whether work can be given to this process, and why not."""

    ready: bool
    checks: list[CheckOut]
