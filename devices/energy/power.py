"""Energy as the integral of power over time, for sensors that tell power alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from .meter import EnergyMeter


class PowerMeter(EnergyMeter):
    """Adds up the readings of a sensor by the trapezoidal rule.

    Args:
        name: What is measured.
        read_uw: Power of now in microwatts.
        interval_s: The sensor has a new value after so many seconds; it is not asked before.
        now_s: Seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        name: str,
        read_uw: Callable[[], float],
        interval_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._read_uw = read_uw
        self._interval_s = interval_s
        self._now_s = now_s
        self._last: tuple[float, float] | None = None
        self._sum_uj = 0.0

    @property
    def name(self) -> str:
        return self._name

    @property
    def resolution_uj(self) -> None:
        return None

    def read_uj(self) -> int:
        at_s = self._now_s()
        if self._last is None:
            self._last = at_s, self._read_uw()
        elif at_s - self._last[0] >= self._interval_s:
            before_s, before_uw = self._last
            self._last = at_s, self._read_uw()
            self._sum_uj += (before_uw + self._last[1]) / 2 * (at_s - before_s)
        return round(self._sum_uj)
