"""A space that was measured whole, measured again in thought: in any order, noise included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ElatError
from ..core.seeding import numpy_generator
from ..devices.device import Device
from ..latency.choosing import Appearances, Beliefs, choose, traits_of
from ..latency.entry import Entry
from ..latency.methods import METHODS, Subjects
from ..latency.models import latency_models
from ..latency.operators import Operator
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..search.spaces import SearchSpace
from .choosing import random_networks
from .choosing_work import Stock
from .measuring import space_table

AGAIN = 3
"""Launches that measuring an operator again adds."""

_BATCH = 12
_MOST_LAUNCHES = 60
_LEAST = 0.05

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """An operator measured once or again; `launches` of it are there afterwards."""

    operator: Operator
    launches: int


@dataclass(frozen=True, eq=False)
class Space:
    """What the store knows of a space that was measured whole.

    Attributes:
        cases: The models whose measurements tell each operator.
        first: Launches that each case was measured with, and `launch_s` what one of them took.
    """

    table: LatencyTable
    cases: Mapping[Operator, Sequence[Operator]]
    first: Mapping[Operator, int]
    launch_s: Mapping[Operator, float]

    @classmethod
    def of(cls, store: MeasurementStore, device: Device, space: SearchSpace) -> Space:
        """The space as measured on `device`.

        Raises:
            MissingOperatorError: An operator was never measured.
        """
        table = space_table(store, device, space)
        method = METHODS[table.condition.method]
        cases = {o: method.cases(Subjects((o,))) for o in table}
        wanted = list(dict.fromkeys(case for some in cases.values() for case in some))
        found = store.measurements(table.condition.of_models, wanted)
        return cls(
            table,
            cases,
            {m.operator: m.count for m in found},
            {m.operator: sum(launch.lasted_s for launch in m.launches) / m.count for m in found},
        )

    @property
    def full_s(self) -> float:
        """Seconds that measuring everything once took."""
        return self.seconds([Step(o, e.count) for o, e in self.table.entries.items()])[-1]

    def seconds(self, steps: Sequence[Step]) -> list[float]:
        """Seconds that are spent after each of `steps`; what operators share counts once."""
        have: Counter[Operator] = Counter()
        spent, found = 0.0, []
        for step, targets in zip(steps, self._targets(steps), strict=True):
            for case in self.cases[step.operator]:
                more = max(0, targets[case] - have[case])
                spent += more * self.launch_s.get(case, 0.0)
                have[case] += more
            found.append(spent)
        return found

    def counts(self, steps: Sequence[Step]) -> Counter[Operator]:
        """Launches of each case after `steps`."""
        have: Counter[Operator] = Counter()
        for targets in self._targets(steps):
            for case, target in targets.items():
                have[case] = max(have[case], target)
        return have

    def _targets(self, steps: Sequence[Step]) -> Iterator[Mapping[Operator, int]]:
        """Launches of its cases that each of `steps` wants."""
        seen: set[Operator] = set()
        for step in steps:
            is_again = step.operator in seen
            seen.add(step.operator)
            yield {
                case: step.launches if is_again else self.first.get(case, 0)
                for case in self.cases[step.operator]
            }


@dataclass(frozen=True, eq=False)
class Replay:
    """One course of measuring: launches drawn anew around what was measured.

    Attributes:
        space: What was measured, here the truth.
        networks: How often random networks hold its operators, `(networks, operators)`.
        drawn: Launches of each operator in ms, with the deviation that was seen between them.
        model: A latency model that predicts what is not measured.
        seed: Decides what is drawn.
    """

    space: Space
    networks: Vector
    drawn: Mapping[Operator, Vector]
    model: str
    seed: int

    @classmethod
    def of(
        cls, known: Space, space: SearchSpace, model: str, *, noise: float, seed: int
    ) -> Replay:
        """A course of measuring `known`, which is `space`, with `noise` times the deviations."""
        random = numpy_generator(seed, "launches drawn anew")
        drawn = {
            operator: np.maximum(
                random.normal(entry.mean_ms, noise * entry.std_ms, _MOST_LAUNCHES),
                _LEAST * entry.mean_ms,
            )
            for operator, entry in known.table.entries.items()
        }
        return cls(known, random_networks(space, tuple(known.table), seed), drawn, model, seed)

    def entries(self, steps: Sequence[Step]) -> dict[Operator, Entry]:
        """What is found by `steps`."""
        counts = {step.operator: step.launches for step in steps}
        return {o: _entry(self.drawn[o][:count]) for o, count in counts.items()}

    def errors(self, steps: Sequence[Step]) -> tuple[float, float] | None:
        """Mean absolute errors of operators and of networks, the rest predicted after `steps`.

        Relative; of operators by how often networks hold them. None where the model refuses one.
        """
        table, known = self.space.table, self.entries(steps)
        rest = [o for o in table if o not in known]
        found = {o: entry.mean_ms for o, entry in known.items()}
        if rest:
            try:
                learnt = LatencyTable(table.condition, table.origin, known)
                fitted = latency_models[self.model].fit(learnt, seed=self.seed)
                predicted = fitted.predict(rest).latency_ms
            except ElatError:
                return None
            found |= dict(zip(rest, predicted.tolist(), strict=True))
        true, ms = np.array(list(table.values())), np.array([found[o] for o in table])
        often = self.networks.mean(axis=0)
        sums = (self.networks @ ms) / (self.networks @ true)
        by_operator = float(np.average(np.abs(ms / true - 1), weights=often))
        return by_operator, float(np.mean(np.abs(sums - 1)))


def chosen(replay: Replay, seconds: float, *, repeats: bool) -> list[Step]:
    """As `elat measure --for` chooses; what was found moves what follows.

    Args:
        replay: What is measured.
        seconds: Where to end, about.
        repeats: Whether noisy operators may be measured again.
    """
    table = replay.space.table
    prior = Beliefs.prior(tuple(table), table.condition)
    place = {operator: index for index, operator in enumerate(table)}
    appearances = Appearances.of_networks(replay.networks[:, [place[o] for o in prior.operators]])
    steps: list[Step] = []
    while not steps or replay.space.seconds(steps)[-1] < seconds:
        entries = replay.entries(steps)
        stock = Stock(
            cases=replay.space.cases,
            entries=entries,
            counts=replay.space.counts(steps),
            wanted=lambda case: replay.space.first.get(case, 0),
            launch_s=lambda case: replay.space.launch_s.get(case, 0.0),
            again=AGAIN,
        )
        beliefs = prior.given(entries)
        offers = [stock.first(o) for o in prior.operators if o not in entries]
        if repeats:
            offers += [stock.repeat(o) for o in entries if stock.is_worth_repeating(o)]
        selection = choose(
            beliefs,
            beliefs.importance(appearances),
            offers,
            seconds=float("inf"),
            most=_BATCH,
            seen=entries,
        )
        if not selection.operators:
            break
        steps += [
            Step(o, stock.target(o) if o in entries else table.entry(o).count)
            for o in selection.operators
        ]
    return steps


def random_order(replay: Replay, seconds: float) -> list[Step]:
    """Everything once in a random order, and then everything again in others."""
    return _repeated(replay, _shuffled(replay), seconds)


def kinds_first(replay: Replay, seconds: float) -> list[Step]:
    """The same, but what brings a kind or choice that was not seen comes first."""
    first: list[Operator] = []
    seen: set[Hashable] = set()
    shuffled = _shuffled(replay)
    for operator in shuffled:
        if traits_of(operator) - seen:
            first.append(operator)
            seen |= traits_of(operator)
    return _repeated(replay, first + [o for o in shuffled if o not in set(first)], seconds)


def _shuffled(replay: Replay, again: int = 0) -> list[Operator]:
    operators = list(replay.space.table)
    name = f"random order {again}" if again else "random order"
    permutation = numpy_generator(replay.seed, name).permutation(len(operators))
    return [operators[i] for i in permutation]


def _repeated(replay: Replay, order: Sequence[Operator], seconds: float) -> list[Step]:
    """`order`, and then rounds in which every operator gets `AGAIN` launches more."""
    first = {o: replay.space.table.entry(o).count for o in order}
    steps = [Step(operator, first[operator]) for operator in order]
    again = 0
    while replay.space.seconds(steps)[-1] < seconds:
        again += 1
        if max(first.values()) + again * AGAIN > _MOST_LAUNCHES:
            break
        steps += [Step(o, first[o] + again * AGAIN) for o in _shuffled(replay, again)]
    return steps


def _entry(launches: Vector) -> Entry:
    std_ms = float(launches.std(ddof=1)) if len(launches) > 1 else 0.0
    return Entry(len(launches), float(launches.mean()), std_ms)
