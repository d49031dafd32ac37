"""`python -m tests.simulation --seeds N [--seed K]`: run the simulator from the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from settlement_node.errors import InvalidInput
from tests.simulation.faults import check_names
from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import STEPS, Job, check_seed, run_and_report


def main(arguments: list[str]) -> int:
    """Parse, run, report; 0 when nothing was found, 1 for a violation, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to run")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of a run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--faults-json",
        type=Path,
        default=Path("build/simulation-faults.json"),
        help="where to write the faults by kind",
    )
    parser.add_argument("--faults", help="only these faults, separated by commas")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the node in a known way")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(arguments)
    try:
        check_seed(given.seed)
        if not 1 <= given.seeds <= 1_000_000:
            raise InvalidInput("seeds must be between 1 and 1000000", field="seeds")
        check_seed(given.seed + given.seeds - 1, field_name="the last seed")
        if not 1 <= given.steps <= 100_000:
            raise InvalidInput("steps must be between 1 and 100000", field="steps")
        if not 1 <= given.jobs <= 256:
            raise InvalidInput("jobs must be between 1 and 256", field="jobs")
        faults = None if given.faults is None else tuple(given.faults.split(","))
        check_names(faults or ())
    except InvalidInput as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    return run_and_report(
        range(given.seed, given.seed + given.seeds),
        Job(steps=given.steps, mutant=given.mutant, faults=faults),
        jobs=min(given.jobs, given.seeds),
        faults_json=given.faults_json,
        quiet=given.quiet,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
