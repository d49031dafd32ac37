"""Which process this is, and whether another one of this machine has ended.

What a process leaves in the book lets a later one prove that it is gone, by the kernel's own word.
Nothing is proven across machines, PID namespaces (containers) or starts of a machine, nor by a
name or an absence: there a lease is waited for.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_FIELDS_BEFORE_START = 19
"""Of /proc/PID/stat behind the command's closing bracket: the start is field 22, see proc(5)."""


def this_process() -> str | None:
    """This process among all there ever were: boot, namespaces, number and start, the last in clock
    ticks since the boot. None where the system does not tell, as outside Linux."""
    namespaces = _namespaces()
    start = _start_of(os.getpid())
    return None if namespaces is None or start is None else f"{namespaces} {os.getpid()} {start}"


def has_ended(process: str) -> bool:
    """Whether it is proven that a process, as `this_process` named it, has ended: it was of this
    boot and these namespaces, and its number is free, or another's by now."""
    namespaces, _, number_and_start = process.partition(" ")
    number, _, start = number_and_start.partition(" ")
    if namespaces != _namespaces() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there, and another user's
    started = _start_of(int(number))
    return started is not None and started != start


def _namespaces() -> str | None:
    """The boot and the namespaces that process numbers and start times belong to."""
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return None  # /proc shows the numbers of another namespace
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        numbers = (_PROC / "self/ns/pid").stat().st_ino
        times = _PROC / "self/ns/time"
        return f"{boot}:{numbers}:{times.stat().st_ino if times.exists() else 0}"
    except OSError:
        return None


def _start_of(number: int) -> str | None:
    try:
        told = (_PROC / str(number) / "stat").read_text()
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()
    return fields[_FIELDS_BEFORE_START] if len(fields) > _FIELDS_BEFORE_START else None
