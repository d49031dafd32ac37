"""Settlements: listing, one with its items, estimating."""
