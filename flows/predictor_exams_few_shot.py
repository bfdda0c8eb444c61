"""The exam of few samples on a new device, NAS-Bench-201 (Lee et al. 2021, HELP, table 3).

Nine devices are known on architectures 0-899. On a new one k architectures are measured, drawn
from those of 0-899 in the middle 80 % by latency; tested are architectures 900-1899 without the
fastest and the slowest tenth, by rank correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.seeding import numpy_generator
from ..datasets.corpora.nas_bench_201 import CellCorpus, read_nas_bench_201
from ..latency.cells.device_embedding import EmbeddedDevices
from ..latency.cells.few_shot import DevicePool
from ..latency.cells.regression import CellRegression
from .predictor_exams import Ceiling, Score, spread

SOURCES = (
    *("1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r"),
    *("samsung_a50", "pixel3", "essential_ph_1", "samsung_s7"),
)
TARGETS = ("titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss")
CONTROLS = (
    *("titan_rtx_1", "titan_rtx_32", "gold_6240", "2080ti_1", "2080ti_32", "2080ti_256"),
    *("titanx_1", "titanx_32", "titanx_256", "titanxp_1", "titanxp_32", "titanxp_256"),
)
"""The other twelve columns: the method was chosen on `TARGETS` and never on these."""
PUBLISHED: dict[str, tuple[float, ...]] = {
    "HELP, 10 samples": (0.987, 0.989, 0.985, 0.802, 0.890, 0.940),
    "BRP-NAS, 900 samples": (0.814, 0.796, 0.801, 0.666, 0.847, 0.811),
    "MACs": (0.950, 0.826, 0.900, 0.765, 0.846, 0.437),
}
"""Rank correlations in the order of `TARGETS` (Lee et al. 2021, table 3)."""
GOAL = 0.945
Vector = NDArray[np.float64]
Predict = Callable[[NDArray[np.intp], Vector], Vector]
"""From rows that were measured and their milliseconds to those of all cells of the exam."""
_POOL, _TEST = slice(0, 900), slice(900, 1900)


class Selection(StrEnum):
    """How the samples on the new device are chosen within the pool."""

    RANDOM = "random"
    DIVERSE = "diverse"


class Predictor(StrEnum):
    """Who predicts a new device: a Gaussian process over known ones, or a graph network."""

    POOL = "pool"
    GNN = "gnn"


@dataclass(frozen=True)
class FewShotOrder:
    """What `elat exam help-nb201` was asked for."""

    samples: int = 10
    seeds: int = 20
    selections: tuple[Selection, ...] = (Selection.RANDOM, Selection.DIVERSE)
    predictors: tuple[Predictor, ...] = (Predictor.POOL,)


@dataclass(frozen=True)
class FewShotRow:
    """One test: a device, a way to select, a seed, and who predicts."""

    device: str
    selection: Selection
    seed: int
    score: Score
    predictor: Predictor = Predictor.POOL


def few_shot_rows(order: FewShotOrder, corpus: CellCorpus | None = None) -> Iterator[FewShotRow]:
    """Yields every test as it is made.

    Raises:
        ArtefactError: The corpus is missing or damaged.
    """
    corpus = read_nas_bench_201() if corpus is None else corpus
    pool = _known_pool(corpus)
    predicted_by = {who: _predicting(who, corpus, pool) for who in order.predictors}
    for device in (*TARGETS, *CONTROLS):
        latency_ms = corpus.table.targets([device])[:, 0]
        candidates, tested = _middle(latency_ms[_POOL], 0), _middle(latency_ms[_TEST], _TEST.start)
        for selection in order.selections:
            for seed in range(order.seeds):
                generator = numpy_generator(seed, "help-nb201", device, "samples")
                samples = _samples(pool, candidates, order.samples, selection, generator)
                for who, predict in predicted_by.items():
                    predicted = predict(samples, latency_ms[samples])
                    score = Score.of(predicted[tested], latency_ms[tested])
                    yield FewShotRow(device, selection, seed, score, who)


def count_few_shot(order: FewShotOrder) -> int:
    """How many rows there will be."""
    devices = len(TARGETS) + len(CONTROLS)
    return devices * len(order.selections) * order.seeds * len(order.predictors)


def few_shot_summary(order: FewShotOrder, rows: Sequence[FewShotRow]) -> dict[str, Any]:
    """Ours beside the published, as JSON.

    Raises:
        ArtefactError: The corpus, whose noise ceilings are told, is missing or damaged.
    """
    corpus = read_nas_bench_201()
    return {
        "exam": "help-nb201",
        "origin": "imported",
        "samples": order.samples,
        "seeds": order.seeds,
        "sources": list(SOURCES),
        "goal": {"spearman": GOAL},
        "published": {
            name: {"devices": dict(zip(TARGETS, values, strict=True)), "mean": _mean(values)}
            for name, values in PUBLISHED.items()
        },
        **_groups(Predictor.POOL, order, rows),
        **{
            who.value: _groups(who, order, rows)
            for who in order.predictors
            if who is not Predictor.POOL
        },
        "ceiling": {device: _ceiling(corpus, device).to_json() for device in TARGETS},
    }


def _predicting(who: Predictor, corpus: CellCorpus, pool: DevicePool) -> Predict:
    if who is Predictor.POOL:
        return pool.predict
    cells = corpus.cells[: _TEST.stop]
    known = EmbeddedDevices.fit(cells[_POOL], corpus.table.of(SOURCES)[_POOL], seed=0)

    def predict(samples: NDArray[np.intp], latency_ms: NDArray[np.float64]) -> Vector:
        return known.predict(cells, known.tuned(cells[samples], latency_ms))

    return predict


def _known_pool(corpus: CellCorpus) -> DevicePool:
    """The nine devices: measured on 0-899, predicted on all 1,900 that the exam touches."""
    known_ms = corpus.table.of(SOURCES)[_POOL]
    cells = corpus.cells[: _TEST.stop]
    fitted = CellRegression.fit(cells[_POOL], known_ms)
    return DevicePool.of(cells, fitted.predict(cells) / np.median(known_ms, axis=0))


def _middle(latency_ms: NDArray[np.float64], offset: int) -> NDArray[np.intp]:
    """Rows, counted from `offset`, without the fastest and the slowest tenth."""
    tenth = len(latency_ms) // 10
    return np.argsort(latency_ms, kind="stable")[tenth:-tenth] + offset


def _samples(
    pool: DevicePool,
    candidates: NDArray[np.intp],
    count: int,
    selection: Selection,
    generator: np.random.Generator,
) -> NDArray[np.intp]:
    if selection is Selection.RANDOM:
        return generator.choice(candidates, count, replace=False)
    return pool.diverse(candidates, count, int(generator.choice(candidates)))


def _groups(who: Predictor, order: FewShotOrder, rows: Sequence[FewShotRow]) -> dict[str, Any]:
    own = [row for row in rows if row.predictor is who]
    return {
        "ours": {s.value: _group(s, TARGETS, own) for s in order.selections},
        "controls": {s.value: _group(s, CONTROLS, own) for s in order.selections},
    }


def _group(
    selection: Selection, devices: Sequence[str], rows: Sequence[FewShotRow]
) -> dict[str, Any]:
    found = [row for row in rows if row.selection is selection and row.device in devices]
    seeds = sorted({row.seed for row in found})
    return {
        "mean": spread([Score.mean(r.score for r in found if r.seed == seed) for seed in seeds]),
        "devices": {
            device: spread([row.score for row in found if row.device == device])
            for device in devices
        },
    }


def _ceiling(corpus: CellCorpus, device: str) -> Ceiling:
    """Of all cells of the benchmark within the middle 80 % of `device`'s latencies."""
    latency_ms = corpus.table.of([device])[:, 0]
    rows = _middle(latency_ms, 0)
    return Ceiling.of(latency_ms[rows], corpus.twins[rows], numpy_generator(0, "ceiling", device))


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)
