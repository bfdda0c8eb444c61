"""Which launches a measurement rests on, and which measurements a new launch can change.

A measurement rests on its own launches, and through common mode on others of its condition and
origin: the speed of a worker is told by all cases it timed, and these are told by all workers that
timed them. Workers and cases that hang together like this, by however many steps, form a *part*.
What `common_mode.py` computes in one part depends on no launch of another, with one exception: the
reference speed, which the first workers with a sentinel set for all parts of their origin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ..common_mode import REFERENCE_WORKERS

CASE_COLUMNS = "id, operator, origin, worker, length(sentinel) > 0"


class Link(NamedTuple):
    """A launch that ties a worker to a case; its columns are `CASE_COLUMNS`."""

    launch: int
    operator: int
    origin: str
    worker: str
    has_sentinel: bool

    @property
    def case(self) -> Case:
        return Case(self.origin, self.operator)


class Case(NamedTuple):
    """What has a measurement of its own under one condition."""

    origin: str
    operator: int


class Part(NamedTuple):
    """Cases whose measurements rest on each other, and how many launches they have."""

    cases: frozenset[Case]
    launches: int


class Links:
    """The launches of one condition.

    Args:
        links: All of them, in the order in which they were recorded.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links

    def parts(self) -> list[Part]:
        """Every part; the one with the oldest launch first."""
        roots = _Roots()
        for link in self._links:
            roots.join((link.origin, link.worker), link.case)
        groups: dict[object, list[Link]] = defaultdict(list)
        for link in self._links:
            groups[roots.of(link.case)].append(link)
        return [
            Part(frozenset(link.case for link in group), len(group)) for group in groups.values()
        ]

    def parts_with(self, operators: Collection[int]) -> list[Part]:
        """The parts that hold one of `operators`."""
        return [p for p in self.parts() if any(case.operator in operators for case in p.cases)]

    def parts_changed_since(self, launch: int) -> list[Part]:
        """The parts whose measurements may differ from when `launch` was the last one."""
        new = [link for link in self._links if link.launch > launch]
        setters = {link for origin in self.origins() for link in self.reference(origin)}
        moved = {link.origin for link in new if link in setters and link.has_sentinel}
        changed = {link.case for link in new}
        return [
            part
            for part in self.parts()
            if any(case.origin in moved or case in changed for case in part.cases)
        ]

    def reference(self, origin: str) -> list[Link]:
        """All launches of the workers that set the reference speed of `origin`."""
        workers: dict[str, None] = {}
        for link in self._links:
            if link.origin == origin and link.has_sentinel:
                workers[link.worker] = None
                if len(workers) == REFERENCE_WORKERS:
                    break
        return [link for link in self._links if link.origin == origin and link.worker in workers]

    def origins(self) -> Iterable[str]:
        """Every origin, the one with the oldest launch first."""
        return dict.fromkeys(link.origin for link in self._links)


class _Roots:
    """Nodes in disjoint sets, each known by one of its nodes (union by path halving)."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def of(self, node: object) -> object:
        """The node that stands for the set of `node`."""
        parent = self._parent
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = parent[above]
            node = parent[node]
        return node

    def join(self, one: object, other: object) -> None:
        """Make one set of those of `one` and `other`."""
        self._parent[self.of(one)] = self.of(other)
