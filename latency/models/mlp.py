"""Small neural networks on what a first guess of log(ms) leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import Prediction, StoredModel
from .features import Matrix, answer, spread_by_kind
from .limits import Conformal
from .networks import Networks, cross_trained
from .starts import NominalStart, Rows


@latency_models.register("mlp")
class Mlp(StoredModel):
    """The mean of five networks that correct the nominal time of what is executed.

    They have a linear path, so that they hold a ridge regression; starting at the residual of one
    was worse on generated operators (docs/predicting.md). The deviation is the cross-validation
    error of the kind.
    """

    def __init__(
        self, rows: Rows, start: NominalStart, networks: Networks, errors: Matrix
    ) -> None:
        self._rows = rows
        self._start = start
        self._networks = networks
        self._errors = errors
        self._spread = spread_by_kind(errors, rows.kinds, len(rows.space.kinds))
        self._limits = Conformal.of(errors, self._spread[rows.kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        rows = Rows.of(table)
        start = NominalStart(rows, list(table))
        networks, errors = cross_trained(
            table, rows.features, start.residuals, start.weights, seed
        )
        return cls(rows, start, networks, errors)

    @classmethod
    def restored(
        cls, table: LatencyTable, seed: int, state: Mapping[str, NDArray[np.float64]]
    ) -> Self:
        del seed
        rows = Rows.of(table)
        start = NominalStart(rows, list(table))
        return cls(rows, start, Networks.of_arrays(state), state["errors"])

    def state(self) -> dict[str, NDArray[np.float64]]:
        return {**self._networks.arrays(), "errors": self._errors}

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        steps = self._networks.votes(self._rows.matrix(operators)).mean(axis=1)
        spread = self._spread[self._rows.space.kind_indices(operators)]
        return self._start.predict_log(operators) + steps, spread
