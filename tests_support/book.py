"""A filled book for tests, made through the store's own functions. Addresses are derived from
words, so that every run has the same ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.domain.breaks import BookedNotPaid
from settlement_node.domain.lane_breaks import StrangerAtNonce
from settlement_node.domain.lifecycle import Leg, RedemptionFact
from settlement_node.domain.observations import (
    BatchSettledEvent,
    Block,
    BurnStyle,
    EventPlace,
    RedemptionSettledEvent,
)
from settlement_node.domain.redemption import Priced, PriceTerms, RedemptionOrder, price_redemption
from settlement_node.store.book import funds, orders, redemptions
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.database import Store, Tx
from settlement_node.store.engine import lanes, settlements, transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, RedemptionRow, SettlementRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.units import ZERO_HASH, Address, Hex32, Payout, Shares, Wei, to_hex32

CHAIN_ID = 31337


def address(name: str) -> Address:
    """The address of a word."""
    return Address(to_checksum_address(keccak(text=f"address:{name}")[-20:]))


def hash32(name: str) -> Hex32:
    """The hash of a word."""
    return to_hex32(keccak(text=f"hash:{name}"))


def payout_of(shares: Shares, terms: PriceTerms) -> Payout:
    """What so many shares are paid at the terms; fails where they cannot be."""
    price = price_redemption(shares, terms)
    assert isinstance(price, Priced), price
    return price.payout_base_units


LANE_ADDRESS = address("lane")
LANE = lane_key(CHAIN_ID, LANE_ADDRESS)

NEW_FUND = funds.NewFund(
    fund_id="alpha",
    name="Alpha Income Fund",
    chain_id=CHAIN_ID,
    share_token_address=address("alpha shares"),
    share_decimals=18,
    payout_token_address=address("stablecoin"),
    payout_decimals=6,
    settler_address=address("alpha settler"),
    settler_from_block=10,
    treasury_address=address("alpha treasury"),
    lane_address=LANE_ADDRESS,
    burn_style=BurnStyle.BURN,
    fee_bps=25,
    nav_per_share=1_050_000,
    nav_decimals=6,
)


def add_fund(store: Store, *, next_nonce: int | None = 0, **changes: Any) -> FundRow:
    """Record a fund, NEW_FUND with changes, and start its lane's nonce."""
    with store.transaction(actor="test") as tx:
        fund = funds.add_fund(tx, dataclasses.replace(NEW_FUND, **changes))
        if next_nonce is not None:
            lanes.set_lane(tx, fund.chain_id, fund.lane_address, next_nonce=next_nonce)
    return fund


def booked_not_paid(name: str) -> BookedNotPaid:
    """A money break about the redemption of that name."""
    return BookedNotPaid(hash32(name))


def stranger(*, nonce: int, signer: Address = LANE_ADDRESS) -> StrangerAtNonce:
    """The break that stops a lane for a stranger at its nonce."""
    return StrangerAtNonce(CHAIN_ID, signer, nonce, "who holds the key?")


def order(name: str, **changes: Any) -> RedemptionOrder:
    """An order of one share by the investor of that name, with changes."""
    plain = RedemptionOrder(
        external_id=name,
        investor_address=address(f"investor {name}"),
        payee_address=address(f"payee {name}"),
        shares_base_units=Shares(10**18),
    )
    return dataclasses.replace(plain, **changes)


def request(
    store: Store, fund: FundRow, wanted: Sequence[RedemptionOrder | str]
) -> list[RedemptionRow]:
    """Record orders as requested; a word stands for the order of that name."""
    full = [order(o) if isinstance(o, str) else o for o in wanted]
    with store.transaction(actor="test") as tx:
        rows = orders.new_rows(tx, fund, full)
        orders.write_new(tx, rows)
        return rows


def approve(
    store: Store, fund: FundRow, wanted: Sequence[RedemptionOrder | str]
) -> list[RedemptionRow]:
    """Record orders and approve them."""
    rows = request(store, fund, wanted)
    with store.transaction(actor="test") as tx:
        return redemptions.record_facts(
            tx, [Advance(row, RedemptionFact.APPROVAL_GIVEN) for row in rows]
        )


