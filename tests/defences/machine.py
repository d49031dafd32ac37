"""Defences of the machine the node is set up on."""

from __future__ import annotations

from tests.defences.changes import Text
from tests.defences.model import Defence, Line

FRESH = "tests/setup/test_fresh_machine.py"
LOCKS = "tests/setup/test_locks.py"

MACHINE: tuple[Defence, ...] = (
    Defence(
        name="locks_are_installed_whole",
        line=Line.OTHER_PACKAGES,
        happens="a newer release of a locked package is published overnight",
        holds="pip asks for nothing beside the lock, so the set-up works as on the day before",
        at="Makefile",
        change=Text("--quiet --no-deps --require-hashes -r", "--quiet --require-hashes -r"),
        tests=(
            f"{FRESH}::test_setup__newer_release_is_published__installs_what_is_locked[3.11]",
            f"{LOCKS}::test_installs__of_every_lock__take_it_whole_and_by_hash",
        ),
    ),
    Defence(
        name="packages_are_known_by_hash",
        line=Line.OTHER_PACKAGES,
        happens="a line of a lock has lost its hash, so any content would do under that name",
        holds="nothing of that lock is installed, and the package is named",
        at="Makefile",
        change=Text("--quiet --no-deps --require-hashes -r", "--quiet --no-deps -r"),
        tests=(f"{FRESH}::test_setup__lock_that_was_tampered_with__is_refused_by_name[none-3.11]",),
    ),
)
