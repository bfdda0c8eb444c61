"""Proposing and measuring networks until one keeps the bounds, and uses one of them.

If the upper confidence limit of a network is over a bound, or it leaves more than a tenth of every
bound unused, the exact projection is solved again with the models corrected by what was measured
so far, until a network holds, nothing else comes out, or the attempts are spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..core.errors import InfeasibleError
from ..latency.measure import Progress
from ..search.architecture import Architecture
from ..search.bound import Bound
from ..search.derive import indistinct, read_scores
from ..search.expected_latency import ExpectedLatency
from ..search.projection import project
from ..search.result import Limit, MeasuredLatency, Run
from ..search.spaces import SearchSpace
from .measured_latency import measured_latency
from .measuring import Campaign, measure_cases

WANTED_SHARE = 0.9
_TOGETHER = 3
_ROUNDS = 4
# Aimed a little below the bound: the next network has an error of its own.
_MARGIN = 0.99


@dataclass(frozen=True, eq=False)
class Target:
    """One latency bound of the search, the device it is about, and the model that promised it."""

    campaign: Campaign
    limit: Limit
    cost: ExpectedLatency


@dataclass(frozen=True)
class Attempt:
    """An architecture, and for each target what the model said of it and what the device said."""

    architecture: Architecture
    predicted_ms: tuple[float, ...]
    measured: tuple[MeasuredLatency, ...]

    def shares(self, targets: Sequence[Target]) -> Iterator[float]:
        """The upper confidence limit over the bound, for each target."""
        for measured, target in zip(self.measured, targets, strict=True):
            yield measured.high_ms / target.limit.promise

    def holds(self, targets: Sequence[Target]) -> bool:
        """Whether every upper confidence limit is within its bound."""
        pairs = zip(self.measured, targets, strict=True)
        return all(measured.high_ms <= target.limit.promise for measured, target in pairs)


class Repair:
    """Proposes architectures under the latency bounds, learning from what was measured.

    Args:
        targets: The bounds that are measured.
        fixed: The search's other bounds, each with its cost: they are kept by the models.
    """

    def __init__(
        self,
        run: Run,
        space: SearchSpace,
        targets: Sequence[Target],
        fixed: Sequence[tuple[Limit, ExpectedLatency]] = (),
    ) -> None:
        self._run = run
        self._space = space
        self._targets = tuple(targets)
        self._scores = read_scores(run.folder)
        self._kept = [Bound(other.name, other.limit) for other, _ in fixed]
        self._costs = [target.cost for target in targets] + [cost for _, cost in fixed]

    def attempts(self, tried: list[Attempt]) -> Iterator[Progress]:
        """Measure proposals until one holds and uses a bound; appends them to `tried`."""
        for _ in range(_ROUNDS):
            proposed = self.propose(tried)
            if not proposed:
                return
            networks = tuple(map(self._space.network, proposed))
            for target in self._targets:
                yield from measure_cases(target.campaign, networks)
            for architecture in proposed:
                measured = tuple(
                    measured_latency(t.campaign, self._space, architecture) for t in self._targets
                )
                predicted = tuple(t.cost.of(architecture) for t in self._targets)
                tried.append(Attempt(architecture, predicted, measured))
            if any(self._is_good(attempt) for attempt in tried):
                return

    def propose(self, tried: list[Attempt]) -> tuple[Architecture, ...]:
        """The next architectures to measure: first the search's own, then re-projected ones.

        Each model is corrected by the mean ratio of measured upper limits to predictions of the
        latest round, so networks over a bound move the projection down and networks far below
        it move it up. Some are measured together: they share the worker processes.
        """
        if not tried:
            return tuple(c.architecture for c in self._run.result.candidates[:_TOGETHER])
        known = {attempt.architecture for attempt in tried}
        bounds = self._corrected(tried[-_TOGETHER:])
        count = len(known) + _TOGETHER
        try:
            projected = indistinct(self._scores, self._costs, bounds, count)
        except InfeasibleError:
            return ()  # the corrected bounds exclude each other: nothing is left to propose
        found = [p.architecture for p in projected]
        if found[0] in known and any(a.holds(self._targets) for a in tried):
            return ()
        fresh = (a for a in found if a not in known)
        return tuple(islice(fresh, _TOGETHER))

    def _corrected(self, latest: Sequence[Attempt]) -> list[Bound]:
        """The bounds in the models' milliseconds, by what was measured lately."""
        bounds = []
        for index, target in enumerate(self._targets):
            ratios = [a.measured[index].high_ms / a.predicted_ms[index] for a in latest]
            ratio = sum(ratios) / len(ratios)
            limit = target.limit
            bounds.append(Bound(limit.name, max(_MARGIN * limit.promise / ratio, limit.fastest)))
        return bounds + self._kept

    def note(self, chosen: Attempt) -> str:
        """Why `chosen` leaves more than a tenth of every bound unused, if it does."""
        if not chosen.holds(self._targets) or self._is_good(chosen):
            return ""
        bounds = [Bound(t.limit.name, t.limit.limit) for t in self._targets]
        try:
            best = project(self._scores.values, self._costs, bounds + self._kept)[0]
        except InfeasibleError:
            return "by the models of today no network keeps the bounds"
        gained = best.score - self._score_of(chosen.architecture)
        if gained > self._scores.tolerance:
            return "the networks measured nearer to the bound broke it"
        if self._scores.tolerance == 0:
            return "no network nearer to the bound scores better"
        return (
            f"the best score within the bound, that of a network of "
            f"{self._costs[0].of(best.architecture):.4g} ms by the model, is {gained:.3g} nats "
            f"higher; the search cannot tell less than {self._scores.tolerance:.3g} nats apart, "
            "so the faster network was taken"
        )

    def _score_of(self, architecture: Architecture) -> float:
        return self._scores.of_choices(architecture.choices)

    def best(self, tried: list[Attempt]) -> Attempt:
        """The attempt to certify.

        The first in the search's order that holds, one that uses a bound before others; else
        the one nearest to holding.
        """
        if good := [a for a in tried if self._is_good(a)]:
            return good[0]
        if held := [a for a in tried if a.holds(self._targets)]:
            return held[0]
        return min(tried, key=lambda a: max(a.shares(self._targets)))

    def _is_good(self, attempt: Attempt) -> bool:
        """Whether it holds and leaves little of one bound unused."""
        pairs = zip(attempt.measured, self._targets, strict=True)
        used = max(measured.latency_ms / target.limit.promise for measured, target in pairs)
        return attempt.holds(self._targets) and used >= WANTED_SHARE
