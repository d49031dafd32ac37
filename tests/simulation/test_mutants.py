"""The simulator sees the known ways to pay twice when they are put into the node.

`silence_is_absence` ends in money really paid twice. `first_endpoint_believed` is seen as soon as
the book has as final what the chain does not show so. The other two are seen earlier, as what makes
double payment possible: one nonce for two batches (invariant 5), and bytes that leave before they
are written (invariant 3); the node's other defences (the settlers' events, the stop at a stranger's
hash) then keep the money safe.
"""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import Job, run_seed
from tests.simulation.world import Outcome

SEEDS = 200
PINNED = (0, 4, 5, 1)
"""Seeds at which one or another was seen; they are played first."""


def first_failing(job: Job) -> Outcome:
    """A seed of 200 that fails."""
    for seed in dict.fromkeys((*PINNED, *range(SEEDS))):
        outcome = run_seed(seed, job)
        if outcome.violations:
            return outcome
    pytest.fail(f"{job.mutant} was not seen in {SEEDS} seeds")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_run__known_double_pay_path__is_seen(name: str) -> None:
    expected = MUTANTS[name].seen_as
    outcome = first_failing(Job(mutant=name, watched=expected))
    assert {v.kind for v in outcome.violations} <= expected


@pytest.mark.slow
def test_run__silence_read_as_absence__pays_twice() -> None:
    """With the faults alone that make a mined or waiting transaction look absent."""
    faults = ("receipt_null", "receipt_error", "mempool_drop", "empty_blocks", "chain_halted")
    outcome = first_failing(
        Job(mutant="silence_is_absence", watched=frozenset({"double_paid"}), faults=faults)
    )
    assert {"double_paid"} == {v.kind for v in outcome.violations}


@pytest.mark.slow
@pytest.mark.parametrize(
    "lie", ["lie_receipt_reverted", "lie_receipt_invented", "lie_batch_reattributed"]
)
def test_run__first_endpoint_believed__one_kind_of_lie_makes_the_book_untrue(lie: str) -> None:
    outcome = first_failing(
        Job(mutant="first_endpoint_believed", watched=frozenset({"false_final"}), faults=(lie,))
    )
    assert {"false_final"} == {v.kind for v in outcome.violations}
