"""What measuring an operator, once or again, takes: launches of cases that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil

from ..latency.choosing import Offer, is_noisy, noise_variance, repeat_variance
from ..latency.entry import Entry
from ..latency.operators import Operator
from ..latency.operators.generate import roofline_ms
from ..latency.protocol import Protocol

# Loading and warming a case, and the slices of the sentinel that fall to it, for each launch.
_FIXED_S = 0.03
_SETTLED = 1.15
_MOST_TIMES = 4


@dataclass
class Pace:
    """How long a launch of a case takes: by the protocol at first, then by what was seen."""

    protocol: Protocol
    slowness: float = 1.0
    seen_s: float = field(default=0.0, init=False)
    expected_s: float = field(default=0.0, init=False)

    def launch_s(self, case: Operator) -> float:
        """About how long one launch of `case` takes, in seconds."""
        return self.slowness * self._nominal_s(case)

    def learn(self, launches: Mapping[Operator, int], seconds: float) -> None:
        """Note that so many `launches` of each case took `seconds` together."""
        self.seen_s += seconds
        self.expected_s += sum(n * self._nominal_s(case) for case, n in launches.items())
        if self.expected_s:
            self.slowness = self.seen_s / self.expected_s

    def _nominal_s(self, case: Operator) -> float:
        run_ms = roofline_ms(case)
        slice_ms = ceil(self.protocol.slice_ms / run_ms) * run_ms
        return _SETTLED * self.protocol.passes * slice_ms / 1e3 + _FIXED_S


@dataclass(frozen=True, eq=False)
class Stock:
    """What is measured at a moment, and what operators need to be.

    Attributes:
        cases: The models whose measurements tell each operator.
        entries: Of the operators that are known.
        counts: Launches of each case; none where it is missing.
        wanted: Launches that a first measurement of a case takes at most.
        launch_s: Seconds of one launch of a case.
        again: Launches that measuring once more adds.
        completed: Cases of which a first measurement needs no more.
    """

    cases: Mapping[Operator, Collection[Operator]]
    entries: Mapping[Operator, Entry]
    counts: Mapping[Operator, int]
    wanted: Callable[[Operator], int]
    launch_s: Callable[[Operator], float]
    again: int
    completed: Collection[Operator] = ()

    def first(self, operator: Operator) -> Offer:
        """Measuring an operator that is not known."""
        work: dict[Hashable, float] = {}
        for case in self.cases[operator]:
            if case not in self.completed:
                work |= self._launches(case, self.wanted(case))
        return Offer(operator, noise_variance(), work)

    def repeat(self, operator: Operator) -> Offer:
        """Measuring a known operator again."""
        target, work = self.target(operator), dict[Hashable, float]()
        for case in self.cases[operator]:
            work |= self._launches(case, target)
        return Offer(operator, repeat_variance(self.entries[operator], self.again), work)

    def target(self, operator: Operator) -> int:
        """Launches of each of its cases after measuring it again."""
        return self.entries[operator].count + self.again

    def is_worth_repeating(self, operator: Operator) -> bool:
        """Whether a known operator is noisy, and was not measured again often already."""
        entry = self.entries[operator]
        first = max(map(self.wanted, self.cases[operator]), default=0)
        return is_noisy(entry) and entry.count < _MOST_TIMES * max(first, self.again)

    def _launches(self, case: Operator, target: int) -> dict[Hashable, float]:
        seconds, number = self.launch_s(case), self._numbers[case]
        return {(number, n): seconds for n in range(self.counts.get(case, 0), target)}

    @cached_property
    def _numbers(self) -> Mapping[Operator, int]:
        """Short names: an operator takes its time to be hashed."""
        distinct = dict.fromkeys(case for cases in self.cases.values() for case in cases)
        return {case: number for number, case in enumerate(distinct)}


def repeating(protocol: Protocol, launches: int) -> Protocol:
    """`protocol` for cases that shall have so many launches, no matter how sure they are."""
    return replace(protocol, min_launches=launches, max_launches=launches, looks=(launches,))