def plan_transaction(tx: Tx, *, nonce: int, signer: Address = LANE_ADDRESS) -> TransactionRow:
    """Give a nonce to an intent."""
    return transactions.plan_transaction(
        tx,
        chain_id=CHAIN_ID,
        signer_address=signer,
        nonce=nonce,
        to_address=address("alpha settler"),
        data=b"\x01\x02",
        gas_limit=500_000,
        deadline_block=None,
    )


def sign(tx: Tx, row: TransactionRow, name: str = "attempt") -> Hex32:
    """A first attempt of a transaction, never sent; returns its hash."""
    attempt = transactions.add_attempt(
        tx,
        row,
        attempt_hash=hash32(name),
        kind=AttemptKind.ORIGINAL,
        raw=b"\x02",
        max_fee_per_gas_wei=Wei(10),
        max_priority_fee_per_gas_wei=Wei(1),
        at_block=1,
    )
    return attempt.attempt_hash


def plan(
    store: Store, fund: FundRow, rows: Sequence[RedemptionRow], *, nonce: int
) -> tuple[TransactionRow, SettlementRow]:
    """Settle approved rows in one transaction, each paid one whole stablecoin."""
    with store.transaction(actor="test") as tx:
        transaction = plan_transaction(tx, nonce=nonce, signer=fund.lane_address)
        price = {
            "gross_base_units": 1_000_000,
            "fee_base_units": 0,
            "payout_base_units": 1_000_000,
            "nav_per_share": 1_000_000,
        }
        priced = redemptions.record_facts(
            tx, [Advance(row, RedemptionFact.SETTLEMENT_PLANNED, price) for row in rows]
        )
        settlement = settlements.add_settlement(
            tx,
            fund,
            leg=Leg.BURN_AND_PAYOUT,
            transaction_id=transaction.transaction_id,
            previous_batch_hash=ZERO_HASH if nonce == 0 else hash32(f"batch {nonce - 1}"),
            batch_hash=hash32(f"batch {nonce}"),
            items=priced,
        )
    return transaction, settlement


def block(number: int, *, fork: str = "main") -> Block:
    """The block of a number on a named fork."""
    return Block(
        number=number,
        block_hash=hash32(f"block {number} {fork}"),
        parent_hash=hash32(f"block {number - 1} {fork}"),
        timestamp_seconds=1_767_600_000 + 12 * number,
        base_fee_per_gas_wei=Wei(10**9),
        gas_limit=30_000_000,
    )


def place(
    number: int, *, log_index: int = 0, settler_address: Address = NEW_FUND.settler_address
) -> EventPlace:
    """Where an event of a block stands; each block has one transaction."""
    return EventPlace(
        settler_address=settler_address,
        block_number=number,
        block_hash=block(number).block_hash,
        transaction_hash=hash32(f"transaction of block {number}"),
        log_index=log_index,
    )


def settled_event(row: RedemptionRow, at: EventPlace) -> RedemptionSettledEvent:
    """The settler's event of a redemption, paid one whole stablecoin."""
    return RedemptionSettledEvent(
        place=at,
        redemption_id_hex=row.redemption_id,
        redemption_index=row.redemption_index,
        investor_address=row.investor_address,
        payee_address=row.payee_address,
        shares_base_units=row.shares_base_units,
        payout_base_units=Payout(1_000_000),
    )


def batch_event(at: EventPlace, *, number: int) -> BatchSettledEvent:
    """The settler's event of the batch of a number."""
    return BatchSettledEvent(
        place=at,
        batch_hash=hash32(f"batch {number}"),
        previous_batch_hash=hash32(f"batch {number - 1}"),
        settled_count=1,
        skipped_count=0,
    )


def at(text: str) -> datetime:
    """A time from its ISO text, which must name a zone."""
    return datetime.fromisoformat(text)
