"""Power rails of a Jetson, from the lines that `tegrastats` prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...core.errors import MeasurementError, UnavailableError
from .power import PowerMeter

_INTERVAL_MS = 100
_FIRST_LINE_S = 5.0
# `VDD_IN 5123mW/5040mW`, and without units before JetPack 5: the power of now, then its mean.
_RAIL = re.compile(r"(?<![\w/])([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/\d+(?:mW)?(?![\w%])")


def parse_rails(line: str) -> dict[str, int]:
    """Power of now of every rail on a line of tegrastats, in milliwatts."""
    return {name: int(now) for name, now in _RAIL.findall(line)}


class _Latest:
    """The last line that a reader thread has seen."""

    def __init__(self) -> None:
        self.has_line = threading.Event()
        self._rails: dict[str, int] = {}

    def take(self, line: str) -> None:
        """Keep what `line` tells, if it tells of rails."""
        if rails := parse_rails(line):
            self._rails = rails
            self.has_line.set()

    @property
    def names(self) -> list[str]:
        return sorted(self._rails)

    def power_uw(self, names: Sequence[str]) -> float:
        """Sum of rails in microwatts."""
        try:
            return 1000.0 * sum(self._rails[name] for name in names)
        except KeyError as error:
            raise MeasurementError(f"tegrastats tells no more of {error}.") from error


@contextmanager
def open_tegrastats(rails: Sequence[str]) -> Iterator[PowerMeter]:
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
        latest = _Latest()
        reader = threading.Thread(target=_read, args=(process, latest), daemon=True)
        reader.start()
        try:
            if not latest.has_line.wait(_FIRST_LINE_S):
                raise UnavailableError("tegrastats tells of no rail; look at it with: tegrastats")
            missing = [rail for rail in rails if rail not in latest.names]
            if missing:
                raise UnavailableError(
                    f"tegrastats knows no rail {missing[0]!r}, but {', '.join(latest.names)}; "
                    "repair power.rails in the card, see: tegrastats"
                )
            name = f"tegrastats {', '.join(rails)}"
            yield PowerMeter(name, lambda: latest.power_uw(rails))
        finally:
            process.terminate()
            reader.join()


def _read(process: subprocess.Popen[str], latest: _Latest) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            latest.take(line)
