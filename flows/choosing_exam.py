"""Is it worth choosing what to measure? A replay of a space that was measured whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ElatError
from ..core.seeding import numpy_generator
from ..devices.device import Device
from ..latency.choosing import Beliefs, choose, traits_of
from ..latency.methods import METHODS, Subjects
from ..latency.models import latency_models
from ..latency.operators import Operator
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..reports.figures.choosing import Curve, Curves
from ..search.spaces import SearchSpace
from .choosing import random_networks
from .measuring import space_table

CHOSEN, RANDOM, KINDS_FIRST = "chosen", "random", "random, kinds first"
SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Of the time of a full measurement, after which the model is judged."""

_BATCH = 12

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """Errors after a share of the time, over all seeds; relative, None where none could answer.

    Attributes:
        minutes: That were used, on average.
        operators: That were measured by then, on average.
        answered: Share of seeds in which the model could answer for every operator.
        operator_error: Mean absolute error of operators, by how often networks hold them.
        network_error: Mean absolute error of the sums of random networks.
    """

    order: str
    share: float
    minutes: float
    operators: float
    answered: float
    operator_error: float | None
    network_error: float | None
    network_error_sd: float | None


@dataclass(frozen=True)
class ChoosingExam:
    """The curves of both orders, and what measuring everything takes.

    Attributes:
        origin: Of the latencies that were replayed.
        full_minutes: Time of all launches in the store, loading and warming included.
    """

    device: str
    space: str
    origin: str
    model: str
    seeds: int
    operators: int
    full_minutes: float
    points: tuple[Point, ...]


@dataclass(frozen=True, eq=False)
class _Replay:
    """A space that was measured whole: its table, what each case took, random networks."""

    table: LatencyTable
    cases: Mapping[Operator, frozenset[Operator]]
    seconds: Mapping[Operator, float]
    counts: Vector
    model: str

    def spent(self, some: Collection[Operator]) -> float:
        """Seconds that measuring `some` took; what they share counts once."""
        return sum(self.seconds.get(case, 0.0) for case in self._cases(some))

    def further(self, known: Sequence[Operator]) -> Callable[[Collection[Operator]], float]:
        """What measuring some operators takes after those `known`."""
        before = tuple(known)
        return lambda some: self.spent([*before, *some]) - self.spent(before)

    def _cases(self, some: Collection[Operator]) -> frozenset[Operator]:
        return frozenset[Operator]().union(*(self.cases[o] for o in some))

    def errors(self, known: Sequence[Operator], seed: int) -> tuple[float, float] | None:
        """Errors of operators and of networks where `known` is measured and the rest predicted."""
        rest = [o for o in self.table if o not in set(known)]
        true = np.array(list(self.table.values()))
        found = true.copy()
        try:
            fitted = latency_models[self.model].fit(self.table.only(known), seed=seed)
            predicted = fitted.predict(rest).latency_ms
        except ElatError:
            return None
        place = {operator: index for index, operator in enumerate(self.table)}
        found[[place[o] for o in rest]] = predicted
        often = self.counts.mean(axis=0)
        by_operator = float(np.average(np.abs(found / true - 1), weights=often))
        sums = (self.counts @ found) / (self.counts @ true)
        return by_operator, float(np.mean(np.abs(sums - 1)))


