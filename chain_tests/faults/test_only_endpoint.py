"""An endpoint that lies or fails, and no other beside it: what must hold even then.

A single endpoint is believed, so it can have the book call paid what was not, or keep the lane from
going on; SECURITY says so. What it cannot do is make the node break the rules the settler's
contract enforces, and with them the one that matters: no redemption is paid twice on the chain,
neither while the lie is told nor after it, when the node sees what it had been told was not so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.faults.proxy import Fault
from chain_tests.faults.scene import LIAR, lying_scene
from chain_tests.marks import on_anvil
from chain_tests.world import Chain, World
from settlement_node.node.cycle import PassEnd
from tests_support.anvil import AnvilProcess
from tests_support.lies import Lie

FAILING = (Fault.REFUSED, Fault.TOO_MANY_REQUESTS, Fault.UNAVAILABLE)


@on_anvil
@pytest.mark.parametrize("lie", sorted(Lie))
def test_lie__of_the_only_endpoint__no_redemption_is_paid_twice(
    chain: Chain, new_world: Callable[..., World], lie: Lie
) -> None:
    assert isinstance(chain, AnvilProcess)
    with lying_scene(chain, new_world, LIAR) as made:
        made.enter(1, "paid")
        made.block(2)
        made.liar.tell(lie)
        made.enter(2, "order")
        made.drops = True  # so that there is a nonce to look at, and a payment to invent
        made.block(2)
        made.drops = lie is Lie.RECEIPT_INVENTED
        made.block(9)
        assert made.liar.told[lie] >= 1
        assert made.ends[PassEnd.FAILED] == 0

        made.drops = False
        made.liar.tell()
        made.block(6)
        assert [] == [name for name, times in made.paid_on_chain().items() if times > 1]
        assert made.ends[PassEnd.FAILED] == 0


@on_anvil
def test_reads__fifteen_in_a_hundred_fail__things_move(
    chain: Chain, new_world: Callable[..., World], figure: Callable[[str], None]
) -> None:
    assert isinstance(chain, AnvilProcess)
    with lying_scene(chain, new_world, "a") as made:
        made.proxies[0].plan.rates = dict.fromkeys(FAILING, 0.05)
        for number in range(4):
            made.enter(1, f"order-{number}")
            made.block(3)
        made.come_to_rest()
        passes = made.ends.total()
        assert made.ends[PassEnd.DONE] >= passes * 3 // 4
        figure(f"15 % of reads fail: {made.ends[PassEnd.DONE]} of {passes} passes whole")
