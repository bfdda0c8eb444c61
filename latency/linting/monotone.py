"""Rules on series: latency that stays the same, or falls, while the work grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import hypot, sqrt
from statistics import median

from .context import Context
from .finding import Finding, Severity, listed
from .series import Series, all_series
from .view import Row, View, usable

STANDARD_ERRORS = 5.0
TOLERATED = 0.02
SEVERE = 0.25
_FLAT_ROWS = 3
_FLAT_WORK = 2.0


def flat_series(view: View, context: Context) -> list[Finding]:
    """The same value along a series where the work doubles, or in three rows of it or more."""
    if view.is_exact:
        return []
    flat: list[Series] = []
    for series in all_series(usable(view.rows)):
        for _, run in groupby(range(len(series.rows)), key=lambda i: series.rows[i].value):
            places = list(run)
            if len(places) > 1 and _is_flat(series, places[0], places[-1], len(places)):
                chosen = slice(places[0], places[-1] + 1)
                flat.append(
                    Series(series.axis, series.rest, series.rows[chosen], series.places[chosen])
                )
    if not flat:
        return []
    rows = _distinct([row for series in flat for row in series.rows])
    words = [f"{s}: {s.rows[0].value:g} ms from {s.places[0]:g} to {s.places[-1]:g}" for s in flat]
    return [
        Finding.of(
            "flat",
            Severity.ERROR,
            rows,
            f"{len(flat)} series do not change while their work grows: {listed(words)}",
            "one number was written for all of them; measure each",
        )
    ]


def _is_flat(series: Series, first: int, last: int, count: int) -> bool:
    if not series.grows(first, last):
        return False
    return count >= _FLAT_ROWS or series.work_ratio(first, last) >= _FLAT_WORK


@dataclass(frozen=True)
class _Fall:
    """Latency that falls from one row of a series to a later one, as a share of the higher.

    Attributes:
        typical: Deviation of a launch of the table's rows in the middle, as a share of the value.
    """

    series: Series
    first: int
    second: int
    typical: float

    @property
    def drop(self) -> float:
        return self.rows[0].value - self.rows[1].value

    @property
    def share(self) -> float:
        return 1 - self.rows[1].value / self.rows[0].value

    @property
    def rows(self) -> tuple[Row, Row]:
        return self.series.rows[self.first], self.series.rows[self.second]

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the fall is beyond the spread, or beyond the tolerance where there is none.

        The deviation of a few launches may be small by luck: what is typical of the table is the
        least that is believed.
        """
        errors = [
            max(row.spread, self.typical) * row.value / sqrt(row.count)
            for row in self.rows
            if row.spread and row.count
        ]
        if len(errors) < len(self.rows):
            return self.share > TOLERATED
        return self.drop > STANDARD_ERRORS * hypot(*errors)

    def __str__(self) -> str:
        high, low = self.rows
        places = self.series.places
        return (
            f"{self.series}: {high.value:g} ms at {places[self.first]:g}, "
            f"{low.value:g} ms at {places[self.second]:g} ({-self.share:.0%})"
        )


def falling_series(view: View, context: Context) -> list[Finding]:
    """Series in which more work takes less time than the spread explains.

    One finding an axis; an error where the greatest fall is a quarter or more. Without a spread
    falls of up to 2 % are taken for noise.
    """
    falls: dict[str, list[_Fall]] = {}
    totals: dict[str, int] = {}
    rows = usable(view.rows)
    shares = [row.spread for row in rows if row.spread]
    typical = median(shares) if shares else 0.0
    for series in all_series(rows):
        totals[series.axis] = totals.get(series.axis, 0) + 1
        found = [f for f in _falls(series, typical) if f.drop > view.step and f.is_beyond_noise]
        if found:
            falls.setdefault(series.axis, []).append(max(found, key=lambda fall: fall.share))
    return [_falling(axis, found, totals[axis]) for axis, found in falls.items()]


def _falls(series: Series, typical: float) -> list[_Fall]:
    count = len(series.rows)
    return [
        _Fall(series, i, j, typical)
        for i in range(count)
        for j in range(i + 1, count)
        if series.rows[j].value < series.rows[i].value and series.grows(i, j)
    ]


def _falling(axis: str, falls: list[_Fall], total: int) -> Finding:
    falls.sort(key=lambda fall: -fall.share)
    is_severe = falls[0].share >= SEVERE
    return Finding.of(
        "monotone",
        Severity.ERROR if is_severe else Severity.WARNING,
        _distinct([row for fall in falls for row in fall.rows]),
        f"{len(falls)} of {total} series along {axis} fall while their work grows: "
        f"{listed(list(map(str, falls)))}",
        "measure these again with more launches; a fall that stays is a faster kernel for that "
        "shape, and worth knowing",
    )


def _distinct(rows: Sequence[Row]) -> list[Row]:
    return list(dict.fromkeys(rows))
