"""The exam of the constrained choice: how often the pick under a latency bound breaks it.

Two problems. `nas-bench-macro` has the measured accuracies of 6,561 networks and *simulated*
latencies: costs of each choice, interactions of neighbours, a part of its own for every network,
and noise (`simulated_latency`). `nas-bench-201` has measured latencies (imported) of 15,625 cells
on 27 columns and a *made-up* worth that grows with convolutions, as accuracy does
(`made_up_worth`). A draw is a device, random training architectures, and a bound between the 20 %
and 80 % quantiles of its latencies; the most worthy architecture whose prediction, or upper limit,
is within the bound is picked, and breaks it if what is measured of it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.seeding import numpy_generator
from ..datasets.corpora.nas_bench_201 import CellCorpus, read_nas_bench_201
from ..datasets.corpora.nas_bench_macro import (
    CANDIDATES,
    LAYERS,
    MacroBenchmark,
    read_nas_bench_macro,
)
from ..latency.cells.cell import CellOp
from ..latency.cells.executed import executed_cells, operation_counts
from ..latency.cells.features import GRAPH_FEATURES, graph_features, one_hot
from ..latency.cells.kernels import count_design, executed_design
from ..latency.picked_limits import DesignRidge, pick

Vector = NDArray[np.float64]
LEVEL = 0.95
SAMPLES = 100
_NOISE = 0.01
_QUANTILES = (0.2, 0.8)


class Problem(StrEnum):
    """What is picked from."""

    MACRO = "nas-bench-macro"
    CELLS = "nas-bench-201"


class Limit(StrEnum):
    """What must be within the bound."""

    POINT = "prediction"
    ONE = "limit of one"
    PICK = "limit of the pick"


@dataclass(frozen=True)
class ConstrainedOrder:
    """What `elat exam constrained` was asked for; `draws` of each problem."""

    draws: int = 1000
    seed: int = 0
    worlds: int = 60


@dataclass(frozen=True)
class ConstrainedRow:
    """One pick.

    Attributes:
        is_found: Whether anything was within the bound by its limit.
        is_broken: Whether what was measured of it is above the bound.
        regret: Worth of the best within the bound, less its own; of those found.
        margin: exp of the margin, less 1: how far below the bound predictions had to lie.
    """

    problem: Problem
    device: str
    limit: Limit
    is_found: bool
    is_broken: bool
    regret: float
    margin: float


@dataclass(frozen=True, eq=False)
class _Material:
    """A problem's architectures: design, worth, and latencies of the devices to draw from."""

    design: NDArray[np.float64]
    worth: Vector
    names: tuple[str, ...]
    latency_ms: NDArray[np.float64]
    noise: float


def constrained_rows(order: ConstrainedOrder) -> Iterator[ConstrainedRow]:
    """Yields the three picks of every draw.

    Raises:
        ArtefactError: A corpus is missing or damaged.
    """
    for problem in Problem:
        material = _material(problem, order)
        for draw in range(order.draws):
            generator = numpy_generator(order.seed, "constrained", problem.value, draw)
            device = draw % len(material.names)
            yield from _picks(problem, material, device, generator, order.worlds)


def count_constrained(order: ConstrainedOrder) -> int:
    """How many rows there will be."""
    return len(Problem) * len(Limit) * order.draws


def constrained_summary(order: ConstrainedOrder, rows: Sequence[ConstrainedRow]) -> dict[str, Any]:
    """Shares of picks that break the bound, as JSON."""
    return {
        "exam": "constrained",
        "level": LEVEL,
        "samples": SAMPLES,
        "draws": order.draws,
        "seed": order.seed,
        "worlds": order.worlds,
        "goal": {"broken": 1 - LEVEL, "tolerance": 0.02},
        "problems": {
            problem.value: {
                "origin": _ORIGINS[problem],
                **{
                    limit.value: _summary(
                        [r for r in rows if (r.problem, r.limit) == (problem, limit)]
                    )
                    for limit in Limit
                },
            }
            for problem in Problem
        },
    }


_ORIGINS = {
    Problem.MACRO: "accuracies imported (CIFAR-10, mean of 3 seeds), latencies simulated",
    Problem.CELLS: "latencies imported (27 columns), worth made up from executed operations",
}


def simulated_latency(choices: NDArray[np.intp], generator: np.random.Generator) -> Vector:
    """Latencies in ms of NAS-Bench-Macro's networks on a device that does not exist.

    A skip costs a tenth or two of a block, expansion by 6 about twice as much as by 3, each with
    a device's own factor; what two neighbours cost together differs by about 8 % of their sum
    (fusion, caches); each network has 2 % of its own (layouts, memory).

    Args:
        choices: `(networks, layers)`.
        generator: Draws the device.
    """
    layers = choices.shape[1]
    typical = np.array([0.15, 1.0, 2.0]) * np.exp(generator.normal(0, 0.25, (layers, CANDIDATES)))
    cost_ms = np.exp(generator.normal(0, 0.5, (layers, 1))) * typical
    found = 2.0 + cost_ms[np.arange(layers), choices].sum(axis=1)
    for layer in range(layers - 1):
        together = generator.normal(0, 0.08, (CANDIDATES, CANDIDATES))
        left, right = choices[:, layer], choices[:, layer + 1]
        pair_ms = cost_ms[layer, left] + cost_ms[layer + 1, right]
        found += together[left, right] * pair_ms
    return np.asarray(found * np.exp(generator.normal(0, 0.02, len(choices))))


