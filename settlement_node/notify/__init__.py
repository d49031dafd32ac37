"""Consumers of the outbox."""
