"""How well a model answers for operators that it was not fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ConfigError, MissingOperatorError
from ...core.seeding import numpy_generator
from ..operators import Operator
from ..operators.serial import from_json, kind_of, to_json
from ..table import LatencyTable
from .base import LatencyModel
from .lookup import Lookup

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
class HeldOut:
    """The held-out errors of one model on one table.

    Attributes:
        method: `cross-validation`, or that the errors are the measurement noise.
        unanswered: Operators for which a model fitted without them could not answer (the only one
            of their kind, or with their activation).
    """

    method: str
    folds: int
    rows: tuple[HeldOutRow, ...]
    unanswered: tuple[Operator, ...] = ()

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
    if folds < 2:
        raise ConfigError(f"{folds} folds were asked for; at least 2 are needed.")
    operators = list(table)
    fold_of = _folds(operators, folds, seed)
    rows: list[HeldOutRow] = []
    unanswered: list[Operator] = []
    for fold in range(folds):
        held = [o for o, number in zip(operators, fold_of, strict=True) if number == fold]
        kept = [o for o, number in zip(operators, fold_of, strict=True) if number != fold]
        if not held:
            continue
        model = model_class.fit(table.only(kept), seed=seed)
        for operator, predicted in zip(held, _answers(model, held), strict=True):
            if predicted is None:
                unanswered.append(operator)
            else:
                rows.append(_row(operator, table[operator], predicted))
    order = {operator: index for index, operator in enumerate(operators)}
    rows.sort(key=lambda row: order[row.operator])
    return HeldOut(CROSS_VALIDATION, folds, tuple(rows), tuple(unanswered))


def noise(table: LatencyTable) -> HeldOut:
    """The deviation between launches over the mean, as the error of a table that is looked up."""
    rows = tuple(
        HeldOutRow(o, kind_of(o), e.mean_ms, e.mean_ms, e.std_ms / e.mean_ms)
        for o, e in table.entries.items()
    )
    return HeldOut(NOISE, 0, rows)


def _folds(operators: Iterable[Operator], folds: int, seed: int) -> NDArray[np.intp]:
    kinds = np.array([kind_of(operator) for operator in operators])
    order = numpy_generator(seed, "held-out").permutation(len(kinds))
    dealt = order[np.argsort(kinds[order], kind="stable")]
    fold_of = np.empty(len(kinds), dtype=np.intp)
    fold_of[dealt] = np.arange(len(kinds)) % folds
    return fold_of


def _answers(model: LatencyModel, operators: Sequence[Operator]) -> list[float | None]:
    try:
        return list(model.predict(operators).latency_ms.tolist())
    except MissingOperatorError:
        if len(operators) == 1:
            return [None]
        return [answer for operator in operators for answer in _answers(model, [operator])]


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
