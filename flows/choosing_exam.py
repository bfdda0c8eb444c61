"""Is it worth choosing what to measure? A replay of a space that was measured whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..devices.device import Device
from ..latency.models import latency_models
from ..latency.store import MeasurementStore
from ..reports.figures.choosing import Curve, Curves
from ..search.spaces import SearchSpace
from .choosing_replay import Replay, Space, Step, chosen, kinds_first, random_order

CHOSEN, ONCE = "chosen", "chosen, each once"
RANDOM, KINDS_FIRST = "random", "random, kinds first"
SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.6, 2.0)
"""Of the time of measuring everything once, after which the model is judged; then, again."""

_EARLIER = 1e-9


@dataclass(frozen=True)
class Point:
    """Errors after a share of the time, over all seeds; relative, None where none could answer.

    Attributes:
        minutes: That were used, on average.
        operators: That were measured by then, on average, and `repeats` how often one of them was
            measured again.
        answered: Share of seeds in which the model could answer for every operator.
        operator_error: Mean absolute error of operators, by how often networks hold them.
        network_error: Mean absolute error of the sums of random networks.
    """

    order: str
    share: float
    minutes: float
    operators: float
    repeats: float
    answered: float
    operator_error: float | None
    network_error: float | None
    network_error_sd: float | None


@dataclass(frozen=True)
class ChoosingExam:
    """The curves of both orders, and what measuring everything takes.

    Attributes:
        origin: Of the latencies that were replayed.
        noise: Deviation of the launches drawn, over that of those measured.
        full_minutes: Time of all launches in the store, loading and warming included.
    """

    device: str
    space: str
    origin: str
    model: str
    seeds: int
    noise: float
    operators: int
    full_minutes: float
    points: tuple[Point, ...]


def examine_choosing(
    store: MeasurementStore,
    device: Device,
    space: SearchSpace,
    *,
    model: str,
    seeds: int,
    noise: float = 1.0,
) -> ChoosingExam:
    """Compare the order that `elat measure --for` chooses with random orders.

    What was measured is the truth; launches are drawn anew around it, with the deviation that was
    seen between launches, so that measuring again is worth something.

    Args:
        store: In which the whole space is measured.
        device: Under whose condition.
        space: Whose random networks are predicted.
        model: A latency model, fitted to what is measured by then.
        seeds: Random orders, and draws of launches and of networks.
        noise: Of launches, as a multiple of what was seen.

    Raises:
        MissingOperatorError: An operator was never measured.
        UnknownNameError: There is no such model.
    """
    latency_models[model]
    known = Space.of(store, device, space)
    full, last = known.full_s, SHARES[-1] * known.full_s
    orders: dict[str, Callable[[Replay], list[Step]]] = {
        CHOSEN: lambda replay: chosen(replay, last, repeats=True),
        ONCE: lambda replay: chosen(replay, last, repeats=False),
        RANDOM: lambda replay: random_order(replay, last),
        KINDS_FIRST: lambda replay: kinds_first(replay, last),
    }
    rows: dict[tuple[str, float], list[_Row]] = {}
    for seed in range(seeds):
        replay = Replay.of(known, space, model, noise=noise, seed=seed)
        for name, make in orders.items():
            steps = make(replay)
            spent = known.seconds(steps)
            for share in SHARES:
                done = bisect_right(spent, share * full * (1 + _EARLIER))
                if done == len(steps) and share > 1 and name == ONCE:
                    continue
                rows.setdefault((name, share), []).append(
                    _Row(
                        spent[done - 1] if done else 0.0,
                        len({step.operator for step in steps[:done]}),
                        done,
                        replay.errors(steps[:done]),
                    )
                )
    return ChoosingExam(
        device.id,
        space.name,
        known.table.origin,
        model,
        seeds,
        noise,
        len(known.table),
        full / 60,
        tuple(_point(name, share, found) for (name, share), found in rows.items()),
    )


@dataclass(frozen=True)
class _Row:
    """A share of one course: seconds, operators, steps, and both errors."""

    seconds: float
    operators: int
    steps: int
    errors: tuple[float, float] | None


def _point(name: str, share: float, found: Sequence[_Row]) -> Point:
    errors = [row.errors for row in found if row.errors is not None]
    by_operator, by_network = zip(*errors, strict=True) if errors else ((), ())
    return Point(
        order=name,
        share=share,
        minutes=float(np.mean([row.seconds for row in found])) / 60,
        operators=float(np.mean([row.operators for row in found])),
        repeats=float(np.mean([row.steps - row.operators for row in found])),
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
        f"{exam.space} on {exam.device} ({exam.origin}, replayed, launches drawn anew with "
        f"{exam.noise:g} times their deviation), model {exam.model}",
        exam.full_minutes,
        tuple(Curve(name, tuple(points)) for name, points in curves.items()),
    )
