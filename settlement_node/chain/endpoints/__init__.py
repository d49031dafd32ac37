"""Several endpoints as one: health, agreement, heads, receipts, states agreed or proven."""
