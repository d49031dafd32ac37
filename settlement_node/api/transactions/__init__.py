"""Transactions by the hash of any of their attempts."""
