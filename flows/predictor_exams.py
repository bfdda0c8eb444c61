"""Exams of latency predictors: what there is, and how predictions are scored in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ExamInfo:
    """A line of `elat exam --list`.

    Attributes:
        name: The verb behind `elat exam`.
        shows: What it tells of the project.
        published: What others report, or empty.
        minutes: About how long it takes on one core, with the default settings.
    """

    name: str
    shows: str
    published: str
    minutes: float


EXAMS = (
    ExamInfo(
        "help-nb201",
        "rank correlation on six new devices from 10 samples and nine known devices",
        "HELP .932, BRP-NAS with 900 samples .789, MACs .787 (Lee et al. 2021, table 3)",
        0.5,
    ),
    ExamInfo(
        "from-scratch",
        "share within 5 % and 10 % on 27 devices, each learnt from N of its own samples alone",
        "none for all 27; a one-hot ridge is run beside it",
        6,
    ),
    ExamInfo(
        "constrained",
        "how often the network picked under a latency bound breaks it",
        "none: no published predictor states a limit for the pick",
        3,
    ),
    ExamInfo(
        "nas-bench-macro",
        "searches by query under measured bounds, against the truth of 6,561 trained networks",
        "",
        20,
    ),
    ExamInfo(
        "perfect-supernet",
        "what a search mechanism loses where the supernet's accuracies are exact",
        "",
        20,
    ),
    ExamInfo("aggregation-cost", "what joining earlier outputs costs on a device", "", 10),
    ExamInfo("measuring", "whether the meter's intervals and verdicts hold what they say", "", 5),
    ExamInfo("operators", "latency models on measured operators that they have not seen", "", 5),
    ExamInfo("networks", "sums of operators, calibrated, on whole networks measured here", "", 1),
    ExamInfo("choosing", "error against minutes of measuring, by what is measured first", "", 5),
    ExamInfo(
        "transfer", "operators of a device left out, from few of them and other devices", "", 5
    ),
)


@dataclass(frozen=True)
class Score:
    """How good predictions are.

    Attributes:
        spearman: Rank correlation with the truth.
        within_5: Share within 5 % of the truth.
        within_10: Share within 10 % of it.
    """

    spearman: float
    within_5: float
    within_10: float

    @classmethod
    def of(cls, predicted_ms: Vector, truth_ms: Vector) -> Score:
        """Scores of `predicted_ms` against `truth_ms`, `(architectures,)` each."""
        from scipy.stats import rankdata

        ranks = rankdata(predicted_ms), rankdata(truth_ms)
        errors = np.abs(predicted_ms / truth_ms - 1)
        return cls(
            float(np.corrcoef(*ranks)[0, 1]),
            float(np.mean(errors <= 0.05)),
            float(np.mean(errors <= 0.1)),
        )

    @classmethod
    def mean(cls, scores: Iterable[Score]) -> Score:
        """Mean of each."""
        rows = np.array([(s.spearman, s.within_5, s.within_10) for s in scores])
        return cls(*(float(value) for value in rows.mean(axis=0)))


def spread(scores: Sequence[Score]) -> dict[str, Any]:
    """Mean over seeds of each score, and the standard deviation between seeds, as JSON."""
    rows = np.array([(s.spearman, s.within_5, s.within_10) for s in scores])
    names = ("spearman", "within_5", "within_10")
    std = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.full(3, np.nan)
    return {
        name: {"mean": float(mean), "std": None if np.isnan(deviation) else float(deviation)}
        for name, mean, deviation in zip(names, rows.mean(axis=0), std, strict=True)
    }


@dataclass(frozen=True)
class Ceiling:
    """What the noise of measurements leaves to be predicted, judged by twins.

    Twins may differ in where their operations stand, so that both are estimates and can be passed.

    Attributes:
        twins_within_10: Share of pairs of twins measured within 10 % of each other.
        perfect_within_10: Share that a predictor of the mean would reach within 10 %, if both
            measurements of a pair err alike: pairs whose log-ratio is within sqrt(2) log(1.1).
    """

    twins_within_10: float
    perfect_within_10: float

    @classmethod
    def of(
        cls, latency_ms: Vector, twins: NDArray[np.int64], generator: np.random.Generator
    ) -> Ceiling:
        """The ceiling of one column; pairs are neighbours in a random order of each group."""
        order = np.lexsort((generator.random(len(twins)), twins))
        is_pair = twins[order][1:] == twins[order][:-1]
        first, second = latency_ms[order][1:][is_pair], latency_ms[order][:-1][is_pair]
        if not len(first):
            return cls(float("nan"), float("nan"))
        ratio = np.abs(np.log(first / second))
        return cls(
            float(np.mean(ratio <= np.log(1.1))),
            float(np.mean(ratio / np.sqrt(2) <= np.log(1.1))),
        )

    def to_json(self) -> dict[str, float | None]:
        """Not a number is null."""
        values = {
            "twins_within_10": self.twins_within_10,
            "perfect_within_10": self.perfect_within_10,
        }
        return {name: None if np.isnan(value) else value for name, value in values.items()}
