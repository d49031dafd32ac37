"""A chain inside this process, executed by py-evm."""

from settlement_node.chain.recursion import own_recursion_limit

with own_recursion_limit():
    import eth as eth
