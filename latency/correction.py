"""What operators cost in a network beyond what they did alone, learnt from whole networks.

A sum of operators timed one by one misses what neighbours do to each other: fused additions, warm
caches, calls that a network pays once. Part of it goes with what an operator *is*: every block of
one expansion, every kernel of one size is off by the same. So the latency of a network is taken as

    intercept + slope * sum + corrections, where an operator o adds
    ms(o) * (own(o) + sum of share over its traits) + sum of fixed over its traits
      + traffic * elements(o) + weights * params(o).

All of it is a sum over operators, so that E[LAT] stays an exact expectation. There are more
coefficients than networks: each has a normal prior around 0 of one common deviation, which is
chosen by leave-one-out, and only slope and intercept are free (ridge regression; Rasmussen and
Williams 2006, *Gaussian Processes for Machine Learning*, section 2.7 for explicit basis functions
with a wide prior and 5.4.2 for leave-one-out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ArtefactError
from .counts import busy_operators, operator_counts
from .operators import Operator
from .operators.serial import from_json, kind_of, to_json

Vector = NDArray[np.float64]

_FREE = 1e6
_DEVIATIONS = np.logspace(-1, 4, 16)
_MOST_VALUES = 8


@dataclass(frozen=True)
class Trait:
    """What some operators have in common: their kind, or a value of one of its fields.

    Attributes:
        field: Of the operator's class; empty for the kind itself.
        value: As text.
    """

    kind: str
    field: str = ""
    value: str = ""

    def is_of(self, operator: Operator) -> bool:
        """Whether `operator` has it."""
        if kind_of(operator) != self.kind:
            return False
        return not self.field or str(getattr(operator, self.field, None)) == self.value


@dataclass(frozen=True, eq=False)
class Correction:
    """Coefficients of the corrections; what none of them is about is not corrected.

    Attributes:
        traits: That operators of the measured networks have.
        shares: Of each trait, as a share of the operator's own latency; and
        fixed_ms: in ms an operator.
        own: Of each operator that was in a measured network, as a share of its latency.
        traffic_ms: In ms an element that is read or written (`Operator.traffic_elements`).
        params_ms: In ms a parameter.
    """

    traits: tuple[Trait, ...]
    shares: tuple[float, ...]
    fixed_ms: tuple[float, ...]
    own: Mapping[Operator, float]
    traffic_ms: float
    params_ms: float

    def costs(self, operators: Sequence[Operator], latency_ms: Vector) -> Vector:
        """What to add to the calibrated cost of each of `operators`, in ms, `(operators,)`."""
        has = _has(self.traits, operators)
        share = has @ np.asarray(self.shares) + [self.own.get(o, 0.0) for o in operators]
        moved = np.array([o.traffic_elements * self.traffic_ms for o in operators])
        held = np.array([o.params * self.params_ms for o in operators])
        found = share * latency_ms + has @ np.asarray(self.fixed_ms) + moved + held
        is_busy = np.array([not operator.is_free for operator in operators])
        return np.where(is_busy, found, 0.0)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "traits": [
                {"kind": t.kind, "field": t.field, "value": t.value, "share": s, "fixed_ms": f}
                for t, s, f in zip(self.traits, self.shares, self.fixed_ms, strict=True)
            ],
            "own": [{"operator": to_json(o), "share": share} for o, share in self.own.items()],
            "traffic_ms": self.traffic_ms,
            "params_ms": self.params_ms,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Correction:
        """The correction that `to_json` wrote.

        Raises:
            ArtefactError: A field is missing or unreadable.
        """
        try:
            rows = data["traits"]
            return cls(
                tuple(Trait(row["kind"], row["field"], row["value"]) for row in rows),
                tuple(float(row["share"]) for row in rows),
                tuple(float(row["fixed_ms"]) for row in rows),
                {from_json(row["operator"]): float(row["share"]) for row in data["own"]},
                float(data["traffic_ms"]),
                float(data["params_ms"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(
                f"This is no correction of a calibration ({error!r}); make it again with: "
                "elat calibrate."
            ) from error


@dataclass(frozen=True, eq=False)
class CorrectedFit:
    """A correction with the free terms that it goes with.

    Attributes:
        errors: Signed relative error of each network by a fit without it, whose prior was chosen
            without it, too.
        after: The same by the fit itself.
    """

    correction: Correction
    slope: float
    intercept_ms: float
    errors: Vector
    after: Vector


def fit_correction(
    networks: Sequence[Sequence[Operator]],
    latency_ms: Mapping[Operator, float],
    measured_ms: Vector,
) -> CorrectedFit:
    """The corrected sum of `networks`, in relative terms.

    Args:
        networks: The operators of each.
        latency_ms: Of every operator of them that is not free.
        measured_ms: What was measured of each, `(networks,)`, above 0.
    """
    design = _Design.of(networks, latency_ms)
    free = np.stack([design.sums, np.full_like(measured_ms, measured_ms.mean())], axis=1)
    centre = design.columns.mean(axis=0)
    x, base = (design.columns - centre) / measured_ms[:, None], free / measured_ms[:, None]
    outer, inner = _FREE * (base @ base.T), x @ x.T
    inverses = [np.linalg.inv(outer + d * inner + np.eye(len(x))) for d in _DEVIATIONS]
    own = np.array([np.abs(_left_out(inverse)).mean() for inverse in inverses])
    best = int(np.argmin(own))
    chosen = np.argmin([_without_each(inverse) for inverse in inverses], axis=0)
    errors = np.array([-_left_out(inverses[d])[index] for index, d in enumerate(chosen)])
    weights = inverses[best].sum(axis=1)
    slope, level = _FREE * (base.T @ weights)
    found = _DEVIATIONS[best] * (x.T @ weights)
    intercept = float(level * measured_ms.mean() - centre @ found)
    after = (design.columns @ found + slope * design.sums + intercept) / measured_ms - 1
    return CorrectedFit(design.correction(found), float(slope), intercept, errors, after)


@dataclass(frozen=True, eq=False)
class _Design:
    """The columns of the correction, in ms at a coefficient of 1, and how they become one."""

    operators: tuple[Operator, ...]
    traits: tuple[Trait, ...]
    sums: Vector
    columns: Vector
    scales: Vector

    @classmethod
    def of(
        cls, networks: Sequence[Sequence[Operator]], latency_ms: Mapping[Operator, float]
    ) -> _Design:
        operators = busy_operators(networks)
        counts = operator_counts(networks, operators)
        ms = np.array([latency_ms[o] for o in operators])
        traits = _traits(operators)
        has = _has(traits, operators)
        sizes = np.array([[o.traffic_elements, o.params] for o in operators], np.float64)
        # A typical operator's latency for each, so that one prior suits all.
        per_size = ms.mean() / np.maximum(sizes.mean(axis=0), 1.0)
        each = [ms[:, None] * has, ms.mean() * has, np.diag(ms), sizes * per_size]
        scales = np.concatenate([[ms.mean()], per_size])
        return cls(operators, traits, counts @ ms, counts @ np.hstack(each), scales)

    def correction(self, found: Vector) -> Correction:
        """The correction whose coefficients of `columns` are `found`."""
        many, each = len(self.traits), len(self.operators)
        shares, fixed, own, sizes = np.split(found, [many, 2 * many, 2 * many + each])
        traffic_ms, params_ms = (sizes * self.scales[1:]).tolist()
        return Correction(
            self.traits,
            tuple(shares.tolist()),
            tuple((fixed * self.scales[0]).tolist()),
            dict(zip(self.operators, own.tolist(), strict=True)),
            traffic_ms,
            params_ms,
        )


def _traits(operators: Sequence[Operator]) -> tuple[Trait, ...]:
    """What divides `operators`: kinds, and fields with a few values."""
    values: dict[tuple[str, str], dict[str, None]] = {}
    for operator in operators:
        for field in fields(operator):
            seen = values.setdefault((kind_of(operator), field.name), {})
            seen[str(getattr(operator, field.name))] = None
    kinds = sorted({kind for kind, _ in values})
    found = [Trait(kind) for kind in kinds] if len(kinds) > 1 else []
    for (kind, name), seen in values.items():
        if 2 <= len(seen) <= _MOST_VALUES:
            found += [Trait(kind, name, value) for value in sorted(seen)]
    return tuple(found)


def _has(traits: Sequence[Trait], operators: Sequence[Operator]) -> Vector:
    """1 where an operator has a trait, `(operators, traits)`."""
    rows = [[float(trait.is_of(operator)) for trait in traits] for operator in operators]
    return np.array(rows).reshape(len(operators), len(traits))


def _left_out(inverse: Vector) -> Vector:
    """Residual of each network's target, 1, by a fit to the others, from the inverse kernel."""
    return np.asarray(inverse.sum(axis=1) / np.diag(inverse))


def _without_each(inverse: Vector) -> Vector:
    """Mean absolute `_left_out` of the others for each network taken away, `(networks,)`.

    The inverse without row and column i follows from the whole one by one step of elimination.
    """
    sums, diagonal = inverse.sum(axis=1), np.diag(inverse)
    left = sums[None, :] - inverse * (sums / diagonal)[:, None]
    spread = diagonal[None, :] - inverse**2 / diagonal[:, None]
    np.fill_diagonal(spread, 1.0)
    residuals = np.abs(left / spread)
    np.fill_diagonal(residuals, 0.0)
    return np.asarray(residuals.sum(axis=1) / (len(inverse) - 1))
