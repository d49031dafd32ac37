"""A chain inside this process, executed by py-evm."""

from settlement_node.chain.wire.recursion import own_recursion_limit
from settlement_node.errors import InvalidInput

try:
    with own_recursion_limit():
        import eth as eth
except ModuleNotFoundError:
    raise InvalidInput(
        "the chain inside the process needs py-evm, which is not installed; install it with:"
        " make demo, or take anvil: --chain anvil"
    ) from None
