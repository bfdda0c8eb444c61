"""Runs that find cold caches: what earlier ones left there is swept out before each, untimed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from ..core.errors import UnavailableError
from .runtimes.base import Session
from .sample import Sample

if TYPE_CHECKING:
    from .graph.ir import Array

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TIMES_CACHE = 2


@final
class ColdSession(Session):
    """A session whose every run is preceded by a sweep, outside the clock.

    Args:
        session: Runs.
        sweep: Empties the caches of everything that a run may find there.
    """

    def __init__(self, session: Session, sweep: Callable[[], None]) -> None:
        self._session = session
        self._sweep = sweep

    def time_loops(self, loops: int) -> Sample:
        total = Sample(0, 0, 0, 0)
        for _ in range(loops):
            self._sweep()
            total += self._session.time_loops(1)
        return total

    def output(self) -> Array:
        return self._session.output()


def cache_sweep(caches: Path = CACHES) -> Callable[[], None]:
    """What reads and writes twice the last-level cache, so that nothing else is left in it.

    It adds to memory in place and does not fill it: large fills go past the caches.

    Raises:
        UnavailableError: The machine does not tell the size of its caches.
    """
    buffer = np.zeros(_TIMES_CACHE * last_level_bytes(caches) // 8, np.int64)

    def sweep() -> None:
        np.add(buffer, 1, out=buffer)

    return sweep


def last_level_bytes(caches: Path = CACHES) -> int:
    """Size of the largest cache that the first CPU uses.

    Raises:
        UnavailableError: The machine does not tell.
    """
    sizes = [_bytes(path.read_text().strip()) for path in caches.glob("index*/size")]
    largest = max(sizes, default=0)
    if largest == 0:
        raise UnavailableError(
            "This machine does not tell the size of its caches, so that they cannot be swept; "
            "measure with cache: hot in the device card."
        )
    return largest


def _bytes(text: str) -> int:
    """The size that the kernel writes as `32768K`."""
    unit = _UNITS.get(text[-1:], 1)
    digits = text.rstrip("KMG")
    return int(digits) * unit if digits.isdigit() else 0
