"""Where a model of residuals starts: a first guess of log(ms), and features to correct it by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..condition import Condition
from ..operators import Operator
from ..table import LatencyTable
from .executed_features import ExecutedSpace
from .features import FeatureSpace, Matrix, log_targets
from .layout_features import difference_method
from .log_ridge import LogRidge
from .noise import noise_weights, standard_errors

MANY = 2000
"""Operators beyond which models save effort."""


def features_version(condition: Condition) -> int:
    """The number of the features that models of `condition` are fitted to.

    It is raised where they change, so that models fitted to older ones are told apart: 1 are those
    of an operator alone, 2 add what is left of a difference of models.
    """
    return 1 if difference_method(condition) is None else 2


@dataclass(frozen=True, eq=False)
class Rows:
    """A table as numbers.

    Attributes:
        features: Attributes and costs, then what is executed, `(operators, columns)`.
        kinds: By position in `space.kinds`, `(operators,)`.
        target: log(ms), and `errors` the relative standard error of each.
    """

    space: FeatureSpace
    executed: ExecutedSpace
    features: Matrix
    kinds: NDArray[np.intp]
    target: Matrix
    errors: Matrix

    @classmethod
    def of(cls, table: LatencyTable) -> Rows:
        """The rows of `table`, in its order.

        Raises:
            ConfigError: The table is too small to learn from.
        """
        operators = list(table)
        space = FeatureSpace.of(table)
        method = difference_method(table.condition)
        executed = ExecutedSpace.of(operators, space.element_bytes, method)
        features = np.hstack([space.matrix(operators), executed.matrix(operators)])
        kinds = space.kind_indices(operators)
        return cls(space, executed, features, kinds, log_targets(table), standard_errors(table))

    def matrix(self, operators: Sequence[Operator]) -> Matrix:
        """Features of `operators`, none of them free.

        Raises:
            MissingOperatorError: One is of a kind, or has a choice, that was not seen.
        """
        return np.hstack([self.space.matrix(operators), self.executed.matrix(operators)])


class Start(ABC):
    """A first guess.

    Attributes:
        residuals: log(ms) minus the guess made without each operator, `(operators,)`.
        weights: What each counts, 1 on average.
    """

    residuals: Matrix
    weights: Matrix

    @abstractmethod
    def predict_log(self, operators: Sequence[Operator]) -> Matrix:
        """The guess of log(ms) of `operators`, none of them free.

        Raises:
            MissingOperatorError: It cannot tell for one.
        """


class RidgeStart(Start):
    """A ridge regression of log(ms) on attributes and costs."""

    def __init__(self, table: LatencyTable, *, is_quadratic: bool) -> None:
        self._ridge = LogRidge.fit(table, is_quadratic=is_quadratic)
        self.residuals = self._ridge.residuals
        self.weights = self._ridge.weights

    def predict_log(self, operators: Sequence[Operator]) -> Matrix:
        return self._ridge.predict_log(operators)


class NominalStart(Start):
    """What the executed loops take nominally, times one factor for the whole table."""

    def __init__(self, rows: Rows, operators: Sequence[Operator]) -> None:
        self._executed = rows.executed
        plain = rows.target - np.log(self._executed.nominal_us(operators))
        spread = plain - np.median(plain)
        self.weights = noise_weights(spread, rows.errors)
        self._level = float(np.average(plain, weights=self.weights))
        self.residuals = plain - self._level

    def predict_log(self, operators: Sequence[Operator]) -> Matrix:
        return self._level + np.log(self._executed.nominal_us(operators))


def starts_of(rows: Rows, table: LatencyTable, *, is_quadratic: bool) -> tuple[Start, ...]:
    """The guesses to choose from; for more than 2,000 operators the nominal time alone.

    So many tell trees what a regression would, and it would take most of the time.

    Raises:
        ConfigError: The table is too small to learn from.
    """
    nominal = NominalStart(rows, list(table))
    if len(table) > MANY:
        return (nominal,)
    return (RidgeStart(table, is_quadratic=is_quadratic), nominal)
