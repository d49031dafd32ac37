"""A folder of packages that pip takes for an index, and a small project locked against it.

The project is shaped like this one where that once broke: its tests need `watcher`, which asks for
`library[colour]`, while the lock of the tests names `library` alone, and a newer `library` is out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOCKED = {"runner": "1.0", "library": "1.0", "watcher": "1.0"}
NEWER = ("library", "2.0")
COLOUR = ("Provides-Extra: colour",)
NEEDS_COLOUR = ("Requires-Dist: library[colour]>=1.0",)

BACKEND = '''
"""Builds the small project with nothing but the standard library."""
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "small_project-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for part, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: small-project\\nVersion: 1.0\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"small_project-1.0.dist-info/{part}", text)
    return name
'''
PROJECT = """
[build-system]
requires = []
build-backend = "setup"
backend-path = ["."]

[project]
name = "small-project"
version = "1.0"
"""


def write_wheel(index: Path, name: str, version: str, *metadata: str) -> str:
    """Put a package without content into the index; returns its SHA-256."""
    path = index / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    parts = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{part},,\n" for part in [*parts, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for part, text in {**parts, f"{info}/RECORD": record}.items():
            wheel.writestr(part, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small_project(folder: Path) -> Path:
    """A project with this one's Makefile, its locks, and the index beside it in `index`."""
    index = folder / "index"
    index.mkdir()
    hashes = {
        "runner": write_wheel(index, "runner", LOCKED["runner"]),
        "library": write_wheel(index, "library", LOCKED["library"], *COLOUR),
        "watcher": write_wheel(index, "watcher", LOCKED["watcher"], *NEEDS_COLOUR),
    }
    write_wheel(index, *NEWER, *COLOUR)
    locked = {
        name: f"{name}=={LOCKED[name]} \\\n    --hash=sha256:{digest}\n"
        for name, digest in hashes.items()
    }
    (folder / "requirements.lock").write_text(locked["runner"])
    (folder / "requirements-dev.lock").write_text("".join(locked.values()))
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "setup.py").write_text(BACKEND)
    shutil.copy2(ROOT / "Makefile", folder / "Makefile")
    return folder


def set_up(folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    """`make .setup/dev` with that Python, its packages from the index alone and from no cache."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "index"),
    }
    return subprocess.run(
        ["make", f"PYTHON={python}", ".setup/dev"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def installed(folder: Path) -> dict[str, str]:
    """Name and version of every package in the project's environment."""
    ended = subprocess.run(
        [folder / ".venv/bin/pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("==") for line in ended.stdout.split())
