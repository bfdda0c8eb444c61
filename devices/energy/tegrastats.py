"""Power rails of a Jetson, from the lines that `tegrastats` prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...core.errors import UnavailableError
from .meter import EnergyMeter

_INTERVAL_MS = 100
_FIRST_LINE_S = 5.0
# `VDD_IN 5123mW/5040mW`, and without units before JetPack 5: the power of now, then its mean.
_RAIL = re.compile(r"(?<![\w/])([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/\d+(?:mW)?(?![\w%])")


def parse_rails(line: str) -> dict[str, int]:
    """Power of now of every rail on a line of tegrastats, in milliwatts."""
    return {name: int(now) for name, now in _RAIL.findall(line)}


class TegrastatsMeter(EnergyMeter):
    """The sum of rails, integrated from line to line by the trapezoidal rule.

    Lines come from another thread, through `take`.
    """

    def __init__(self, rails: Sequence[str]) -> None:
        self.has_line = threading.Event()
        self.known: tuple[str, ...] = ()
        self._rails = tuple(rails)
        self._last: tuple[float, float] | None = None
        self._sum_uj = 0.0

    @property
    def name(self) -> str:
        return f"tegrastats {', '.join(self._rails)}"

    @property
    def resolution_uj(self) -> None:
        return None

    def take(self, line: str, at_s: float) -> None:
        """Add up what `line` tells, which was printed at `at_s`; other lines are passed over."""
        found = parse_rails(line)
        if not found:
            return
        self.known = tuple(sorted(found))
        if all(rail in found for rail in self._rails):
            power_uw = 1000.0 * sum(found[rail] for rail in self._rails)
            if self._last is not None:
                before_s, before_uw = self._last
                self._sum_uj += (before_uw + power_uw) / 2 * (at_s - before_s)
            self._last = at_s, power_uw
        self.has_line.set()

    def read_uj(self) -> int:
        return round(self._sum_uj)


@contextmanager
def open_tegrastats(rails: Sequence[str]) -> Iterator[TegrastatsMeter]:
    """The sum of `rails`, from a `tegrastats` that runs until the block ends.

    Raises:
        UnavailableError: It is not installed, says nothing, or knows no such rail.
    """
    program = shutil.which("tegrastats")
    if program is None:
        raise UnavailableError(
            "tegrastats is not installed: it comes with JetPack. Repair power.meter in the card, "
            "or: sudo apt install nvidia-l4t-tools"
        )
    command = [program, "--interval", str(_INTERVAL_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        meter = TegrastatsMeter(rails)
        reader = threading.Thread(target=_read, args=(process, meter), daemon=True)
        reader.start()
        try:
            if not meter.has_line.wait(_FIRST_LINE_S):
                raise UnavailableError("tegrastats tells of no rail; look at it with: tegrastats")
            missing = [rail for rail in rails if rail not in meter.known]
            if missing:
                raise UnavailableError(
                    f"tegrastats knows no rail {missing[0]!r}, but {', '.join(meter.known)}; "
                    "repair power.rails in the card, see: tegrastats"
                )
            yield meter
        finally:
            process.terminate()
            reader.join()


def _read(process: subprocess.Popen[str], meter: TegrastatsMeter) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            meter.take(line, time.monotonic())
