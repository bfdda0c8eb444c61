"""Rows that differ in one attribute alone, along which the work grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from ..imports.base import Fact
from .view import Row

AXES = ("kernel", "expand", "in_channels", "out_channels", "channels", "resolution", "pixels")
_BY_WIDTH = {"in_channels", "out_channels", "groups"}


@dataclass(frozen=True)
class Series:
    """Rows in the order of `axis`, each with its place on it.

    Attributes:
        rest: What they have in common, in words.
    """

    axis: str
    rest: str
    rows: tuple[Row, ...]
    places: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.rest} along {self.axis}"

    def grows(self, first: int, second: int) -> bool:
        """Whether the second of two rows has more work than the first, none of it less."""
        a, b = self.rows[first], self.rows[second]
        if a.traffic is None or b.traffic is None or a.macs is None or b.macs is None:
            return self.places[second] > self.places[first]
        less = b.macs < a.macs or b.traffic < a.traffic
        return not less and b.macs + b.traffic > a.macs + a.traffic

    def work_ratio(self, first: int, second: int) -> float:
        """How many times the work of the first of two rows that of the second is."""
        a, b = self.rows[first], self.rows[second]
        if a.macs and b.macs:
            return b.macs / a.macs
        if a.traffic and b.traffic:
            return b.traffic / a.traffic
        return self.places[second] / self.places[first] if self.places[first] else inf


def all_series(rows: Sequence[Row]) -> Iterator[Series]:
    """Every series of at least two places; a row may be in one of each axis."""
    described = [row for row in rows if row.attributes]
    for axis in AXES:
        groups: dict[tuple[tuple[str, Fact], ...], list[tuple[float, Row]]] = {}
        for row in described:
            placed = _placed(row, axis)
            if placed is not None:
                groups.setdefault(placed[1], []).append((placed[0], row))
        for rest, found in groups.items():
            found.sort(key=lambda pair: pair[0])
            places = tuple(place for place, _ in found)
            if len(set(places)) == len(places) > 1:
                yield Series(axis, _words(rest), tuple(row for _, row in found), places)


def _placed(row: Row, axis: str) -> tuple[float, tuple[tuple[str, Fact], ...]] | None:
    """Where `row` is on `axis`, and all its other attributes; None if it has no place there.

    On the axis `channels` are operators whose output is as wide as their input.
    """
    said = dict(row.attributes)
    if axis == "channels" and "channels" not in said:
        width = said.get("in_channels")
        if width != said.get("out_channels") or width is None:
            return None
        said = {k: v for k, v in said.items() if k not in _BY_WIDTH or v != width}
    else:
        width = said.pop(axis, None)
    if isinstance(width, bool) or not isinstance(width, int | float):
        return None
    return float(width), tuple(sorted(said.items(), key=lambda pair: pair[0]))


def _words(rest: tuple[tuple[str, Fact], ...]) -> str:
    said = dict(rest)
    kind = said.pop("kind", "")
    return " ".join([str(kind), *(f"{name} {value}" for name, value in said.items())])
