"""Launches of two sides that belong together: of one worker, or neighbours in time."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from .measurement import Measurement

PAIRED_SHARE = 0.8
"""Share of the launches that must have a partner for a case to count as paired."""


class Pairing(StrEnum):
    """How launches of the two sides belong together."""

    WORKERS = "workers"
    ROUNDS = "rounds"
    NONE = "none"


Pairs = list[tuple[int, int]]
"""Positions of a launch of A and one of B."""


def pairings(cases: Sequence[tuple[Measurement, Measurement]]) -> tuple[Pairing, list[Pairs]]:
    """How the launches of all `cases` are paired, and the pairs of each.

    A comparison is paired as a whole or not at all, so that its cases can be told apart by what
    they are and not by how they were measured. Assumes one machine: launches of two that worked at
    the same time lie next to each other by chance.
    """
    found = [_pairs(a, b) for a, b in cases]
    kinds = {kind for kind, _ in found}
    kind = kinds.pop() if len(kinds) == 1 else Pairing.NONE
    return kind, [pairs for _, pairs in found]


def _pairs(a: Measurement, b: Measurement) -> tuple[Pairing, Pairs]:
    place = {launch.worker: index for index, launch in enumerate(b.launches)}
    together = [(i, place[x.worker]) for i, x in enumerate(a.launches) if x.worker in place]
    enough = PAIRED_SHARE * min(a.count, b.count)
    if len(together) >= enough:
        return Pairing.WORKERS, together
    if len(set(a.times_s)) < a.count or len(set(b.times_s)) < b.count:
        return Pairing.NONE, []
    neighbours = _alternating(a.times_s, b.times_s)
    if min(a.count, b.count) > 1 and len(neighbours) >= enough:
        return Pairing.ROUNDS, neighbours
    return Pairing.NONE, []


def _alternating(a: Sequence[float], b: Sequence[float]) -> Pairs:
    """Neighbours in time of which one is of each side; each launch is in one pair at most."""
    order = sorted([(t, 0, i) for i, t in enumerate(a)] + [(t, 1, i) for i, t in enumerate(b)])
    found: Pairs = []
    position = 0
    while position + 1 < len(order):
        (_, side, i), (_, next_side, j) = order[position : position + 2]
        if side == next_side:
            position += 1
            continue
        found.append((i, j) if side == 0 else (j, i))
        position += 2
    return found
