"""Reconciliation as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field
from sqlalchemy.engine import RowMapping

from settlement_node.api.fields import BaseUnitsOut, FundIdIn, InputSchema, Schema, examples
from settlement_node.node.stages.reconcile import ReconciliationResult


class BreakOut(Schema):
    """An open difference between book and chain, with its owner."""

    break_id: int
    fund_id: str | None
    chain_id: int
    kind: str
    subject: str
    is_money: bool = Field(description="A money break stops planning until it is resolved.")
    expected: str
    actual: str
    detail: str
    owner: str
    opened_at_utc: datetime

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """From its row."""
        return cls(**{name: row[name] for name in cls.model_fields})


class RunOut(Schema):
    """The latest run over a fund's final blocks, and the figures it ended with; these are null
    within a long history whose old balances no endpoint has."""

    reconciliation_id: int
    from_block: int
    to_block: int
    share_supply_base_units: BaseUnitsOut | None
    treasury_base_units: BaseUnitsOut | None
    settled_count: int
    breaks_opened_count: int
    ran_at_utc: datetime

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """From its row."""
        fields = {name: row[name] for name in cls.model_fields}
        for name in ("share_supply_base_units", "treasury_base_units"):
            fields[name] = None if fields[name] is None else str(fields[name])
        return cls(**fields)


class FundReconciliationOut(Schema):
    """One fund. `last_run` is null before the first."""

    fund_id: str
    breaks_open_count: int
    last_run: RunOut | None


class ReconciliationOut(Schema):
    """Where book and chain stand. `agrees` means that no break is open."""

    agrees: bool
    funds: list[FundReconciliationOut]
    breaks: list[BreakOut] = Field(description="Open breaks, oldest first, at most 200.")


class ReconcileIn(InputSchema):
    """Which fund to reconcile now; all of them without one."""

    model_config = examples({"fund_id": "growth-fund"}, {})

    fund_id: FundIdIn | None = None


class FundRunOut(Schema):
    """What the run just made found. `to_block` equals `from_block` when nothing new was final."""

    fund_id: str
    from_block: int
    to_block: int
    settled_count: int
    breaks_opened_count: int
    breaks_open_count: int

    @classmethod
    def of(cls, result: ReconciliationResult) -> Self:
        """From the node's result."""
        return cls(
            fund_id=result.fund_id,
            from_block=result.from_block,
            to_block=result.to_block,
            settled_count=result.settled_count,
            breaks_opened_count=result.breaks_opened_count,
            breaks_open_count=result.breaks_open_count,
        )


class ReconciledOut(Schema):
    """The runs just made, by fund."""

    agrees: bool
    runs: list[FundRunOut]
