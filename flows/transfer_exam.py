"""How well a device is known from others and a few samples: each left out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import ConfigError, ElatError
from ..core.seeding import numpy_generator
from ..latency.models import latency_models
from ..latency.operators import Operator
from ..latency.operators.serial import kind_of
from ..latency.table import LatencyTable
from ..latency.transfer import Transferred, diverse_samples
from ..latency.transfer.model import Source

SAMPLES = (10, 20, 50)
SCRATCH, TRANSFERRED, CHOSEN = "from scratch", "transferred", "transferred, samples chosen"


@dataclass(frozen=True)
class TransferRow:
    """Errors on all other operators, over all seeds; shares in [0, 1].

    Attributes:
        median: Median absolute relative error, averaged over seeds; None where a model refuses
            half of the operators.
    """

    device: str
    samples: int
    way: str
    median: float | None
    within_10: float
    within_25: float


@dataclass(frozen=True)
class TransferExam:
    """What the exam found.

    Attributes:
        operators: That every device was measured on.
    """

    origin: str
    kinds: tuple[str, ...]
    model: str
    seeds: int
    operators: int
    rows: tuple[TransferRow, ...]


def examine_transfer(
    tables: Sequence[LatencyTable], kinds: Sequence[str], *, model: str, seeds: int
) -> TransferExam:
    """Leave each device out: fitted to all operators of the others, and to samples of it.

    Args:
        tables: One a device, with operators in common.
        kinds: Operators of these alone.
        model: Of the sources; and what learns from the samples alone.
        seeds: Random samples; they also decide ties among chosen ones.

    Raises:
        ConfigError: There are fewer than two devices, or too few operators in common.
    """
    if len(tables) < 2:
        raise ConfigError("An exam of transfer takes two devices or more.")
    common = [o for o in tables[0] if kind_of(o) in kinds and all(o in t for t in tables)]
    if len(common) < 2 * max(SAMPLES):
        raise ConfigError(
            f"The devices have {len(common)} operators of {', '.join(kinds)} in common; "
            f"{2 * max(SAMPLES)} are needed. Measure the same on all: elat measure --generate 300."
        )
    parts = [table.only(common) for table in tables]
    kind = latency_models[model]
    sources = [Source(t.condition.device, kind.fit(t, seed=0), t) for t in parts]
    rows: list[TransferRow] = []
    for left_out, table in enumerate(parts):
        others = [source for index, source in enumerate(sources) if index != left_out]
        for count in SAMPLES:
            found: dict[str, list[tuple[float, float, float]]] = {}
            for seed in range(seeds):
                for way, errors in _trial(table, others, common, count, model, seed).items():
                    found.setdefault(way, []).append(_summary(errors))
            for way, each in found.items():
                rows.append(TransferRow(table.condition.device, count, way, *_mean(each)))
    return TransferExam(parts[0].origin, tuple(kinds), model, seeds, len(common), tuple(rows))


def _trial(
    table: LatencyTable,
    others: Sequence[Source],
    common: list[Operator],
    count: int,
    model: str,
    seed: int,
) -> dict[str, list[float]]:
    """Absolute relative errors of every way on the operators that are no samples."""
    random = numpy_generator(seed, "transfer", table.condition.device)
    drawn = [common[i] for i in random.permutation(len(common))[:count].tolist()]
    chosen = list(diverse_samples(common, others, count, seed))
    found: dict[str, list[float]] = {}
    for way, samples in ((TRANSFERRED, drawn), (CHOSEN, chosen)):
        made = Transferred.of(others, table.only(samples))
        rest = [o for o in common if o not in set(samples)]
        predicted = made.predict(rest).latency_ms.tolist()
        found[way] = [abs(p / table[o] - 1) for o, p in zip(rest, predicted, strict=True)]
    scratch = latency_models[model].fit(table.only(drawn), seed=0)
    found[SCRATCH] = []
    for operator in common:
        if operator in set(drawn):
            continue
        try:
            error = abs(float(scratch.predict([operator]).latency_ms[0]) / table[operator] - 1)
        except ElatError:
            # What it has seen nothing like it refuses: as far off as can be.
            error = float("inf")
        found[SCRATCH].append(error)
    return found


def _summary(errors: Sequence[float]) -> tuple[float, float, float]:
    sizes = np.array(errors)
    return (
        float(np.median(sizes)),
        float(np.mean(sizes <= 0.10)),
        float(np.mean(sizes <= 0.25)),
    )


def _mean(each: Sequence[tuple[float, float, float]]) -> tuple[float | None, float, float]:
    median, ten, quarter = np.mean(each, axis=0).tolist()
    return median if np.isfinite(median) else None, ten, quarter
