"""Sending signed bytes to every endpoint, once. No retries, here or below."""

from __future__ import annotations

from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.views import Accepted, Rejected, SendAnswer, SendRejection, Unanswered

_TELLING_FIRST = (
    SendRejection.NONCE_TOO_LOW,
    SendRejection.REPLACEMENT_UNDERPRICED,
    SendRejection.NONCE_TOO_HIGH,
    SendRejection.UNDERPRICED,
    SendRejection.MEMPOOL_FULL,
    SendRejection.FEE_ABOVE_NODE_CAP,
)
"""Where endpoints reject for different reasons, the one the node must look into comes first."""


def send_to_all(endpoints: EndpointSet, raw: bytes) -> SendAnswer:
    """Send to every healthy endpoint and sum up.

    Accepted when any has the transaction now; Rejected when all answered and all said no in words
    that are understood; Unanswered otherwise. An endpoint that accepts does not stop the others
    from being asked: the more mempools, the less one lost mempool matters.
    """
    accepted: Accepted | None = None
    rejected: list[Rejected] = []
    unanswered: list[Unanswered] = []
    for endpoint in endpoints.in_order():
        started = endpoints.now()
        answer = endpoint.send_raw(raw)
        ended = endpoints.now()
        record = endpoints.record(endpoint)
        if isinstance(answer, Unanswered):
            unanswered.append(answer)
            record.failed(answer.message, now_seconds=ended)
            continue
        record.succeeded(now_seconds=ended, latency_seconds=ended - started)
        if isinstance(answer, Accepted):
            accepted = answer
        else:
            rejected.append(answer)
    if accepted is not None:
        return accepted
    if unanswered or not rejected:
        messages = [answer.message for answer in unanswered]
        messages += [answer.message for answer in rejected]
        return Unanswered("; ".join(messages) or "no endpoint is usable")
    reasons = [answer.reason for answer in rejected]
    telling = next((reason for reason in _TELLING_FIRST if reason in reasons), reasons[0])
    return Rejected(telling, "; ".join(answer.message for answer in rejected))
