"""A chain in plain Python: blocks, forks, mempools, the settler and the tokens. No EVM."""
