"""Following the settlers that name one another as predecessors: bounded, and each one proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from settlement_node.chain.views import SettlerView
from settlement_node.desk.succession import PREDECESSORS_MAX
from settlement_node.desk.succession import predecessors as all_predecessors
from settlement_node.domain.observations import BurnStyle
from settlement_node.errors import Refused
from settlement_node.units import ZERO_ADDRESS, ZERO_HASH, Address, Payout
from tests_support.book import address

SHARE, MONEY = address("share"), address("money")


@dataclass(frozen=True, slots=True)
class Tokens:
    share_token_address: Address = SHARE
    payout_token_address: Address = MONEY


def chain_of(
    named: Mapping[str, str | None], *, shares: Mapping[str, Address] | None = None
) -> Callable[[Address], SettlerView]:
    """Settlers by name, each with the name of its predecessor; whatever else is asked is none."""
    views = {
        address(name): SettlerView(
            settler_address=address(name),
            share_token_address=(shares or {}).get(name, SHARE),
            payout_token_address=MONEY,
            treasury_address=address("treasury"),
            burn_style=BurnStyle.BURN,
            batch_hash=ZERO_HASH,
            paused=False,
            daily_payout_limit_base_units=Payout(1),
            payout_available_base_units=Payout(1),
            floor_price=0,
            ceiling_price=1,
            item_gas_limit=400_000,
            predecessor_address=ZERO_ADDRESS if before is None else address(before),
            operator_address=address("operator"),
        )
        for name, before in named.items()
    }

    def view_of(settler: Address) -> SettlerView:
        if settler not in views:
            raise Refused(f"there is no settler at {settler}", reason="not_a_settler")
        return views[settler]

    return view_of


predecessors = partial(all_predecessors, named="named in a test")


def test_predecessors__none_named__none() -> None:
    assert predecessors(chain_of({"a": None}), Tokens(), address("a")) == []


def test_predecessors__a_chain__youngest_first() -> None:
    view_of = chain_of({"c": "b", "b": "a", "a": None})

    assert predecessors(view_of, Tokens(), address("c")) == [address("b"), address("a")]


def test_predecessors__not_a_settler__refused_and_named() -> None:
    with pytest.raises(Refused, match="is not a settler") as caught:
        predecessors(chain_of({"b": "nobody"}), Tokens(), address("b"))

    assert caught.value.details["settler_address"] == address("nobody")
    assert f"{address('nobody')}, the predecessor of {address('b')}, is" in caught.value.message


def test_predecessors__the_newest_is_none__refused_as_what_it_was_named() -> None:
    with pytest.raises(Refused, match=", named in a test, is not a settler"):
        predecessors(chain_of({}), Tokens(), address("b"))


def test_predecessors__other_tokens__refused() -> None:
    view_of = chain_of({"b": "a", "a": None}, shares={"a": address("other share")})

    with pytest.raises(Refused, match="the fund has"):
        predecessors(view_of, Tokens(), address("b"))


@pytest.mark.parametrize("back_to", ["a", "b", "c"])
def test_predecessors__in_a_circle__refused(back_to: str) -> None:
    with pytest.raises(Refused, match="circle"):
        predecessors(chain_of({"c": "b", "b": "a", "a": back_to}), Tokens(), address("c"))


def test_predecessors__without_end__refused() -> None:
    names = [f"s{n}" for n in range(PREDECESSORS_MAX + 2)]
    endless = dict(zip(names, [*names[1:], None], strict=True))

    with pytest.raises(Refused, match="more than"):
        predecessors(chain_of(endless), Tokens(), address("s0"))
    last = list(reversed(predecessors(chain_of(endless), Tokens(), address("s1"))))
    assert last[0] == address(names[-1])
