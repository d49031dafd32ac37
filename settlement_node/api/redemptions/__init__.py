"""Redemptions: taking in, listing, one with its whole story, cancelling."""
