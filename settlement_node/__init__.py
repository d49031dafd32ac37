"""Settlement Node: every approved redemption is burned once and paid once."""

__version__ = "0.1.0"
