"""`chain`: approved orders → paid on anvil, beside a plain script that burns and transfers.

The daemon is started on a book of approved orders; the clock runs from its first transaction's plan
to the time at which the book has the last payment. The script does what somebody would write in an
afternoon: for each order a burn and a transfer, signed one after another and sent on two kept
connections, receipts collected at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import sqlalchemy as sa

from benchmarks.accounts import requests_at_once, signed_calls, transferring
from benchmarks.figures import Figure
from benchmarks.scene import BLOCK_GAS, DATABASES, SHARE, Scene, scene, wait_for
from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import RpcOk, RpcRequest, Transport
from settlement_node.methods.deploy import granting_role
from settlement_node.store import tables as t
from settlement_node.units import Address
from tests_support.anvil import AnvilProcess

ORDERS = 10_000
SCRIPT_ORDERS = 1_000
"""The script's rate does not depend on how many there are."""
SETTINGS = ("batch_items_max = 500", "in_flight_max = 16", "batch_gas_bps = 3000")
"""Batches as large as a transaction may be; three of them fill a block."""
TIMES_THE_SCRIPT, BLOCK_GAS_PART = 12.0, 70.0
CALL_GAS = 150_000
SECONDS_AN_ORDER = 0.1


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """The script once, then the node on either database."""
    script = _script(max(20, round(SCRIPT_ORDERS * scale)))
    figures = [Figure("plain script", script, "/s")]
    for database in databases:
        figures += _node(database, max(100, round(ORDERS * scale)), script)
    return figures


def _node(database: str, count: int, script: float) -> list[Figure]:
    with scene(database, settings=SETTINGS) as played:
        played.enter(played.orders(count))
        played.daemon.start()
        wait_for(lambda: _is_planning(played), played.daemon)
        cpu_before = played.daemon.cpu_seconds()
        wait_for(
            lambda: _paid(played) == count, played.daemon, seconds=60 + count * SECONDS_AN_ORDER
        )
        ended = time.time()
        cpu = played.daemon.cpu_seconds() - cpu_before
        rate = count / (ended - _first_planned(played))
        used = _block_gas_part(played)
    return [
        Figure(f"approved → paid, {database}", rate, "/s"),
        Figure(
            f"against the script, {database}", rate / script, "×", TIMES_THE_SCRIPT, at_least=True
        ),
        Figure(
            f"of the blocks' gas while there is a backlog, {database}",
            100 * used,
            "%",
            BLOCK_GAS_PART,
            at_least=True,
        ),
        Figure(f"the daemon's CPU for each, {database}", 1000 * cpu / count, "ms"),
    ]


def _paid(played: Scene) -> int:
    r = t.redemptions.c
    query = sa.select(sa.func.count()).where(r.status.in_(("paid", "settled")))
    with played.store.read() as tx:
        return int(tx.connection.execute(query).scalar_one())


def _is_planning(played: Scene) -> bool:
    with played.store.read() as tx:
        query = sa.select(sa.func.count()).select_from(t.transactions)
        return int(tx.connection.execute(query).scalar_one()) > 0


def _first_planned(played: Scene) -> float:
    with played.store.read() as tx:
        query = sa.select(sa.func.min(t.transactions.c.planned_at_utc))
        return float(tx.connection.execute(query).scalar_one().timestamp())


def _block_gas_part(played: Scene) -> float:
    """What part of their gas the blocks used from the first that had one of ours to the last but
    one: in the last the backlog has ended."""
    with played.store.read() as tx:
        numbers = sorted(
            set(tx.connection.execute(sa.select(t.transactions.c.block_number)).scalars())
        )
    within = range(numbers[0], max(numbers[-1], numbers[0] + 1))
    asked = [RpcRequest("eth_getBlockByNumber", (hex(number), False)) for number in within]
    blocks = requests_at_once(played.chain.transport("gas"), asked)
    return sum(int(block["gasUsed"], 16) for block in blocks) / (BLOCK_GAS * len(blocks))


def _script(count: int) -> float:
    """Redemptions a second of the plain script."""
    with scene("sqlite") as played:
        stage = played.stage
        orders = played.orders(count)
        burner, payer = (KeySigner(played.chain.funded_keys[place]) for place in (0, 2))
        share = stage.fund.share_token_address
        stage.deployer.send_all([granting_role(share, "BURNER_ROLE", burner.address)])
        burn = load_artifact("FundToken").encode_call
        burns = [(share, burn("burn", [order.investor_address, SHARE])) for order in orders]
        pays = [
            (stage.fund.payout_token_address, transferring(order.payee_address, 104_000_000))
            for order in orders
        ]
        began = time.monotonic()
        senders = [
            threading.Thread(target=_send_and_collect, args=(played.chain, signer, calls))
            for signer, calls in ((burner, burns), (payer, pays))
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return count / (time.monotonic() - began)


def _send_and_collect(
    chain: AnvilProcess, signer: KeySigner, calls: Sequence[tuple[Address, bytes]]
) -> None:
    transport = chain.transport("script", timeout_seconds=60)
    nonce = int(chain.rpc("eth_getTransactionCount", signer.address, "pending"), 16)
    hashes = []
    for raw in signed_calls(signer, chain.chain_id, calls, nonce=nonce, gas=CALL_GAS):
        (sent,) = transport.request([RpcRequest("eth_sendRawTransaction", ("0x" + raw.hex(),))])
        assert isinstance(sent, RpcOk), sent
        hashes.append(str(sent.value))
    while not _mined(transport, hashes[-1]):
        time.sleep(0.05)
    receipts = requests_at_once(
        transport, [RpcRequest("eth_getTransactionReceipt", (item,)) for item in hashes]
    )
    assert all(receipt["status"] == "0x1" for receipt in receipts)


def _mined(transport: Transport, transaction_hash: str) -> bool:
    (answer,) = transport.request([RpcRequest("eth_getTransactionReceipt", (transaction_hash,))])
    return isinstance(answer, RpcOk) and answer.value is not None
