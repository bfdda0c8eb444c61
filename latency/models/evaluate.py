"""How well a model answers for operators that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ConfigError, MissingOperatorError
from ...core.seeding import numpy_generator
from ..operators import Operator
from ..operators.serial import from_json, kind_of, to_json
from ..table import LatencyTable
from .base import LatencyModel
from .lookup import Lookup
from .noise import Ceiling, noise_ceiling

LEVELS = (0.8, 0.9, 0.95)
"""Levels at which the coverage of limits is counted."""

CROSS_VALIDATION = "cross-validation"
NOISE = "measurement noise (a table cannot answer for operators it lacks)"


@dataclass(frozen=True)
class HeldOutRow:
    """One operator.

    Attributes:
        predicted_ms: By a model fitted without the operator; for `lookup` the measurement itself.
        relative_error: Predicted over measured minus 1; for `lookup` the deviation between
            launches over the mean.
    """

    operator: Operator
    kind: str
    measured_ms: float
    predicted_ms: float
    relative_error: float


@dataclass(frozen=True)
class Accuracy:
    """Errors of several operators; shares and errors in [0, 1].

    Attributes:
        mape: Mean absolute relative error.
        within_5: Share of operators with an error of at most 5 %; `within_10` of 10 %.
        spearman: Rank correlation of predicted and measured; None where it is not defined.
    """

    operators: int
    mape: float
    within_5: float
    within_10: float
    spearman: float | None


@dataclass(frozen=True)
class Coverage:
    """How often limits held on operators that the model was not fitted to.

    Attributes:
        level: What was promised.
        interval: Share of measured latencies inside `interval(level)`.
        upper: Share of them at most `upper(level)`.
    """

    level: float
    interval: float
    upper: float


@dataclass(frozen=True)
class HeldOut:
    """The held-out errors of one model on one table.

    Attributes:
        method: `cross-validation`, or that the errors are the measurement noise.
        unanswered: Operators for which a model fitted without them could not answer (the only one
            of their kind, or with their activation).
        coverage: Of the model's limits; none where it states none.
        ceiling: What the noise of these measurements lets anybody reach; None where no operator
            has several launches.
    """

    method: str
    folds: int
    rows: tuple[HeldOutRow, ...]
    unanswered: tuple[Operator, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    ceiling: Ceiling | None = None

    @property
    def overall(self) -> Accuracy:
        """Errors over all rows."""
        return self._accuracy(self.rows)

    @property
    def by_kind(self) -> dict[str, Accuracy]:
        """Errors by kind of operator."""
        kinds = sorted({row.kind for row in self.rows})
        return {kind: self._accuracy([r for r in self.rows if r.kind == kind]) for kind in kinds}

    def _accuracy(self, rows: Sequence[HeldOutRow]) -> Accuracy:
        if not rows:
            raise ConfigError("No operator could be held out; measure more of each kind.")
        errors = np.abs([row.relative_error for row in rows])
        is_predicted = self.method == CROSS_VALIDATION
        return Accuracy(
            operators=len(rows),
            mape=float(errors.mean()),
            within_5=float(np.mean(errors <= 0.05)),
            within_10=float(np.mean(errors <= 0.10)),
            spearman=_spearman(rows) if is_predicted else None,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the summary, that `from_json` reads back."""
        return {
            "method": self.method,
            "folds": self.folds,
            "overall": asdict(self.overall) if self.rows else None,
            "by_kind": {kind: asdict(found) for kind, found in self.by_kind.items()},
            "unanswered": [to_json(operator) for operator in self.unanswered],
            "coverage": [asdict(found) for found in self.coverage],
            "noise_ceiling": self.ceiling.to_json() if self.ceiling else None,
            "rows": [{**asdict(row), "operator": to_json(row.operator)} for row in self.rows],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> HeldOut:
        """The errors that `to_json` wrote.

        Raises:
            ArtefactError: A field is missing or unreadable.
        """
        try:
            return cls(
                data["method"],
                data["folds"],
                tuple(
                    HeldOutRow(**{**row, "operator": from_json(row["operator"])})
                    for row in data["rows"]
                ),
                tuple(map(from_json, data["unanswered"])),
                tuple(Coverage(**found) for found in data.get("coverage", ())),
                Ceiling.from_json(ceiling) if (ceiling := data.get("noise_ceiling")) else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtefactError(
                f"These are no held-out errors ({error!r}); fit again with: elat fit."
            ) from error


def held_out(
    table: LatencyTable, model_class: type[LatencyModel], *, folds: int = 5, seed: int
) -> HeldOut:
    """Errors of `model_class` on operators of `table` that it was not fitted to.

    The folds hold every kind in equal shares. Operators of one search space form a grid, so that
    this is the error between grid points, not beyond the grid. `lookup` cannot answer for what it
    lacks: its error is defined as the noise of the measurements.

    Raises:
        ConfigError: There are fewer than two folds, or too few operators for the model.
    """
    if issubclass(model_class, Lookup):
        return noise(table)
    return held_out_by(
        table, lambda kept: model_class.fit(kept, seed=seed), folds=folds, seed=seed
    )


def held_out_by(
    table: LatencyTable,
    fit: Callable[[LatencyTable], LatencyModel],
    *,
    folds: int = 5,
    seed: int,
) -> HeldOut:
    """The same of whatever model `fit` gives for the table without each fold.

    Raises:
        ConfigError: There are fewer than two folds, or too few operators for the model.
    """
    if folds < 2:
        raise ConfigError(f"{folds} folds were asked for; at least 2 are needed.")
    operators = list(table)
    fold_of = folds_of(operators, folds, seed)
    answers: dict[Operator, _Answer | None] = {}
    for fold in range(folds):
        held = [o for o, number in zip(operators, fold_of, strict=True) if number == fold]
        kept = [o for o, number in zip(operators, fold_of, strict=True) if number != fold]
        if held:
            model = fit(table.only(kept))
            answers |= dict(zip(held, _answers(model, held), strict=True))
    return _held_out(table, folds, {operator: answers[operator] for operator in operators})


def errors_of(
    model: LatencyModel, table: LatencyTable, operators: Sequence[Operator]
) -> NDArray[np.float64]:
    """Predicted over measured minus 1 of those of `operators` that `model` answers for."""
    answers = zip(operators, _answers(model, operators), strict=True)
    return np.array(
        [found.latency_ms / table[o] - 1 for o, found in answers if found is not None], np.float64
    )


def _held_out(
    table: LatencyTable, folds: int, answers: Mapping[Operator, _Answer | None]
) -> HeldOut:
    found = {operator: answer for operator, answer in answers.items() if answer is not None}
    return HeldOut(
        CROSS_VALIDATION,
        folds,
        tuple(_row(o, table[o], answer.latency_ms) for o, answer in found.items()),
        tuple(operator for operator, answer in answers.items() if answer is None),
        _coverage([(table[o], answer.limits_ms) for o, answer in found.items()]),
        noise_ceiling([table.entry(operator) for operator in found]),
    )


def noise(table: LatencyTable) -> HeldOut:
    """The deviation between launches over the mean, as the error of a table that is looked up."""
    rows = tuple(
        HeldOutRow(o, kind_of(o), e.mean_ms, e.mean_ms, e.std_ms / e.mean_ms)
        for o, e in table.entries.items()
    )
    ceiling = noise_ceiling(list(table.entries.values()))
    return HeldOut(NOISE, 0, rows, ceiling=ceiling)


def folds_of(operators: Iterable[Operator], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold, from 0, of each of `operators`: every kind is dealt out in equal shares."""
    kinds = np.array([kind_of(operator) for operator in operators])
    order = numpy_generator(seed, "held-out").permutation(len(kinds))
    dealt = order[np.argsort(kinds[order], kind="stable")]
    fold_of = np.empty(len(kinds), dtype=np.intp)
    fold_of[dealt] = np.arange(len(kinds)) % folds
    return fold_of


class _Answer(NamedTuple):
    """A prediction in ms, and its lower, upper and one-sided upper limit at each of `LEVELS`."""

    latency_ms: float
    limits_ms: tuple[tuple[float, float, float], ...]


def _answers(model: LatencyModel, operators: Sequence[Operator]) -> list[_Answer | None]:
    try:
        found = model.predict(operators)
    except MissingOperatorError:
        if len(operators) == 1:
            return [None]
        half = len(operators) // 2
        return [*_answers(model, operators[:half]), *_answers(model, operators[half:])]
    if found.limits is None:
        return [_Answer(latency, ()) for latency in found.latency_ms.tolist()]
    limits = [(*found.interval(level), found.upper(level)) for level in LEVELS]
    rows = np.array(limits).transpose(2, 0, 1).tolist()
    return [
        _Answer(latency, tuple(map(tuple, row)))
        for latency, row in zip(found.latency_ms.tolist(), rows, strict=True)
    ]


def _coverage(
    answers: Sequence[tuple[float, tuple[tuple[float, float, float], ...]]],
) -> tuple[Coverage, ...]:
    """How often the limits of measured operators held, at each of `LEVELS`."""
    if not all(limits for _, limits in answers) or not answers:
        return ()
    measured = np.array([ms for ms, _ in answers])
    low, high, upper = np.array([limits for _, limits in answers]).transpose(2, 1, 0)
    return tuple(
        Coverage(
            level,
            float(np.mean((low[index] <= measured) & (measured <= high[index]))),
            float(np.mean(measured <= upper[index])),
        )
        for index, level in enumerate(LEVELS)
    )


def _row(operator: Operator, measured: float, predicted: float) -> HeldOutRow:
    return HeldOutRow(operator, kind_of(operator), measured, predicted, predicted / measured - 1)


def _spearman(rows: Sequence[HeldOutRow]) -> float | None:
    """Rank correlation, or None for fewer than three rows or where all of a side are equal."""
    from scipy.stats import rankdata

    measured = rankdata([row.measured_ms for row in rows])
    predicted = rankdata([row.predicted_ms for row in rows])
    if len(rows) < 3 or np.ptp(measured) == 0 or np.ptp(predicted) == 0:
        return None
    return float(np.corrcoef(measured, predicted)[0, 1])
