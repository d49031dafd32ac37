"""The engine's rows: transactions and attempts, settlements and items, leases."""