def made_up_worth(corpus: CellCorpus, generator: np.random.Generator) -> Vector:
    """A worth of each cell in standard deviations, `(cells,)`; no accuracy.

    The logarithm of executed multiply-adds, half as much of what executes at all, and 0.3
    standard deviations of chance.
    """
    counts = operation_counts(executed_cells(corpus.cells))
    macs = np.log(1 + 9 * counts[:, CellOp.CONV_3X3] + counts[:, CellOp.CONV_1X1])
    executes = counts[:, 1:].sum(axis=1)
    chance = generator.normal(0, 0.3, len(macs))
    return np.asarray(_standard(macs) + 0.5 * _standard(executes) + chance)


def _material(problem: Problem, order: ConstrainedOrder) -> _Material:
    generator = numpy_generator(order.seed, "constrained", problem.value, "material")
    if problem is Problem.MACRO:
        return _macro(read_nas_bench_macro(), generator)
    corpus = read_nas_bench_201()
    names = corpus.table.target_names
    is_dead = graph_features(corpus.cells)[:, [GRAPH_FEATURES.index("is_dead")]]
    design = [
        one_hot(corpus.cells) / np.sqrt(6),
        count_design(corpus.cells),
        executed_design(corpus.cells),
        one_hot(executed_cells(corpus.cells)) / np.sqrt(24),
        is_dead,
    ]
    worth = made_up_worth(corpus, generator)
    return _Material(np.hstack(design), worth, names, corpus.table.targets(names), 0.0)


def _macro(benchmark: MacroBenchmark, generator: np.random.Generator) -> _Material:
    choices = np.array([*product(range(CANDIDATES), repeat=LAYERS)])
    design = (choices[:, :, None] == np.arange(CANDIDATES)).reshape(len(choices), -1)
    names = tuple(f"simulated-{number}" for number in range(50))
    latency = np.stack([simulated_latency(choices, generator) for _ in names], axis=1)
    return _Material(design.astype(float), benchmark.mean_accuracies, names, latency, _NOISE)


def _picks(
    problem: Problem,
    material: _Material,
    device: int,
    generator: np.random.Generator,
    worlds: int,
) -> Iterator[ConstrainedRow]:
    latency_ms = material.latency_ms[:, device]
    samples = generator.choice(len(latency_ms), SAMPLES, replace=False)
    sampled_ms = _measured(latency_ms[samples], material.noise, generator)
    bound_ms = float(np.quantile(latency_ms, generator.uniform(*_QUANTILES)))
    checked_ms = _measured(latency_ms, material.noise, generator)
    model = DesignRidge.fit(material.design, samples, sampled_ms)
    margins = {
        Limit.POINT: 0.0,
        Limit.ONE: model.margin_of_one(LEVEL),
        Limit.PICK: model.margin_of_picks(material.worth, bound_ms, LEVEL, generator, worlds),
    }
    order = np.argsort(-material.worth, kind="stable")
    best = material.worth[checked_ms <= bound_ms].max()
    for limit, margin in margins.items():
        limits_ms = np.array([bound_ms * np.exp(-margin)])
        place = int(pick(model.predicted_ms[order], limits_ms)[0])
        is_found = place < len(order)
        picked = order[min(place, len(order) - 1)]
        yield ConstrainedRow(
            problem,
            material.names[device],
            limit,
            is_found,
            bool(is_found and checked_ms[picked] > bound_ms),
            float(best - material.worth[picked]),
            float(np.expm1(margin)),
        )


def _measured(latency_ms: Vector, noise: float, generator: np.random.Generator) -> Vector:
    return np.asarray(latency_ms * np.exp(generator.normal(0, noise, len(latency_ms))))


def _summary(rows: Sequence[ConstrainedRow]) -> dict[str, Any]:
    broken = np.array([row.is_broken for row in rows], float)
    found = [row for row in rows if row.is_found]
    return {
        "picks": len(found),
        "refused": len(rows) - len(found),
        "broken": float(broken.mean()),
        "standard_error": float(broken.std() / np.sqrt(len(rows))),
        "regret": float(np.mean([row.regret for row in found])) if found else None,
        "margin": float(np.median([row.margin for row in found])) if found else None,
    }


def _standard(values: NDArray[np.float64]) -> Vector:
    return np.asarray((values - values.mean()) / values.std())
