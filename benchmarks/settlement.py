"""What the node costs and how fast it is, on the embedded chain and SQLite, in one run.

    python -m benchmarks.settlement [--orders 500] [--singles 20] [--json]

Prints: gas of one redemption in a batch against the two plain transactions it replaces (a burn and
a transfer), the time from an approved order's commit to its broadcast, and redemptions a second
from approval to final. Absolute times are this machine's; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog

from settlement_node.demo.book import account
from settlement_node.demo.play import prepare_demo
from settlement_node.demo.stage import Stage
from settlement_node.desk.intake import take_in
from settlement_node.devchain.embedded.chain import EmbeddedChain
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.store.book import redemptions
from settlement_node.units import Payout, Shares
from tests_support.deploying import grant_fund_role

SHARE = 10**18


def plain_gas(stage: Stage) -> int:
    """Gas of a burn by the token's administrator and a transfer by the treasury, as two
    transactions, to a payee who holds the stablecoin and keeps part of the shares."""
    holder = account("plain holder")
    stage.mint_shares(holder, Shares(10 * SHARE))
    stage.mint_money(holder, Payout(1))
    share = stage.fund.share_token_address
    grant_fund_role(stage.deployer, share, "BURNER_ROLE", stage.deployer.address)
    burn = stage.deployer.transact(share, "FundToken", "burn", [holder, SHARE])
    pay = stage.treasury.transact(
        stage.fund.payout_token_address, "TestStablecoin", "transfer", [holder, 104_000_000]
    )
    return burn.gas_used + pay.gas_used


def run(orders: int, singles: int) -> dict[str, float]:
    """Measure; keys name their units."""
    chain = EmbeddedChain()
    with tempfile.TemporaryDirectory() as folder:
        demo = prepare_demo(chain, Path(folder), redemptions_count=orders)
        started = time.perf_counter()
        demo.settle(lambda counts: None)
        settled_seconds = time.perf_counter() - started
        result = demo.finish()
        assert result.books_agree, result.audit.contradictions
        holder = account("single holder")
        demo.stage.mint_shares(holder, Shares(1_000 * SHARE))
        waits = []
        for number in range(singles):
            with demo.store.transaction(actor="benchmark") as tx:
                (row,) = take_in(
                    tx,
                    demo.stage.fund.fund_id,
                    [RedemptionOrder(f"SINGLE-{number}", holder, holder, Shares(SHARE))],
                    approved_by="benchmark",
                )
            begun = time.perf_counter()
            demo.node.tick()
            waits.append(time.perf_counter() - begun)
            with demo.store.read() as tx:
                now = redemptions.get(tx, row.redemption_id)
            assert now is not None
            assert now.status is RedemptionStatus.SETTLING
            assert now.broadcast_at_utc is not None
            chain.mine(3)
            demo.node.tick()
        plain = plain_gas(demo.stage)
    gas = result.audit.gas_per_redemption
    return {
        "redemptions": result.redemptions,
        "gas_per_redemption": gas,
        "gas_two_plain_transactions": plain,
        "gas_ratio_plain_over_batch": round(plain / gas, 2),
        "settled_per_second": round(result.settled / settled_seconds, 1),
        "approved_to_broadcast_median_milliseconds": round(1000 * statistics.median(waits), 1),
        "approved_to_broadcast_worst_milliseconds": round(1000 * max(waits), 1),
    }


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--singles", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    figures = run(options.orders, options.singles)
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name.replace('_', ' '):45} {value}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
