"""How well models answer for generated operators that they have not seen, beside the noise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, MissingOperatorError, UnknownNameError
from ..core.seeding import numpy_generator
from ..latency.models import latency_models
from ..latency.models.evaluate import errors_of
from ..latency.models.noise import Ceiling, noise_ceiling
from ..latency.operators import Operator
from ..latency.operators.serial import kind_of
from ..latency.table import LatencyTable

MODELS = (
    "roofline", "ridge", "random-forest", "xgboost", "mlp", "mlp-monotone", "gnn",
    "gaussian-process", "additive-process", "ensemble",
)  # fmt: skip
LEVEL = 0.9
MIN_UNSEEN = 30


@dataclass(frozen=True)
class Trial:
    """One model fitted to one random part of a table, judged on another.

    Attributes:
        operators: How many were unseen and could be answered for, and `unanswered` how many not:
            their kind, or their activation, was not in the training part.
        within_5: Share of the answered within 5 %; `within_10` within 10 %.
        mape: Mean absolute relative error, and `median` the median one.
        covered: Share of measured latencies inside the 90 % interval.
        fit_s: Wall time of fitting, in seconds.
    """

    model: str
    seed: int
    operators: int
    unanswered: int
    within_5: float
    within_10: float
    mape: float
    median: float
    covered: float
    fit_s: float


@dataclass(frozen=True)
class Standing:
    """A model over all seeds: means, and standard deviations over the seeds of the shares."""

    model: str
    seeds: int
    operators: float
    unanswered: float
    within_5: float
    within_5_std: float
    within_10: float
    within_10_std: float
    mape: float
    median: float
    covered: float
    fit_s: float


@dataclass(frozen=True)
class OperatorExam:
    """What `elat exam operators` found.

    Attributes:
        condition: Of the table, in words.
        ceiling: What the noise of all its measurements lets anybody reach.
    """

    condition: str
    origin: str
    operators: int
    train: int
    test: int
    ceiling: Ceiling | None
    trials: tuple[Trial, ...]

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Every model, the largest share within 5 % first."""
        names = dict.fromkeys(trial.model for trial in self.trials)
        found = [_standing([t for t in self.trials if t.model == name]) for name in names]
        return tuple(sorted(found, key=lambda standing: -standing.within_5))

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every trial."""
        return {
            "condition": self.condition,
            "origin": self.origin,
            "operators": self.operators,
            "train": self.train,
            "test": self.test,
            "noise_ceiling": self.ceiling.to_json() if self.ceiling else None,
            "models": [asdict(standing) for standing in self.standings],
            "trials": [asdict(trial) for trial in self.trials],
        }


def examine(
    table: LatencyTable, *, train: int, seeds: int, models: Sequence[str] = MODELS
) -> Iterator[Trial]:
    """Each of `models` on each of `seeds` random splits of `table`: `train` and the rest.

    Raises:
        ConfigError: The table has too few operators for the split.
        UnknownNameError: There is no model of that name.
    """
    if len(table) < train + MIN_UNSEEN:
        raise ConfigError(
            f"The store has {len(table)} operators of {table.condition}; {train} to learn from "
            f"and {MIN_UNSEEN} unseen ones are needed. Measure more with: elat measure --device "
            f"{table.condition.device} --generate {2 * train}, or ask for fewer with --train."
        )
    operators = list(table)
    for name in models:
        latency_models[name]
    for seed in range(seeds):
        order = numpy_generator(seed, "operator exam").permutation(len(operators))
        known = [operators[i] for i in order[:train]]
        unseen = [operators[i] for i in order[train : 2 * train]]
        for name in models:
            yield _trial(table, name, seed, known, unseen)


def of_kinds(table: LatencyTable, kinds: Sequence[str]) -> LatencyTable:
    """The operators of `table` of some kinds.

    Raises:
        UnknownNameError: The table has none of one of them.
    """
    known = tuple(sorted({kind_of(operator) for operator in table}))
    for kind in kinds:
        if kind not in known:
            raise UnknownNameError("kind of measured operator", kind, known)
    return table.only([operator for operator in table if kind_of(operator) in kinds])


def conclude(table: LatencyTable, train: int, trials: Sequence[Trial]) -> OperatorExam:
    """The exam of `trials` on `table`."""
    return OperatorExam(
        str(table.condition),
        table.origin,
        len(table),
        train,
        min(train, len(table) - train),
        noise_ceiling(list(table.entries.values())),
        tuple(trials),
    )


def _trial(
    table: LatencyTable,
    name: str,
    seed: int,
    known: Sequence[Operator],
    unseen: Sequence[Operator],
) -> Trial:
    started = time.perf_counter()
    model = latency_models[name].fit(table.only(known), seed=seed)
    fit_s = time.perf_counter() - started
    answered = [operator for operator in unseen if _is_answered(model, operator)]
    if not answered:
        raise ConfigError(f"{name} answers for none of {len(unseen)} unseen operators.")
    errors = np.abs(errors_of(model, table, answered))
    return Trial(
        name,
        seed,
        len(answered),
        len(unseen) - len(answered),
        _share(errors <= 0.05),
        _share(errors <= 0.10),
        float(errors.mean()),
        float(np.median(errors)),
        _covered(model, table, answered),
        fit_s,
    )


def _is_answered(model: Any, operator: Operator) -> bool:
    try:
        model.predict([operator])
    except MissingOperatorError:
        return False
    return True


def _covered(model: Any, table: LatencyTable, operators: Sequence[Operator]) -> float:
    low, high = model.predict(operators).interval(LEVEL)
    measured = np.array([table[operator] for operator in operators])
    return _share((low <= measured) & (measured <= high))


def _share(holds: NDArray[np.bool_]) -> float:
    return float(np.mean(holds))


def _standing(trials: Sequence[Trial]) -> Standing:
    def mean(name: str) -> float:
        return float(np.mean([getattr(trial, name) for trial in trials]))

    def deviation(name: str) -> float:
        values = [getattr(trial, name) for trial in trials]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    return Standing(
        trials[0].model,
        len(trials),
        mean("operators"),
        mean("unanswered"),
        mean("within_5"),
        deviation("within_5"),
        mean("within_10"),
        deviation("within_10"),
        mean("mape"),
        mean("median"),
        mean("covered"),
        mean("fit_s"),
    )
