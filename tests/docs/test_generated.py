"""What is drawn from the code is as the code is now; `python -m tools.make_docs` draws it."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT
from tools import make_docs

HOW = "stale: run .venv/bin/python -m tools.make_docs"


@pytest.mark.parametrize("page", sorted(make_docs.PAGES))
def test_generated__whole_page__is_up_to_date(page: str) -> None:
    assert make_docs.PAGES[page]() == (ROOT / page).read_text(encoding="utf-8"), HOW


@pytest.mark.parametrize("page", make_docs.MARKED_PAGES)
def test_generated__parts_of_a_page__are_up_to_date(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert make_docs.render_parts(text) == text, HOW


@pytest.mark.parametrize("name", ["redemption-life-cycle", "transaction-life-cycle", "tables"])
def test_architecture__parts_drawn_from_the_code__are_all_there(name: str) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert make_docs.PARTS[name]() in text


def test_api_guide__endpoints__are_there() -> None:
    text = (ROOT / "docs/guides/api.md").read_text(encoding="utf-8")
    assert make_docs.endpoints() in text


def test_configuration__every_key__says_what_it_means() -> None:
    assert list(make_docs.keys_without_meaning()) == [], "give the field a description"


def test_configuration__every_section__is_on_the_page() -> None:
    assert make_docs.sections_without_page() == set(), "add it to SECTIONS in tools/make_docs.py"


def test_configuration__meanings__belong_to_keys_that_exist() -> None:
    from settlement_node.config import sections

    known = {
        f"{name}.{key}"
        for _, name in make_docs.SECTIONS
        for key in getattr(sections, name).model_fields
    }
    assert set(make_docs.MEANINGS) - known == set()
