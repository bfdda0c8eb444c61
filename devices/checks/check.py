"""One finding of the doctor, and the ways to come to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail"]

_NOT_TOLD = "this machine does not tell"


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do unless it passed.

    Attributes:
        name: What was looked at.
        status: `pass`; `warn`: measuring works and is less steady; `fail`: it does not work.
        found: What was found, for people.
        repair: A command, or what to do where no command does it; empty where it passed.
        known: False where nothing was found out: the machine does not tell. That passes.
    """

    name: str
    status: Status
    found: str
    repair: str = ""
    known: bool = True


def passed(name: str, found: str) -> Check:
    """Nothing to repair."""
    return Check(name, "pass", found)


def warned(name: str, found: str, repair: str) -> Check:
    """Measuring works and is less steady."""
    return Check(name, "warn", found, repair)


def failed(name: str, found: str, repair: str) -> Check:
    """Measuring does not work."""
    return Check(name, "fail", found, repair)


def unknown(name: str, found: str = _NOT_TOLD) -> Check:
    """Nothing was found out, and `found` says why."""
    return Check(name, "pass", found, known=False)


def at_most(name: str, value: float | None, limit: float | None, unit: str, repair: str) -> Check:
    """Compare a reading with the card's limit; a reading that is not there cannot fail."""
    if value is None:
        return unknown(name)
    text = f"{value:.2f}{unit}"
    if limit is None:
        return passed(name, f"{text} (the card sets no limit)")
    if value <= limit:
        return passed(name, f"{text} (limit {limit:g})")
    return warned(name, f"{text}, above the card's limit of {limit:g}", repair)
