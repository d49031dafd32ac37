"""The node beside an endpoint that lies, first or second of two, or one of three.

Each kind of lie is told in every answer it is about, while orders come in and are paid. At every
block the chain itself is asked, past the liar: nobody is paid twice, nothing is booked that the
chain does not show, no break is opened, no lane stops. With three endpoints, and with two where a
block proves what is so, the lane goes on during the lie and the liar is known by name; else it
waits. When the lie is over everything settles and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from chain_tests.faults.scene import LIAR, Scene, lying_scene
from chain_tests.marks import on_anvil
from chain_tests.world import Chain, World
from settlement_node.domain.engine.finality import FinalityMode
from tests_support.anvil import AnvilProcess
from tests_support.lies import STATELESS, STORIES, Lie

NOBODY_IS_WRONG = frozenset({Lie.FEES, Lie.TAGS})
"""No block holds what a gas price should be, and what is final an endpoint may know before others:
there the middle or the lowest counts, and nobody is blamed."""
LOGS_ALONE = (Lie.BATCH_HIDDEN, Lie.RECEIPT_WITHOUT_LOGS)
"""What the roots in a block's header refute whole. The other stories change a state besides, as
calls show it, which no header is asked about."""
MakeScene = Callable[..., Scene]


@pytest.fixture
def scene(chain: Chain, new_world: Callable[..., World]) -> Iterator[MakeScene]:
    with ExitStack() as stack:

        def make(*names: str, **words: object) -> Scene:
            assert isinstance(chain, AnvilProcess)
            return stack.enter_context(lying_scene(chain, new_world, *names, **words))

        yield make


def lie_for_a_while(made: Scene, lie: Lie, *, blocks: int) -> None:
    """Orders come in before the lie and while it is told. What the node sends first is lost on the
    way, so that there is something to invent a receipt for, and a nonce to look at."""
    made.enter(1, "paid")
    made.block(2)
    made.enter(1, "before")
    made.liar.tell(lie)
    made.drops = True
    made.block(2)
    made.check_nothing_false()
    made.drops = lie is Lie.RECEIPT_INVENTED
    for number in range(blocks):
        if number == 2:
            made.enter(2, "during")
        made.block()
        made.check_nothing_false()
    made.drops = False
    assert made.liar.told[lie] >= 1


@on_anvil
@pytest.mark.parametrize(
    ("names", "lie"),
    [((LIAR, "a"), lie) for lie in sorted(STORIES)]
    + [(("a", LIAR), lie) for lie in (Lie.BATCH_REATTRIBUTED, Lie.RECEIPT_INVENTED)],
)
def test_story__one_of_two__nothing_false_is_booked_or_paid(
    scene: MakeScene, names: tuple[str, ...], lie: Lie
) -> None:
    made = scene(*names)
    lie_for_a_while(made, lie, blocks=10)
    assert {LIAR} == made.blamed()

    made.liar.tell()
    made.come_to_rest()


@on_anvil
def test_lies__of_one_of_two__nothing_false_is_booked_or_paid(scene: MakeScene) -> None:
    """Those that one answer tells, a few blocks each; in between there is a moment to go on."""
    made = scene(LIAR, "a")
    made.enter(1, "paid")
    made.block(2)
    for lie in sorted(STATELESS):
        made.liar.tell(lie)
        made.enter(1, lie)
        made.drops = True
        made.block()
        made.drops = False
        for _ in range(2):
            made.block()
            made.check_nothing_false()
        made.liar.tell()
        made.block()
    assert set(STATELESS) <= set(made.liar.told)

    made.come_to_rest()
    made.check_fees()
    assert made.blamed() <= {LIAR}


@on_anvil
@pytest.mark.parametrize("lie", LOGS_ALONE)
def test_logs__second_of_two_spoils_them__goes_on_and_knows_the_liar(
    scene: MakeScene, lie: Lie
) -> None:
    made = scene("a", LIAR)
    lie_for_a_while(made, lie, blocks=4)
    made.come_to_rest()
    assert {LIAR} == made.blamed()


@on_anvil
@pytest.mark.parametrize("lie", sorted(Lie))
def test_lie__one_of_three__goes_on_and_knows_the_liar(scene: MakeScene, lie: Lie) -> None:
    made = scene(LIAR, "a", "b")
    lie_for_a_while(made, lie, blocks=4)
    made.come_to_rest()

    assert (set() if lie in NOBODY_IS_WRONG else {LIAR}) == made.blamed()
    made.check_fees()


@on_anvil
@pytest.mark.parametrize("lie", [Lie.BATCH_REATTRIBUTED, Lie.RECEIPT_INVENTED])
def test_story__the_other_is_busy__nothing_false_is_booked_or_paid(
    scene: MakeScene, lie: Lie
) -> None:
    made = scene("a", LIAR)
    made.enter(2, "early")
    made.block()
    made.liar.tell(lie)
    made.busy("a", is_busy=True)
    for _ in range(4):
        made.block()
        made.check_nothing_false()
    made.busy("a", is_busy=False)
    lie_for_a_while(made, lie, blocks=8)

    made.liar.tell()
    made.come_to_rest()


@on_anvil
@pytest.mark.parametrize("chain_options", [{"slots_in_an_epoch": 3}])
@pytest.mark.parametrize("names", [(LIAR, "a"), (LIAR, "a", "b")], ids=["two", "three"])
def test_tags__pushed_forward_by_one__settled_when_it_is_safe_and_not_before(
    scene: MakeScene, names: tuple[str, ...]
) -> None:
    made = scene(*names, mode=FinalityMode.SAFE)
    made.liar.tell(Lie.TAGS)
    made.enter(2, "order")
    for _ in range(9):
        made.block()
        made.check_nothing_false()
        if made.is_settled():
            break
        assert made.world.transaction_of("order-0").block_number not in range(made.safe_number())
    assert made.is_settled()
    assert made.liar.told[Lie.TAGS] >= 1
