"""What is wrong with the phone or the tool, told by words.

`install_stand_in` writes the words into the program, and the variable `ELAT_STAND_IN` adds to
them; they are separated by spaces.

    version=old      a build of 2021: no percentiles, no --output_filepath, no prefixes of lines
    gpu=, nnapi=     partial: takes all operators but the last (they run on the CPU all the same);
                     full: takes all; absent: the build has no such delegate, warns, and runs on
                     the CPU. Without this word the delegate cannot be applied, and the tool fails.
    hang             prints up to where the first run would be, and never ends
    crash            SIGSEGV where the first run would be
    huge             a line of 100 MB where the first run would be
    truncate         the output breaks off inside the measured statistics, with exit code 0
    clip             it breaks off before their last digit, with exit code 0: what is left can be
                     read, and is wrong
    garbage          bytes that are no text, and nothing else, with exit code 0
    crlf             lines end in CR LF

A fault can be bound to models: `hang@NAME` is for those whose path holds NAME.
"""

from __future__ import annotations

import os
import time

from .log import leave_no_core, write

VARIABLE = "ELAT_STAND_IN"
HUGE_BYTES = 100_000_000
GARBAGE = bytes(range(256)) * 16
_SIGSEGV = 11  # the module signal is slow to load


class Settings:
    """What the words of the module's docstring say."""

    def __init__(self, words: str) -> None:
        self._words = words.split()

    def value(self, name: str) -> str:
        """Of the last word `name=VALUE`; empty where there is none."""
        found = [word for word in self._words if word.startswith(f"{name}=")]
        return found[-1].partition("=")[2] if found else ""

    def has(self, fault: str, graph: str) -> bool:
        """Whether `fault` is there, for every model or for `graph`."""
        given = [word.partition("@") for word in self._words]
        return any(name == fault and model in graph for name, _, model in given)


def misbehave(settings: Settings, graph: str) -> None:
    """The faults that come where the first run would be."""
    if settings.has("huge", graph):
        write(1, b"x" * HUGE_BYTES + b"\n")
    if settings.has("crash", graph):
        leave_no_core()
        os.kill(os.getpid(), _SIGSEGV)
    while settings.has("hang", graph):
        time.sleep(60)


def broken_off(text: str, settings: Settings, graph: str) -> str | None:
    """What is left of the measured statistics where the output breaks off in them."""
    if settings.has("clip", graph):
        return text[:-1]
    return text[: text.find("=")] if settings.has("truncate", graph) else None
