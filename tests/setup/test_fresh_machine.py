"""`make setup` on a machine that has nothing yet, whatever was published since the locks were
written, with the oldest pip that a supported Python brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.setup.index import LOCKED, NEWER, installed, set_up, small_project
from tests.setup.interpreters import Interpreter, with_oldest_pip

SUPPORTED = ("3.11", "3.12")


@pytest.fixture
def python(request: pytest.FixtureRequest) -> Interpreter:
    version: str = request.param
    found = with_oldest_pip(version)
    if found is None:
        pytest.skip(f"there is no Python {version} with ensurepip on this machine")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("python", SUPPORTED, indirect=True)
def test_setup__newer_release_is_published__installs_what_is_locked(
    python: Interpreter, tmp_path: Path
) -> None:
    folder = small_project(tmp_path)

    ended = set_up(folder, python.path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert LOCKED.items() <= installed(folder).items()
    assert (folder / "index" / "{}-{}-py3-none-any.whl".format(*NEWER)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("python", SUPPORTED[:1], indirect=True)
@pytest.mark.parametrize(
    ("tampered", "words"),
    [
        pytest.param(
            lambda line, digest: line.replace(digest, digest[::-1]),
            ("DO NOT MATCH THE HASHES", "runner", "requirements.lock"),
            id="other",
        ),
        pytest.param(
            lambda line, digest: line.replace(f" \\\n    --hash=sha256:{digest}", ""),
            ("Hashes are required", "runner", "requirements.lock"),
            id="none",
        ),
    ],
)
def test_setup__lock_that_was_tampered_with__is_refused_by_name(
    python: Interpreter,
    tampered: Callable[[str, str], str],
    words: tuple[str, ...],
    tmp_path: Path,
) -> None:
    folder = small_project(tmp_path)
    lock = folder / "requirements.lock"
    line = lock.read_text()
    digest = line.strip().rpartition("sha256:")[2]
    lock.write_text(tampered(line, digest))
    assert lock.read_text() != line

    ended = set_up(folder, python.path)

    assert ended.returncode != 0
    assert [] == [word for word in words if word not in ended.stdout + ended.stderr]
    assert "runner" not in installed(folder)
    assert not (folder / ".setup" / "run").exists()
