"""Reading what the kernel tells in small text files; absent stays absent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")
"""The folder that holds `proc`, `sys` and `etc`; tests give another one."""


def read_text(path: Path) -> str | None:
    """The stripped text of the file at `path`, or None where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\x00 \n\t")
    except (OSError, ValueError):
        return None


def to_number(text: str | None) -> float | None:
    """`text` as a number, or None where it is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def read_integer(path: Path) -> int | None:
    """The integer that the file at `path` holds alone, or None."""
    text = read_text(path) or ""
    return int(text) if text.removeprefix("-").isdecimal() else None


def read_cpus(path: Path) -> tuple[int, ...] | None:
    """The CPU numbers that the file at `path` lists, as `0-3,8` or `0 1 2`; None if unreadable."""
    text = read_text(path)
    if text is None:
        return None
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or "0").isdecimal():
            return None
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def listed(cpus: Iterable[int]) -> str:
    """CPU numbers for people: `0, 1, 2`."""
    return ", ".join(map(str, cpus))
