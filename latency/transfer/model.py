"""The latency model of a new device: what is taken over from others, and a few samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..models.base import LatencyModel, Prediction
from ..models.features import answer
from ..models.limits import Conformal
from ..models.starts import Rows
from ..operators import Operator
from ..table import LatencyTable
from .candidates import AMPLITUDES, CANDIDATES, FREE, NOISE_SD, Candidate, Points, inverse_of

Vector = NDArray[np.float64]

LEAST_SAMPLES = 3
_SIMPLER = 1.05
_MEAN = "mean of all"


@dataclass(frozen=True, eq=False)
class Source:
    """A device that is known: its model, and the table that the model was fitted to."""

    device: str
    model: LatencyModel
    table: LatencyTable


@dataclass(frozen=True)
class Choice:
    """What leaving each sample out said of one candidate.

    Attributes:
        base: The source that is corrected, or `mean of all`.
        amplitude: How far the new device may differ from it, as a standard deviation of log(ms).
        error: Mean absolute log(measured) - log(predicted) of samples left out.
    """

    candidate: str
    base: str
    amplitude: float
    error: float


class Transferred(LatencyModel):
    """log(ms) = base + offset + a Gaussian process along what the candidate lets differ.

    Candidate, base and amplitude are chosen by the errors of samples left out, the simplest
    within a twentieth of the least. With few samples this choice flatters the errors a little; so
    the limits that follow from them are as many as there are samples, and wide.
    """

    def __init__(
        self, sources: Sequence[Source], table: LatencyTable, choices: tuple[Choice, ...]
    ) -> None:
        self._sources = tuple(sources)
        self._rows = Rows.of(_largest(sources).table)
        known = self._rows.features
        self._varied = np.ptp(known, axis=0) > 0
        self._centre = known[:, self._varied].mean(axis=0)
        self._scale = known[:, self._varied].std(axis=0)
        self.table = table
        self.choices = choices or self._examined()
        self.chosen = _simplest(self.choices)
        self._samples = self._points(list(table))
        candidate = next(c for c in CANDIDATES if c.name == self.chosen.candidate)
        self._candidate, self._amplitude = candidate, self.chosen.amplitude
        inverse, residuals = self._solved(self._samples, candidate, self.chosen)
        self._inverse = inverse
        self._duals = inverse @ residuals
        precision = np.diag(inverse)
        self._limits = Conformal.of(self._duals / precision, 1 / np.sqrt(precision))

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        raise ConfigError(
            "A model that is transferred needs others to start from: elat fit --device "
            f"{table.condition.device} --transfer-from DEVICE."
        )

    @classmethod
    def of(cls, sources: Sequence[Source], table: LatencyTable) -> Self:
        """The model of the device of `table`, whose operators are the samples.

        Raises:
            ConfigError: There is no source, origins differ, or there are too few samples.
            MissingOperatorError: A source cannot answer for a sample.
        """
        if not sources:
            raise ConfigError("Nothing to transfer from; name devices with --transfer-from.")
        origins = sorted({table.origin, *(source.table.origin for source in sources)})
        if len(origins) > 1:
            raise ConfigError(
                f"The latencies of {table.condition.device} are {table.origin}, those of its "
                f"sources {' and '.join(o for o in origins if o != table.origin)}: numbers of "
                "different origin never make one model. Take sources of one origin."
            )
        if len(table) < LEAST_SAMPLES:
            raise ConfigError(
                f"{len(table)} samples of {table.condition.device} are too few (at least "
                f"{LEAST_SAMPLES}); measure more with: elat measure --device "
                f"{table.condition.device}."
            )
        return cls(sources, table, ())

    @property
    def left_out_log(self) -> Vector:
        """log(measured) - log(predicted) of each sample, predicted from the others."""
        return np.asarray(self._duals / np.diag(self._inverse))

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Vector, Vector]:
        points = self._points(operators)
        shared = FREE + self._amplitude**2 * self._candidate.covariance(points, self._samples)
        own = np.array([self._own(points, index) for index in range(len(operators))])
        # Sums along rows, unlike matrix products, do not depend on what else is asked.
        mean = _base(points, self.chosen.base, self._names) + (shared * self._duals).sum(axis=1)
        explained = ((shared[:, :, None] * self._inverse[None]).sum(axis=1) * shared).sum(axis=1)
        return mean, np.sqrt(np.maximum(own - explained, 1e-9))

    def _own(self, points: Points, index: int) -> float:
        one = Points(points.logs[[index]], points.kinds[[index]], points.features[[index]])
        shared = float(self._candidate.covariance(one, one)[0, 0])
        return FREE + self._amplitude**2 * shared + NOISE_SD**2

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(source.device for source in self._sources)

    def _points(self, operators: list[Operator]) -> Points:
        logs = [np.log(source.model.predict(operators).latency_ms) for source in self._sources]
        features = self._rows.matrix(operators)[:, self._varied]
        kinds = self._rows.space.kind_indices(operators)
        return Points(np.stack(logs, axis=1), kinds, (features - self._centre) / self._scale)

    def _examined(self) -> tuple[Choice, ...]:
        """The best base and amplitude of every candidate."""
        samples = self._points(list(self.table))
        bases = self._names if len(self._names) == 1 else (_MEAN, *self._names)
        found = []
        for candidate in CANDIDATES:
            if "sources" in candidate.along and len(self._names) == 1 and candidate.along[1:]:
                continue
            options = [
                Choice(candidate.name, base, amplitude, 0.0)
                for base in bases
                for amplitude in (AMPLITUDES if candidate.along else (0.0,))
            ]
            rated = [
                Choice(o.candidate, o.base, o.amplitude, self._error(samples, candidate, o))
                for o in options
            ]
            found.append(min(rated, key=lambda choice: choice.error))
        return tuple(found)

    def _error(self, samples: Points, candidate: Candidate, choice: Choice) -> float:
        inverse, residuals = self._solved(samples, candidate, choice)
        left_out = (inverse @ residuals) / np.diag(inverse)
        return float(np.mean(np.abs(left_out)))

    def _solved(
        self, samples: Points, candidate: Candidate, choice: Choice
    ) -> tuple[Vector, Vector]:
        """Inverse covariance of the samples, and their residuals from the base."""
        entries = list(self.table.entries.values())
        noise = np.array([(e.std_ms / e.mean_ms) ** 2 / e.count for e in entries])
        inverse = inverse_of(candidate.covariance(samples, samples), choice.amplitude, noise)
        target = np.log([entry.mean_ms for entry in entries])
        return inverse, target - _base(samples, choice.base, self._names)


def _base(points: Points, base: str, names: Sequence[str]) -> Vector:
    if base in names:
        return np.asarray(points.logs[:, list(names).index(base)])
    return np.asarray(points.logs.sum(axis=1) / points.logs.shape[1])


def _largest(sources: Sequence[Source]) -> Source:
    return max(sources, key=lambda source: len(source.table))


def _simplest(choices: Sequence[Choice]) -> Choice:
    least = min(choice.error for choice in choices)
    return next(choice for choice in choices if choice.error <= _SIMPLER * least)
