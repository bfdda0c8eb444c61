"""The exam of learning one device from its own samples alone, NAS-Bench-201 on 27 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.seeding import numpy_generator
from ..datasets.corpora.nas_bench_201 import CellCorpus, read_nas_bench_201
from ..datasets.corpora.splits import grouped_split, random_split
from ..latency.cells.features import one_hot
from ..latency.cells.graph_regression import CellNetworks
from ..latency.cells.regression import CellRegression
from ..latency.models.log_ridge import fit_ridge
from .predictor_exams import Ceiling, Score, spread

GOAL_SAMPLES, GOAL_WITHIN_10 = 100, 0.88
_LATENCY_FLOOR = 0.01


class Method(StrEnum):
    """Who predicts."""

    OURS = "ours"
    ONE_HOT_RIDGE = "one-hot-ridge"
    GNN = "gnn"


class HeldOut(StrEnum):
    """On what: all other cells, or those that are no twins of training cells."""

    ALL = "all"
    NO_TWINS = "no-twins"


@dataclass(frozen=True)
class ScratchOrder:
    """What `elat exam from-scratch` was asked for."""

    sizes: tuple[int, ...] = (10, 20, 50, 100, 900)
    seeds: int = 5
    methods: tuple[Method, ...] = (Method.OURS, Method.ONE_HOT_RIDGE)


@dataclass(frozen=True)
class ScratchRow:
    """Scores of one training draw, one for each column."""

    size: int
    seed: int
    method: Method
    test: HeldOut
    scores: tuple[Score, ...]


def scratch_rows(order: ScratchOrder, corpus: CellCorpus | None = None) -> Iterator[ScratchRow]:
    """Yields two rows for each training size, seed and method.

    Raises:
        ArtefactError: The corpus is missing or damaged.
    """
    corpus = read_nas_bench_201() if corpus is None else corpus
    latency_ms = corpus.table.targets(corpus.table.target_names)
    for size in order.sizes:
        for seed in range(order.seeds):
            names = (seed, "from-scratch", size)
            train, rest = random_split(len(corpus.cells), size, numpy_generator(*names))
            apart = grouped_split(corpus.twins, size, numpy_generator(*names)).test
            for method in order.methods:
                predicted = _predicted(method, corpus, train, latency_ms[train], seed)
                for test, rows in ((HeldOut.ALL, rest), (HeldOut.NO_TWINS, apart)):
                    scores = map(Score.of, predicted[rows].T, latency_ms[rows].T)
                    yield ScratchRow(size, seed, method, test, tuple(scores))


def count_scratch(order: ScratchOrder) -> int:
    """How many rows there will be."""
    return len(order.sizes) * order.seeds * len(order.methods) * len(HeldOut)


def scratch_summary(order: ScratchOrder, rows: Sequence[ScratchRow]) -> dict[str, Any]:
    """Means over the columns and spread over the seeds, as JSON, and each column's ceiling.

    Raises:
        ArtefactError: The corpus is missing or damaged.
    """
    corpus = read_nas_bench_201()
    return {
        "exam": "from-scratch",
        "origin": "imported",
        "seeds": order.seeds,
        "columns": len(corpus.table.target_names),
        "goal": {"samples": GOAL_SAMPLES, "within_10": GOAL_WITHIN_10},
        "sizes": [
            {
                "samples": size,
                **{
                    method.value: {
                        test.value: _summary(rows, size, method, test) for test in HeldOut
                    }
                    for method in order.methods
                },
            }
            for size in order.sizes
        ],
        "devices": _devices(corpus, rows, order),
    }


def _predicted(
    method: Method,
    corpus: CellCorpus,
    train: NDArray[np.intp],
    latency_ms: NDArray[np.float64],
    seed: int,
) -> NDArray[np.float64]:
    """Of all cells, `(cells, columns)`."""
    if method is Method.OURS:
        return CellRegression.fit(corpus.cells[train], latency_ms).predict(corpus.cells)
    if method is Method.GNN:
        networks = CellNetworks.fit(corpus.cells[train], latency_ms, seed=seed)
        return networks.predict(corpus.cells)
    design = one_hot(corpus.cells)
    fits = [fit_ridge(design[train], column) for column in latency_ms.T]
    found = [design @ fit.coefficients + fit.intercept for fit in fits]
    return np.maximum(np.stack(found, axis=1), _LATENCY_FLOOR)


def _summary(
    rows: Sequence[ScratchRow], size: int, method: Method, test: HeldOut
) -> dict[str, Any]:
    found = [row for row in rows if (row.size, row.method, row.test) == (size, method, test)]
    return spread([Score.mean(row.scores) for row in found])


def _devices(
    corpus: CellCorpus, rows: Sequence[ScratchRow], order: ScratchOrder
) -> dict[str, Any]:
    """Each column's scores, by us on all others, with the size nearest to the goal's."""
    size = min(order.sizes, key=lambda n: abs(n - GOAL_SAMPLES))
    found = [r for r in rows if (r.size, r.method, r.test) == (size, Method.OURS, HeldOut.ALL)]
    columns = {column.name: column for column in corpus.table.columns}
    return {
        name: {
            "samples": size,
            **spread([row.scores[number] for row in found]),
            "is_eager": columns[name].is_eager,
            "is_whole_ms": columns[name].is_whole_ms,
            "ceiling": Ceiling.of(
                corpus.table.of([name])[:, 0], corpus.twins, numpy_generator(0, "ceiling", name)
            ).to_json(),
        }
        for number, name in enumerate(corpus.table.target_names)
    }