def examine_choosing(
    store: MeasurementStore, device: Device, space: SearchSpace, *, model: str, seeds: int
) -> ChoosingExam:
    """Compare the order that `elat measure --for` chooses with random orders.

    Args:
        store: In which the whole space is measured.
        device: Under whose condition.
        space: Whose random networks are predicted.
        model: A latency model, fitted to what is measured by then.
        seeds: Random orders, and draws of networks.

    Raises:
        MissingOperatorError: An operator was never measured.
        UnknownNameError: There is no such model.
    """
    latency_models[model]
    table = space_table(store, device, space)
    method = METHODS[table.condition.method]
    cases = {o: frozenset(method.cases(Subjects((o,)))) for o in table}
    wanted = frozenset[Operator]().union(*cases.values())
    seconds = {
        m.operator: sum(launch.lasted_s for launch in m.launches)
        for m in store.measurements(table.condition.of_models, list(wanted))
    }
    orders: dict[str, Callable[[_Replay, int], list[Operator]]] = {
        CHOSEN: _chosen,
        RANDOM: _random,
        KINDS_FIRST: _kinds_first,
    }
    rows: dict[tuple[str, float], list[tuple[float, int, tuple[float, float] | None]]] = {}
    full = 0.0
    for seed in range(seeds):
        counts = random_networks(space, tuple(table), seed)
        replay = _Replay(table, cases, seconds, counts, model)
        full = replay.spent(list(table))
        for name, make in orders.items():
            order = make(replay, seed)
            for share in SHARES:
                known = _within(replay, order, share * full)
                found = replay.errors(known, seed)
                rows.setdefault((name, share), []).append((replay.spent(known), len(known), found))
    return ChoosingExam(
        device.id,
        space.name,
        table.origin,
        model,
        seeds,
        len(table),
        full / 60,
        tuple(_point(name, share, found) for (name, share), found in rows.items()),
    )


def _chosen(replay: _Replay, seed: int) -> list[Operator]:
    """All operators, in the order that choosing takes them; what was found moves what follows."""
    prior = Beliefs.prior(tuple(replay.table), replay.table.condition)
    place = {operator: index for index, operator in enumerate(replay.table)}
    counts = replay.counts[:, [place[o] for o in prior.operators]]
    order: list[Operator] = []
    while len(order) < len(replay.table):
        beliefs = prior.given({o: replay.table.entry(o) for o in order})
        selection = choose(
            beliefs,
            beliefs.importance(counts),
            [o for o in prior.operators if o not in set(order)],
            replay.further(order),
            seconds=float("inf"),
            most=_BATCH,
            seen=order,
        )
        order += selection.operators
    return order


def _random(replay: _Replay, seed: int) -> list[Operator]:
    operators = list(replay.table)
    shuffled = numpy_generator(seed, "random order").permutation(len(operators))
    return [operators[i] for i in shuffled]


def _kinds_first(replay: _Replay, seed: int) -> list[Operator]:
    """A random order in which what brings a kind or choice that was not seen comes first."""
    first: list[Operator] = []
    seen: set[Hashable] = set()
    shuffled = _random(replay, seed)
    for operator in shuffled:
        if traits_of(operator) - seen:
            first.append(operator)
            seen |= traits_of(operator)
    return first + [operator for operator in shuffled if operator not in set(first)]


def _within(replay: _Replay, order: Sequence[Operator], seconds: float) -> list[Operator]:
    """As many of `order` from its beginning as take so many seconds."""
    known: list[Operator] = []
    for operator in order:
        if replay.spent([*known, operator]) > seconds:
            break
        known.append(operator)
    return known


def _point(
    name: str, share: float, found: Sequence[tuple[float, int, tuple[float, float] | None]]
) -> Point:
    errors = [row[2] for row in found if row[2] is not None]
    by_operator, by_network = zip(*errors, strict=True) if errors else ((), ())
    return Point(
        order=name,
        share=share,
        minutes=float(np.mean([row[0] for row in found])) / 60,
        operators=float(np.mean([row[1] for row in found])),
        answered=len(errors) / len(found),
        operator_error=float(np.mean(by_operator)) if errors else None,
        network_error=float(np.mean(by_network)) if errors else None,
        network_error_sd=float(np.std(by_network, ddof=1)) if len(errors) > 1 else None,
    )


def curves_of(exam: ChoosingExam) -> Curves:
    """What the figure shows: points at which the model answered for every seed."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for point in exam.points:
        known = curves.setdefault(point.order, [])
        if point.network_error is not None and point.answered == 1.0:
            known.append((point.minutes, point.network_error))
    return Curves(
        f"{exam.space} on {exam.device} ({exam.origin}, replayed), model {exam.model}",
        exam.full_minutes,
        tuple(Curve(name, tuple(points)) for name, points in curves.items()),
    )
