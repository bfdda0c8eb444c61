"""Lines of statistics that TFLite's benchmark_model prints: `count=50 first=… avg=… std=…`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...core.errors import ArtefactError
from ..flags import Flag
from .base import Fact, Row, Statistic
from .parsing import decimal, latency, shown, whole
from .rows import judged, of_runs

RESOLUTION_MS = 1e-3
US_PER_MS = 1e3
_KEYS = frozenset({"count", "first", "curr", "min", "max", "avg", "std", "p5", "median", "p95"})
_ALL_SAME = "(all same)"
# The mean is printed with six digits, the others in whole microseconds.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Stat:
    """Statistics of one stretch of runs, by the tool's own names, in milliseconds.

    `std` is cut off to whole microseconds by the tool.
    """

    count: int
    values_ms: Mapping[str, float] = field(hash=False)

    def row(self, name: str, facts: Mapping[str, Fact], flags: frozenset[Flag]) -> Row:
        """The median, which newer versions print, or else the mean."""
        is_median = "median" in self.values_ms
        headline = "median" if is_median else "avg"
        statistic = Statistic.MEDIAN if is_median else Statistic.MEAN
        return judged(
            name,
            self.values_ms[headline],
            of_runs(self.count, statistic),
            count=self.count,
            resolution=RESOLUTION_MS,
            reported={
                {"avg": "mean"}.get(key, key): value
                for key, value in self.values_ms.items()
                if key not in {headline, "curr"}
            },
            facts=facts,
            flags=flags,
        )


def read_stat(text: str, where: str) -> Stat:
    """The statistics in `text`: `count=2 first=3 curr=4 …`, or `count=2 curr=3(all same)`.

    Raises:
        ArtefactError: There are no runs, or a pair of a name that no version prints.
    """
    is_same = _ALL_SAME in text
    values: dict[str, float] = {}
    for pair in text.replace(_ALL_SAME, "").split():
        key, _, value = pair.partition("=")
        if key not in _KEYS or key in values:
            raise ArtefactError(f"{where} holds {shown(pair)}, which is no known statistic.")
        what = f"{key} in {where}"
        values[key] = latency(decimal(value, what), what)
    count = whole(int(values.pop("count", 0)), f"count in {where}")
    if (is_same or count == 1) and "curr" in values:
        same = {key: values["curr"] for key in ("first", "min", "max", "avg")}
        values = {**same, "std": 0.0, **values}
    if missing := {"min", "max", "avg"} - values.keys():
        raise ArtefactError(f"{where} has no {', '.join(sorted(missing))}: it was cut short.")
    if not values["min"] <= values["avg"] * (1 + _ROUNDING) <= values["max"] * (1 + 2 * _ROUNDING):
        raise ArtefactError(f"avg in {where} is not between min and max: the line is damaged.")
    return Stat(count, {key: value / US_PER_MS for key, value in values.items()})
