"""Latency of whole networks: the sum over operators, corrected by measured networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.errors import MissingLatencyError
from .calibration import Calibration
from .counts import busy_operators
from .models import LatencyModel
from .operators import Operator
from .operators.chain import Chain
from .operators.dag import Dag

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkPrediction:
    """Latency of a network in milliseconds, and its standard deviation.

    Attributes:
        calibration: Whose errors on networks left out give limits; None without.
        macs: Multiply-adds of the network.
    """

    latency_ms: float
    std_ms: float
    calibration: Calibration | None = field(default=None, repr=False)
    macs: int = 0

    def upper(self, level: float) -> float:
        """Latency in ms that a share of `level` of all networks like those measured keep below.

        Raises:
            ConfigError: `level` is not between 0 and 1, or too few networks were measured for it.
            MissingLatencyError: None was: a plain sum states no limits.
        """
        return self.latency_ms * self._known.upper_factor(level)

    def upper_of_pick(self, level: float) -> float:
        """The same of networks of this latency and these MACs: it holds for one that was picked.

        Raises:
            ConfigError: As `upper`; or the calibration kept no multiply-adds.
            MissingLatencyError: As `upper`.
        """
        at, macs = np.array([self.latency_ms]), np.array([float(self.macs)])
        return float(self._known.upper_of_picks(at, macs, level)[0])

    def interval(self, level: float) -> tuple[float, float]:
        """Lowest and highest latency in ms between which a share of `level` lies; see `upper`.

        Raises:
            ConfigError: As `upper`.
            MissingLatencyError: As `upper`.
        """
        factor = self._known.interval_factor(level)
        return self.latency_ms / factor, self.latency_ms * factor

    def tells(self, level: float) -> bool:
        """Whether `upper` and `interval` know a limit of `level`."""
        return self.calibration is not None and self.calibration.tells(level)

    @property
    def _known(self) -> Calibration:
        if self.calibration is None:
            raise MissingLatencyError(
                "Nothing is known of how far sums over operators lie from whole networks; measure "
                "some with: elat calibrate --device DEVICE --space SPACE."
            )
        return self.calibration


class NetworkLatency:
    """Latency of networks whose operators run one after another, by a latency model.

    It stays additive: the latency of a network is `intercept_ms` plus the sum of
    `additive_costs` over its operators, so that E[LAT] over choices of operators is exact.

    Args:
        model: Answers for operators.
        calibration: Learnt from measured networks; without one, the plain sum.
    """

    def __init__(self, model: LatencyModel, calibration: Calibration | None = None) -> None:
        self._model = model
        self._calibration = calibration

    @property
    def model(self) -> LatencyModel:
        return self._model

    @property
    def calibration(self) -> Calibration | None:
        return self._calibration

    @property
    def intercept_ms(self) -> float:
        """What every network costs besides its operators."""
        return self._calibration.intercept_ms if self._calibration else 0.0

    def additive_costs(self, operators: Sequence[Operator]) -> Vector:
        """What each of `operators` adds to a network's latency, in milliseconds; 0 if free.

        Raises:
            MissingOperatorError: The model cannot answer for one of them.
        """
        return self._corrected(operators, self._model.predict(operators).latency_ms)

    def predict(self, operators: Sequence[Operator] | Chain | Dag) -> NetworkPrediction:
        """Latency of the network of `operators`, one after another.

        Raises:
            MissingOperatorError: The model cannot answer for one of them.
        """
        return self.predict_many([operators])[0]

    def upper(self, operators: Sequence[Operator] | Chain | Dag, level: float) -> float:
        """Latency in ms that a share of `level` of networks like this one keep below.

        Raises:
            MissingOperatorError: The model cannot answer for one of the operators.
            MissingLatencyError: There is no calibration.
            ConfigError: Its networks are too few for `level`.
        """
        return self.predict(operators).upper(level)

    def interval(
        self, operators: Sequence[Operator] | Chain | Dag, level: float
    ) -> tuple[float, float]:
        """Lowest and highest latency in ms between which a share of `level` lies; see `upper`."""
        return self.predict(operators).interval(level)

    def predict_many(
        self, networks: Sequence[Sequence[Operator] | Chain | Dag]
    ) -> list[NetworkPrediction]:
        """Latency of each of `networks`; every distinct operator is asked for once.

        With a calibration the deviation is that of its leave-one-out errors, else that of the sum
        of independent operators.

        Raises:
            MissingOperatorError: The model cannot answer for one of the operators.
        """
        parts = [n.operators if isinstance(n, Chain | Dag) else tuple(n) for n in networks]
        distinct = list(dict.fromkeys(operator for part in parts for operator in part))
        position = {operator: index for index, operator in enumerate(distinct)}
        found = self._model.predict(distinct)
        costs = self._corrected(distinct, found.latency_ms)
        predictions = []
        for part in parts:
            chosen = [position[operator] for operator in part]
            latency = self.intercept_ms + float(costs[chosen].sum())
            if self._calibration is None:
                std = float(np.sqrt(np.sum(found.std_ms[chosen] ** 2)))
            else:
                std = self._calibration.spread * abs(latency)
            macs = sum(operator.macs for operator in part)
            predictions.append(NetworkPrediction(latency, std, self._calibration, macs))
        return predictions

    def _corrected(self, operators: Sequence[Operator], latency_ms: Vector) -> Vector:
        if self._calibration is None:
            return latency_ms
        return self._calibration.costs(operators, latency_ms)


def calibrate(
    model: LatencyModel,
    networks: Sequence[Sequence[Operator] | Chain | Dag],
    measured_ms: Sequence[float],
) -> Calibration:
    """The calibration of `model` to measured networks.

    Args:
        model: Answers for the operators of the networks.
        networks: The operators of each.
        measured_ms: What was measured of each, under the model's condition.

    Raises:
        MissingOperatorError: The model cannot answer for one of the operators.
        ConfigError: There are too few networks.
    """
    parts = [tuple(n.operators if isinstance(n, Chain | Dag) else n) for n in networks]
    distinct = busy_operators(parts)
    known = dict(zip(distinct, model.predict(distinct).latency_ms.tolist(), strict=True))
    plain = Calibration.of_networks(parts, known, measured_ms)
    return plain.corrected(parts, known, measured_ms)
