"""What a signature costs in this process: the curve alone, and a whole signed transaction.

    .venv/bin/python -m benchmarks.signing [--seconds 2]

A lane signs one transaction for a batch of redemptions, so this bounds nothing in practice; it
is printed to show that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from coincurve import PrivateKey

from settlement_node.chain.signers import KeySigner, TransactionFields
from settlement_node.units import Address, Wei

KEY = (0xA11CE).to_bytes(32, "big")
BATCH_DATA_BYTES = 32 * 5 * 100
"""The items of a batch of a hundred."""
WARM_UP = 50


def per_second(work: Callable[[], object], *, seconds: float) -> float:
    """How often `work` runs in a second, by running it for that long."""
    for _ in range(WARM_UP):
        work()
    started = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        work()
        count += 1
    return count / elapsed


def fields(data: bytes) -> TransactionFields:
    """A transaction with this call data."""
    return TransactionFields(
        chain_id=1,
        nonce=7,
        to_address=Address("0x1111111111111111111111111111111111111111"),
        data=data,
        value_wei=Wei(0),
        gas_limit=10_000_000,
        max_fee_per_gas_wei=Wei(30 * 10**9),
        max_priority_fee_per_gas_wei=Wei(10**9),
    )


def main() -> None:
    """Measure each for the same time and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    seconds = parser.parse_args().seconds
    key, signer = PrivateKey(KEY), KeySigner(KEY)
    small, batch = fields(b"\x01" * 32), fields(b"\x01" * BATCH_DATA_BYTES)
    figures = {
        "coincurve signature of a digest": lambda: key.sign_recoverable(KEY, hasher=None),
        "transaction, small, signed and checked": lambda: signer.sign(small),
        "transaction of 100 items, signed and checked": lambda: signer.sign(batch),
    }
    for name, work in figures.items():
        print(f"{name}: {per_second(work, seconds=seconds):,.0f} a second")


if __name__ == "__main__":
    main()
