"""The least gas a redemption can cost in a batch, from the EVM's own schedule.

What is counted is what nobody can leave out who, for each redemption, burns shares through the
fund token, pays through the payout token, remembers that both happened, tells of it, checks the
balances before and after, and lets one item fail without the others. What is not counted is
everything a cleverer program could still save: dispatch, decoding, arithmetic, memory, jumps.

Prices are those of EIP-2028 (calldata), EIP-2929 and EIP-2200 (storage, accounts), EIP-3529
(refunds), and the yellow paper's appendix G (logs, KECCAK256, copies).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

TRANSACTION = 21_000
CALLDATA_ZERO_BYTE, CALLDATA_OTHER_BYTE = 4, 16
COLD_ACCOUNT, COLD_SLOT, WARM = 2_600, 2_100, 100
WRITE_NEW, WRITE_OTHER, WRITE_AGAIN = 20_000, 2_900, 100
"""A slot from zero, one from another value, and one already changed in this transaction."""
REFUND_TO_ZERO, REFUND_PART = 4_800, 5
LOG, LOG_TOPIC, LOG_BYTE = 375, 375, 8
KECCAK, KECCAK_WORD, COPY_WORD = 30, 6, 3
MAPPING = KECCAK + 2 * KECCAK_WORD
"""Finding a slot of a mapping: 64 bytes are hashed."""
BITS_IN_A_WORD = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes redemptions of a batch dear or cheap."""

    batch: int
    item_bytes: bytes
    """An item as it stands in the calldata."""
    shares_left: bool
    """Whether the investor keeps shares, so that its slot does not become zero."""
    payee_holds: bool
    """Whether the payee has the payout token already, so that its slot is not new."""


EXAMPLE = Shape(
    batch=100,
    # An id, a small index, two addresses, and amounts of nine and four bytes.
    item_bytes=b"".join((b"\x01" * used).rjust(32, b"\x00") for used in (32, 1, 20, 20, 9, 4)),
    shares_left=True,
    payee_holds=True,
)
"""The shape that docs/benchmarks.md derives the floor of."""


def calldata(data: bytes) -> int:
    """The gas of so much calldata."""
    zeros = data.count(0)
    return CALLDATA_ZERO_BYTE * zeros + CALLDATA_OTHER_BYTE * (len(data) - zeros)


class Part(NamedTuple):
    """One thing that is paid for, and whether a token spends it and not the settler."""

    what: str
    gas: int
    in_a_token: bool = False


def of_each(shape: Shape) -> list[Part]:
    """What every redemption pays for itself."""
    transfer_log = LOG + 3 * LOG_TOPIC + 32 * LOG_BYTE
    words = len(shape.item_bytes) // 32
    payee_write = WRITE_OTHER if shape.payee_holds else WRITE_NEW
    return [
        Part("its item in the calldata", calldata(shape.item_bytes)),
        Part("the item copied and hashed into the ratchet", words * (COPY_WORD + KECCAK_WORD)),
        Part("the item's own frame, burn, and transfer: three calls", 3 * WARM),
        Part(
            "the investor's balance, read cold and written",
            COLD_SLOT + WRITE_OTHER,
            in_a_token=True,
        ),
        Part(
            "the payee's balance, read cold and written", COLD_SLOT + payee_write, in_a_token=True
        ),
        Part("both read again by the token that writes them", 2 * WARM, in_a_token=True),
        Part(
            "supply, allowance and treasury's balance, read and written",
            3 * (WARM + WRITE_AGAIN),
            in_a_token=True,
        ),
        Part(
            "what the tokens ask: the burner's role, the payout token's pause",
            2 * WARM,
            in_a_token=True,
        ),
        Part("five balances asked for: investor and payee twice, treasury once", 5 * WARM),
        Part("of these three read warm", 3 * WARM, in_a_token=True),
        Part("twelve places of mappings found", 12 * MAPPING, in_a_token=True),
        Part("RedemptionSettled: four topics and three words", LOG + 4 * LOG_TOPIC + 96 * LOG_BYTE),
        Part("Transfer, of the burn and of the payment", 2 * transfer_log, in_a_token=True),
    ]


def of_a_batch(shape: Shape) -> list[Part]:
    """What a batch pays once."""
    words_of_bits = -(-shape.batch // BITS_IN_A_WORD)
    return [
        Part("the transaction", TRANSACTION),
        Part(
            "supply, allowance and treasury's balance: cold, and the first write",
            3 * (COLD_SLOT + WRITE_OTHER - 2 * WARM),
            in_a_token=True,
        ),
        Part(
            "the role and the payout token's pause: cold", 2 * (COLD_SLOT - WARM), in_a_token=True
        ),
        Part("both tokens: cold", 2 * (COLD_ACCOUNT - WARM)),
        Part("the bitmap: one word for 256 indexes", words_of_bits * (COLD_SLOT + WRITE_OTHER)),
        Part("the ratchet, and the day's limit in two slots", 3 * (COLD_SLOT + WRITE_OTHER)),
        Part("operator, pause and price band: one slot each", 2 * COLD_SLOT),
        Part(
            "BatchSettled: two topics of hashes and two words", LOG + 3 * LOG_TOPIC + 64 * LOG_BYTE
        ),
        Part("selector, hash, offset and length", 4 * 16 + calldata(bytes(60) + b"\x01" * 36)),
    ]


def per_redemption(shape: Shape) -> float:
    """The floor of one redemption of a batch, refunds taken off as the chain does."""
    each = sum(part.gas for part in of_each(shape))
    once = sum(part.gas for part in of_a_batch(shape))
    whole = shape.batch * each + once
    refund = 0 if shape.shares_left else shape.batch * REFUND_TO_ZERO
    return (whole - min(refund, whole // REFUND_PART)) / shape.batch


def of_the_settler(shape: Shape) -> float:
    """What of a redemption's floor the settler spends itself: all but what its tokens do."""
    each = sum(part.gas for part in of_each(shape) if not part.in_a_token)
    once = sum(part.gas for part in of_a_batch(shape) if not part.in_a_token)
    return each + once / shape.batch


def lines(shape: Shape) -> Sequence[str]:
    """The derivation as text, for the page."""
    each, once = of_each(shape), of_a_batch(shape)
    shown = [f"{part.gas:>7,}  {part.what}" for part in each]
    shown.append(f"{sum(part.gas for part in each):>7,}  for each redemption")
    shown += [f"{part.gas:>7,}  {part.what}" for part in once]
    shown.append(f"{sum(part.gas for part in once):>7,}  for a batch, shared by {shape.batch}")
    shown.append(f"{per_redemption(shape):>7,.0f}  the floor of one redemption")
    return shown
