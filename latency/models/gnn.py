"""Graph networks over the primitives that are executed for an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..graph_ensemble import GraphNetworks
from ..graph_network import Descent
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import Prediction, StoredModel
from .crossing import Crossing
from .features import FeatureSpace, Matrix, answer, log_targets, spread_by_kind
from .gnn_graphs import OperatorGraphs
from .limits import Conformal
from .starts import NominalStart, Rows

_DESCENT = Descent(steps=200, rate=0.01, decay=0.1, batch=512)
_HIDDEN, _ROUNDS = 24, 2
_ERRORS, _APART = "errors", "apart"


@latency_models.register("gnn")
class Gnn(StoredModel):
    """The mean of five graph networks that correct the nominal time of each primitive.

    An operator takes the sum of its primitives' nominal times, each multiplied by what the network
    says of it and of those before and behind. The deviation joins how far the five lie apart with
    the cross-validation error of the kind.
    """

    def __init__(
        self, table: LatencyTable, networks: GraphNetworks, errors: Matrix, apart: Matrix
    ) -> None:
        operators, space = list(table), FeatureSpace.of(table)
        self._graphs = OperatorGraphs.of(space, operators)
        self._networks = networks
        self._errors, self._apart = errors, apart
        kinds = space.kind_indices(operators)
        self._spread = spread_by_kind(errors, kinds, len(space.kinds))
        self._limits = Conformal.of(errors, np.hypot(self._spread[kinds], apart))

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        operators, target = list(table), log_targets(table)
        graphs = OperatorGraphs.of(FeatureSpace.of(table), operators).graphs(operators)
        crossing = Crossing.of(table, seed)
        counts = crossing.counts(NominalStart(Rows.of(table), operators).weights)
        wanted = np.tile(target[:, None], (1, counts.shape[1]))
        trained = GraphNetworks.trained(
            graphs, wanted, counts, seed, _DESCENT, hidden=_HIDDEN, rounds=_ROUNDS
        )
        held = crossing.held(trained.only(~crossing.sees_all).votes(graphs))
        errors, apart = target - held.mean(axis=1), held.std(axis=1, ddof=1)
        return cls(table, trained.only(crossing.sees_all), errors, apart)

    @classmethod
    def restored(
        cls, table: LatencyTable, seed: int, state: Mapping[str, NDArray[np.float64]]
    ) -> Self:
        del seed
        return cls(table, GraphNetworks.of_arrays(state), state[_ERRORS], state[_APART])

    def state(self) -> dict[str, NDArray[np.float64]]:
        return {**self._networks.arrays(), _ERRORS: self._errors, _APART: self._apart}

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        graphs = self._graphs.graphs(operators)
        # One at a time: the last bits depend on what else is asked.
        votes = [self._networks.votes(graphs.only(np.array([i]))) for i in range(len(operators))]
        found = np.concatenate(votes)
        spread = self._spread[self._graphs.space.kind_indices(operators)]
        return found.mean(axis=1), np.hypot(spread, found.std(axis=1, ddof=1))
