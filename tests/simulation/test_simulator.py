"""The simulator run: a short range of seeds in every test run, and what it promises of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from settlement_node.chain.wire.transport import RpcRequest
from tests.simulation.__main__ import main
from tests.simulation.faults import LIES, REGISTRY, Faults, UnknownFault
from tests.simulation.runner import (
    SEEDS_TO_JUDGE_LIES,
    Job,
    Totals,
    run_and_report,
    run_seed,
    shortest,
)
from tests.simulation.scenario import draw
from tests.simulation.signer import lane_key
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
STEPS = 22


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", [0, 6])
def test_run__six_seeds__nothing_paid_twice_lost_or_stuck(first_seed: int) -> None:
    """Of the hundred that continuous integration plays by itself."""
    totals = Totals()
    for seed in range(first_seed, first_seed + 6):
        totals.add(run_seed(seed, Job(steps=STEPS)))
    assert [] == [(o.seed, o.violations[0]) for o in totals.failing]
    assert totals.line().endswith("double_paid=0 lost=0 stuck=0 violations=0")
    assert sum(totals.faults.values()) > 100


def test_run__without_faults__pays_every_redemption() -> None:
    outcome = World(4, steps=STEPS, with_faults=False).run()
    assert [] == outcome.violations
    assert outcome.redemptions == outcome.settled
    assert {} == outcome.faults


def test_run__same_seed_in_other_processes__same_trace() -> None:
    program = (
        "from tests.simulation.runner import Job, run_seed\n"
        "from tests.simulation.world import silence_logs\n"
        "silence_logs()\n"
        f"print(run_seed(3, Job(steps={STEPS})).trace_hash)\n"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    here = run_seed(3, Job(steps=STEPS)).trace_hash
    assert {f"{here}\n"} == traces


def test_run__named_faults_only__no_other_happens() -> None:
    outcome = run_seed(2, Job(steps=STEPS, faults=("send_answer_lost", "reorganisation")))
    assert [] == outcome.violations
    assert {"send_answer_lost", "reorganisation"} >= set(outcome.faults)
    assert outcome.faults


@pytest.mark.slow
@pytest.mark.parametrize("kind", LIES)
def test_run__one_kind_of_lie_alone_and_often__is_told_and_nothing_comes_of_it(kind: str) -> None:
    scenario = replace(draw(Random(2), steps=STEPS), endpoints=3, rates={kind: 0.3})
    outcome = World(2, steps=STEPS, scenario=scenario).run()
    assert ([], [kind]) == (outcome.violations, list(outcome.faults))


def test_totals__a_lie_told_less_than_once_a_seed__is_named_in_a_long_run() -> None:
    totals = Totals(seeds=SEEDS_TO_JUDGE_LIES, faults=Counter(dict.fromkeys(LIES, 1_000)))
    assert {} == totals.seldom_told()
    totals.faults["lie_fees"] = SEEDS_TO_JUDGE_LIES - 1
    assert {"lie_fees": SEEDS_TO_JUDGE_LIES - 1} == totals.seldom_told()


def test_endpoints__one_lies__no_other_does_at_the_same_time() -> None:
    world = World(3, steps=1, with_faults=False)
    assert len(world.endpoints.all) > 1
    liar, other, *_ = world.endpoints.all
    world.faults = world.endpoints.faults = Faults(world.rng, dict.fromkeys(LIES, 1.0))
    world.faults.active = True
    asked = RpcRequest("eth_getTransactionCount", (lane_key().address, "latest"))
    honest = other.view.answer(asked)
    assert honest != world.endpoints.answer(liar, asked)
    assert honest == world.endpoints.answer(other, asked)


def test_shortest__failing_seed__cut_to_the_step_that_matters() -> None:
    job = Job(steps=STEPS, mutant="stored_after_broadcast")
    seed = next(s for s in range(200) if run_seed(s, job).violations)
    whole = run_seed(seed, job)
    cut = shortest(seed, job)
    assert cut.violations
    assert cut.faults_until is not None
    assert cut.faults_until <= whole.violations[0].step


def test_faults__unknown_name__is_refused_with_the_names() -> None:
    faults = Faults(World(0, steps=1, with_faults=False).rng, {})
    with pytest.raises(UnknownFault, match="no fault 'moon_phase'; the names are: "):
        faults.hits("moon_phase")


def test_faults__past_the_last_step__never_happen() -> None:
    world = World(0, steps=1, with_faults=False)
    faults = Faults(world.rng, dict.fromkeys(REGISTRY, 1.0), stop_after_step=3)
    faults.active = True
    faults.step = 3
    assert faults.hits("request_lost")
    faults.step = 4
    assert not faults.hits("request_lost")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "-1"], "seed must be between 0 and"),
        (["--seed", str(2**63 - 1), "--seeds", "2"], "the last seed must be between 0 and"),
        (["--seeds", "0"], "seeds must be between 1 and"),
        (["--steps", "0"], "steps must be between 1 and"),
        (["--jobs", "0"], "jobs must be between 1 and"),
        (["--faults", "moon_phase"], "no fault 'moon_phase'; the names are: "),
        (["--faults", ""], "no fault ''; the names are: "),
    ],
)
def test_command__bad_input__says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_command__clean_run__one_line_and_the_faults_by_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.json"
    status = run_and_report([1], Job(steps=5), jobs=1, faults_json=path, quiet=True)
    assert status == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("seeds=1 steps=5 redemptions=")
    assert all(f'"{name}"' in path.read_text(encoding="utf-8") for name in REGISTRY)
