"""Signers: who holds the lane's key and how it signs."""
