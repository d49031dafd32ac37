"""The engine's bounds in one frozen value. Block counts are in blocks, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields

from settlement_node.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """How the engine batches, waits and gives up (ARCHITECTURE, Engine rules).

    A lane has at most `in_flight_max` transactions unmined, which is what clients keep of one
    account, and `unfinal_max` that are not final, which on a chain that takes a quarter of an
    hour for that are far more. `batch_gas_bps` is the share of the block gas limit one batch
    may ask for; `gas_margin_bps` is what is added to the preview's gas. An attempt older than
    `replace_after_blocks` is replaced, one older than `rebroadcast_after_blocks` is sent again
    as it is. With `cancel_after_blocks` > 0 a transaction that old is cancelled by a no-op at
    its nonce; 0 never cancels by itself. `stranger_after_polls` consecutive sightings of a
    foreign transaction at our nonce stop the lane.
    """

    batch_items_max: int = 100
    in_flight_max: int = 16
    unfinal_max: int = 2_000
    batch_gas_bps: int = 5_000
    gas_margin_bps: int = 2_000
    fee_history_blocks: int = 10
    fee_percentile: int = 50
    replace_after_blocks: int = 3
    rebroadcast_after_blocks: int = 1
    cancel_after_blocks: int = 0
    attempts_max: int = 40
    stranger_after_polls: int = 3
    heads_kept_blocks: int = 256
    head_page_blocks: int = 128
    log_page_blocks: int = 2_000
    intake_batch_max: int = 1_000
    deliver_batch_max: int = 500

    def __post_init__(self) -> None:
        low = {"cancel_after_blocks": 0, "gas_margin_bps": 0}
        high = {
            "batch_items_max": 500,
            "in_flight_max": 64,
            "unfinal_max": 10_000,
            "batch_gas_bps": 10_000,
            "fee_percentile": 100,
            "gas_margin_bps": 100_000,
        }
        for item in fields(self):
            value = getattr(self, item.name)
            least, most = low.get(item.name, 1), high.get(item.name, 1_000_000)
            if not least <= value <= most:
                raise InvalidInput(
                    f"engine.{item.name} must be between {least} and {most}, not {value}",
                    field=f"engine.{item.name}",
                )
