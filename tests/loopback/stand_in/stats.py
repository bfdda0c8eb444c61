"""Statistics as the tool prints them (tsl/util/stats_calculator.h), and the runs they are of."""

from __future__ import annotations

import time

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable


class Stat:
    """Of whole microseconds, in the order of the runs."""

    def __init__(self, values_us: list[int]) -> None:
        self.values_us = values_us

    @property
    def avg(self) -> float:
        return sum(self.values_us) / len(self.values_us) if self.values_us else 0.0

    @property
    def std(self) -> int:
        """Of the population, cut off to a whole number, as the variance is before it."""
        squares = float(sum(value * value for value in self.values_us)) / len(self.values_us)
        return int(int(squares - self.avg * self.avg) ** 0.5)

    def percentile(self, percent: int) -> int:
        ordered = sorted(self.values_us)
        return ordered[len(ordered) * percent // 100] if ordered else 0

    def text(self, has_percentiles: bool = False) -> str:
        """The line `count=…`; newer versions add percentiles."""
        values = self.values_us
        low, high = min(values, default=0), max(values, default=0)
        if not values:
            found = "count=0"
        elif low == high:
            found = f"count={len(values)} curr={low}" + "(all same)" * (len(values) > 1)
        else:
            found = (
                f"count={len(values)} first={values[0]} curr={values[-1]} min={low} max={high} "
                f"avg={self.avg:g} std={self.std}"
            )
        if has_percentiles:
            p5, median, p95 = (self.percentile(percent) for percent in (5, 50, 95))
            found += f" p5={p5} median={median} p95={p95}"
        return found


class Limits:
    """How long to run: `count` times and `min_s`, but not beyond `max_s`; `delay_s` between."""

    def __init__(self, count: int, min_s: float, max_s: float, delay_s: float) -> None:
        self.count = count
        self.min_s = min_s
        self.max_s = max_s
        self.delay_s = delay_s


def timer(run: Callable[[], object]) -> Callable[[], int]:
    """A function that runs once and says how many microseconds it took.

    As in the tool (`NowMicros`), both readings of the clock are cut off to whole microseconds.
    """
    clock = time.monotonic_ns

    def timed() -> int:
        start = clock()
        run()
        end = clock()
        return end // 1000 - start // 1000

    return timed


def measure(timed: Callable[[], int], reset: Callable[[], None], limits: Limits) -> Stat:
    """Run as often and as long as `limits` says, with `reset` before each run."""
    clock, count, delay_s = time.monotonic_ns, limits.count, limits.delay_s
    values_us: list[int] = []
    now_us = clock() // 1000
    enough_us, last_us = now_us + int(limits.min_s * 1e6), now_us + int(limits.max_s * 1e6)
    while (len(values_us) < count or now_us < enough_us) and now_us <= last_us:
        reset()
        values_us.append(timed())
        if delay_s > 0:
            time.sleep(delay_s)
        now_us = clock() // 1000
    return Stat(values_us)
