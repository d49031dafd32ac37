"""Fees as all endpoints see them: the middle counts, so that no single one makes a price."""

from __future__ import annotations

from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.domain.engine.fees import middle_history
from settlement_node.domain.observations import Block, FeeHistory
from settlement_node.errors import Transient


def read_fee_history(
    endpoints: EndpointSet, head: Block, *, block_count: int, percentile: float
) -> FeeHistory:
    """The middle of what every healthy endpoint gives up to the agreed head; Transient when fewer
    answer than must agree."""
    histories: list[FeeHistory] = []
    for answer in endpoints.answers(
        lambda item: item.fee_history(
            block_count=block_count, newest_number=head.number, percentile=percentile
        )
    ):
        endpoints.stands(answer)
        histories.append(answer.content)
        if len(histories) >= len(endpoints.in_order()):
            break
    if len(histories) < endpoints.agreement:
        raise Transient(
            f"{len(histories)} endpoints gave a fee history, {endpoints.agreement} must"
        )
    return middle_history(histories, head_base_fee_wei=head.base_fee_per_gas_wei)
