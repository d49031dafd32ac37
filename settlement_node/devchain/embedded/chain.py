"""The embedded chain with its connections: what the demonstration and the tests start."""

from __future__ import annotations

from settlement_node.devchain.embedded.core import EmbeddedCore
from settlement_node.devchain.embedded.rpc import EmbeddedTransport


class EmbeddedChain(EmbeddedCore):
    """A chain inside this process, of which each connection stands for an endpoint."""

    def transport(self, name: str = "embedded") -> EmbeddedTransport:
        """A connection to this chain; several stand for several endpoints."""
        return EmbeddedTransport(self, name=name)
