"""Wiring only: `python -m settlement_node` and the `settlement-node` command."""

from __future__ import annotations

from settlement_node.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
