"""Small neural networks whose latency never falls as work or traffic rises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import Prediction, StoredModel
from .features import COST_NAMES, FeatureSpace, Matrix, answer, log_targets, spread_by_kind
from .limits import Conformal
from .networks import Networks, cross_trained
from .noise import noise_weights, standard_errors

RISING = frozenset({"macs", "params", "traffic_bytes", "input", "output"})
"""Costs in which the latency does not fall, everything else being equal."""


@latency_models.register("mlp-monotone")
class MonotoneMlp(StoredModel):
    """Five networks on attributes and costs, monotone in multiply-adds, parameters and bytes.

    All other features being equal: an operator with more channels differs in its channels, too,
    in which the networks are free. Arithmetic intensity is left out, as it falls where bytes rise.
    The deviation is the cross-validation error of the kind.
    """

    def __init__(
        self, space: FeatureSpace, kinds: NDArray[np.intp], networks: Networks, errors: Matrix
    ) -> None:
        self._space = space
        self._networks = networks
        self._errors = errors
        self._spread = spread_by_kind(errors, kinds, len(space.kinds))
        self._limits = Conformal.of(errors, self._spread[kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        operators, space = list(table), FeatureSpace.of(table)
        features, target = _features(space, operators), log_targets(table)
        weights = noise_weights(target - np.median(target), standard_errors(table))
        rising = np.zeros(features.shape[1], bool)
        rising[_columns(space, RISING)] = True
        networks, errors = cross_trained(table, features, target, weights, seed, rising=rising)
        return cls(space, space.kind_indices(operators), networks, errors)

    @classmethod
    def restored(
        cls, table: LatencyTable, seed: int, state: Mapping[str, NDArray[np.float64]]
    ) -> Self:
        del seed
        space = FeatureSpace.of(table)
        networks = Networks.of_arrays(state)
        return cls(space, space.kind_indices(list(table)), networks, state["errors"])

    def state(self) -> dict[str, NDArray[np.float64]]:
        return {**self._networks.arrays(), "errors": self._errors}

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        logs = self._networks.votes(_features(self._space, operators)).mean(axis=1)
        return logs, self._spread[self._space.kind_indices(operators)]


def _features(space: FeatureSpace, operators: Sequence[Operator]) -> Matrix:
    features = space.matrix(operators)
    features[:, _columns(space, {"intensity"})] = 0.0
    return features


def _columns(space: FeatureSpace, names: frozenset[str] | set[str]) -> list[int]:
    return [len(space.kinds) + i for i, name in enumerate(COST_NAMES) if name in names]
