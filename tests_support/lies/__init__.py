"""Likely lies of a JSON-RPC endpoint, told by a proxy before a real chain and in the simulator."""

from tests_support.lies.liar import STATELESS, STORIES, Liar, Lie

__all__ = ["STATELESS", "STORIES", "Liar", "Lie"]
