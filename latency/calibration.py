"""Corrections of the sum over operators, learnt from measured networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import exp, log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ArtefactError, ConfigError
from .correction import Correction, fit_correction
from .models.limits import checked_level, rank_of
from .operators import Operator
from .picked_errors import PickedErrors, networks_for, told_rank
from .robust_fit import RobustFit, robust_fit

Vector = NDArray[np.float64]

MIN_NETWORKS = 4
FORMS = ("slope", "affine", "affine+count")
CORRECTED = "corrected"
CORRECTION = "correction"
NETWORKS = ("macs", "measured_ms")
CORRECTED_FROM = 12
"""Measured networks from which on a correction is tried."""
_WORTH = 0.98
_CORRECTION_WORTH = 0.95


@dataclass(frozen=True)
class Calibration:
    """latency = intercept + slope * (sum over operators) + per_operator * (operators not free).

    To which a correction of each operator may come (`correction.py`).

    Attributes:
        form: Which of these terms were fitted, by leave-one-out: `slope`, `affine` (and the
            intercept), `affine+count` (and the cost per operator), `corrected` (intercept, slope
            and the correction); the others are 0.
        slope: Above 0.
        intercept_ms: What a network costs besides its operators; at least 0 but for `corrected`.
        per_operator_ms: What every operator costs more in a network than it did alone; negative
            where the operators were timed with an overhead that a network does not pay.
        networks: Number of measured networks.
        mape_before: Mean absolute relative error of the plain sum, in [0, 1] as are all errors.
        mape_after: The same of the calibrated sum, on the networks it was fitted to.
        errors: Signed relative error of each network by a calibration fitted without it.
        loo_by_form: Mean absolute of these errors for every form that was tried.
        macs: Of each network, and `measured_ms` what was measured of it; none where these were
            not kept.
    """

    form: str
    slope: float
    intercept_ms: float
    per_operator_ms: float
    networks: int
    mape_before: float
    mape_after: float
    errors: tuple[float, ...]
    loo_by_form: dict[str, float]
    correction: Correction | None = field(default=None, compare=False)
    macs: tuple[float, ...] = ()
    measured_ms: tuple[float, ...] = ()

    def corrected(
        self,
        networks: Sequence[Sequence[Operator]],
        latency_ms: Mapping[Operator, float],
        measured_ms: Sequence[float],
    ) -> Calibration:
        """This calibration, or one with a correction where that is better by a twentieth.

        Better by the errors of networks left out; few networks are not corrected.

        Args:
            networks: The operators of each network that this was fitted to.
            latency_ms: Of every operator of them that is not free.
            measured_ms: What was measured of each.
        """
        if len(networks) < CORRECTED_FROM:
            return self
        found = fit_correction(networks, latency_ms, np.asarray(measured_ms, np.float64))
        loo = float(np.mean(np.abs(found.errors)))
        known = replace(self, loo_by_form={**self.loo_by_form, CORRECTED: loo})
        if found.slope <= 0 or loo >= _CORRECTION_WORTH * self.loo_mape:
            return known
        return replace(
            known,
            form=CORRECTED,
            slope=found.slope,
            intercept_ms=found.intercept_ms,
            per_operator_ms=0.0,
            mape_after=float(np.mean(np.abs(found.after))),
            errors=tuple(found.errors.tolist()),
            correction=found.correction,
        )

    def costs(self, operators: Sequence[Operator], latency_ms: Vector) -> Vector:
        """What each of `operators` adds to a network, in ms; 0 if free."""
        is_busy = np.array([not operator.is_free for operator in operators], np.float64)
        costs: Vector = self.slope * latency_ms + self.per_operator_ms * is_busy
        return (
            costs
            if self.correction is None
            else costs + self.correction.costs(operators, latency_ms)
        )

    @classmethod
    def of_networks(
        cls,
        networks: Sequence[Sequence[Operator]],
        latency_ms: Mapping[Operator, float],
        measured_ms: Sequence[float],
    ) -> Calibration:
        """The calibration of networks by their operators, without a correction; see `fit`.

        Args:
            networks: The operators of each.
            latency_ms: Of every operator of them that is not free.
            measured_ms: What was measured of each.

        Raises:
            ConfigError: There are too few networks, or latencies are not above 0.
        """
        busy = [[operator for operator in network if not operator.is_free] for network in networks]
        sums = [sum(latency_ms[operator] for operator in network) for network in busy]
        macs = [sum(operator.macs for operator in network) for network in networks]
        return cls.fit(sums, list(map(len, busy)), measured_ms, macs)

    @classmethod
    def fit(
        cls,
        sums_ms: Sequence[float],
        counts: Sequence[int],
        measured_ms: Sequence[float],
        macs: Sequence[float] = (),
    ) -> Calibration:
        """The calibration of networks, robust (Huber 1964) and in relative terms.

        Args:
            sums_ms: Sum of the predicted latencies of each network's operators.
            counts: Number of each network's operators that are not free.
            measured_ms: What was measured of each network.
            macs: Multiply-adds of each; without, no limits of picks are known.

        Raises:
            ConfigError: There are too few networks, or latencies are not above 0.
        """
        sums, measured = np.asarray(sums_ms, np.float64), np.asarray(measured_ms, np.float64)
        number = np.asarray(counts, np.float64)
        if not (len(sums) == len(number) == len(measured)) or len(sums) < MIN_NETWORKS:
            raise ConfigError(
                f"A calibration needs at least {MIN_NETWORKS} measured networks, each with its "
                f"sum; found {len(sums)} sums, {len(number)} counts and {len(measured)} "
                "measurements. Measure more with: elat calibrate --networks N."
            )
        if not (np.all(np.isfinite(sums) & (sums > 0)) and np.all(measured > 0)):
            raise ConfigError("A calibration needs sums and measured latencies above 0 ms.")
        design = np.stack([sums, np.ones_like(sums), number], axis=1)
        fits = {
            form: robust_fit(design[:, :terms], measured)
            for terms, form in enumerate(FORMS, start=1)
            if len(sums) >= terms + 2
        }
        form = _best_form(fits)
        chosen = fits[form].coefficients
        slope, intercept, per_operator = (*chosen.tolist(), 0.0, 0.0)[:3]
        after = design[:, : len(chosen)] @ chosen
        return cls(
            form=form,
            slope=slope,
            intercept_ms=intercept,
            per_operator_ms=per_operator,
            networks=len(sums),
            mape_before=float(np.mean(np.abs(sums / measured - 1))),
            mape_after=float(np.mean(np.abs(after / measured - 1))),
            errors=tuple(fits[form].errors.tolist()),
            loo_by_form={known: fit.loo_mape for known, fit in fits.items()},
            macs=tuple(map(float, macs)),
            measured_ms=tuple(measured.tolist()) if len(macs) else (),
        )

    @property
    def loo_mape(self) -> float:
        """Mean absolute leave-one-out error of the chosen form."""
        return self.loo_by_form[self.form]

    @property
    def spread(self) -> float:
        """Root mean square of the leave-one-out errors: the relative deviation of a prediction."""
        return float(np.sqrt(np.mean(np.square(self.errors))))

    def upper_factor(self, level: float) -> float:
        """What a prediction is multiplied by so that a share of `level` keep below it.

        The order statistic of the errors of networks left out (Barber et al. 2021, "Predictive
        inference with the jackknife+"; the guarantee of conformal prediction is near, not exact).
        It is about networks drawn like those measured: of networks that a search picked because
        they seemed fast enough, more pass it; see `upper_of_picks`.

        Raises:
            ConfigError: `level` is not between 0 and 1, or there are too few networks for it.
        """
        return self._factor([-log1p(error) for error in self.errors], level)

    def interval_factor(self, level: float) -> float:
        """The same to both sides: a share of `level` lies between prediction / and * factor.

        Raises:
            ConfigError: As `upper_factor`.
        """
        return self._factor([abs(log1p(error)) for error in self.errors], level)

    def upper_of_picks(self, predicted_ms: Vector, macs: Vector, level: float) -> Vector:
        """Latencies in ms that `level` of the networks predicted so keep below, also if picked.

        Args:
            predicted_ms: Above 0.
            macs: Multiply-adds of the same networks.
            level: Between 0 and 1.

        Raises:
            ConfigError: As `upper_factor`; or the calibration kept no multiply-adds.
        """
        margin = self._picked.margin(predicted_ms, macs, level)
        return np.asarray(predicted_ms * np.exp(margin))

    def why_no_picks(self, level: float) -> str:
        """Why there is no limit of `level` of what is picked; empty if there is one.

        Raises:
            ConfigError: `level` is not between 0 and 1.
        """
        needed = networks_for(checked_level(level))
        if len(self.errors) < needed:
            return (
                f"{len(self.errors)} measured networks cannot tell a limit of level {level:g}, "
                f"which takes {needed}: elat calibrate --networks {needed}"
            )
        if len(self.macs) < len(self.errors):
            return "the calibration keeps no multiply-adds of its networks: elat calibrate again"
        return ""

    @property
    def _picked(self) -> PickedErrors:
        if len(self.macs) < len(self.errors):
            raise ConfigError(
                "This calibration keeps no multiply-adds of its networks, so that nothing is "
                "known of limits of what is picked; make it again with: elat calibrate."
            )
        measured = np.asarray(self.measured_ms, np.float64)
        predicted = measured * (1 + np.asarray(self.errors, np.float64))
        return PickedErrors.fit(predicted, np.asarray(self.macs, np.float64), measured)

    def tells(self, level: float) -> bool:
        """Whether there are networks enough for limits of `level`.

        Raises:
            ConfigError: `level` is not between 0 and 1.
        """
        return rank_of(level, len(self.errors)) <= len(self.errors)

    def _factor(self, scores: Sequence[float], level: float) -> float:
        return exp(sorted(scores)[told_rank(level, len(scores)) - 1])

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _PLAIN}
        known = {**plain, "errors": list(self.errors), "loo_by_form": dict(self.loo_by_form)}
        if self.macs:
            known |= {name: list(getattr(self, name)) for name in NETWORKS}
        return (
            known if self.correction is None else known | {CORRECTION: self.correction.to_json()}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """The calibration that `to_json` wrote; what stands beside it is left alone.

        Raises:
            ArtefactError: A field is missing, unknown or out of range.
        """
        try:
            values = {name: data[name] for name in _PLAIN}
            values["errors"] = tuple(map(float, data["errors"]))
            values |= {name: tuple(map(float, data.get(name, ()))) for name in NETWORKS}
            if CORRECTION in data:
                values[CORRECTION] = Correction.from_json(data[CORRECTION])
            found = cls(**values)
            is_valid = found.form in found.loo_by_form and found.slope > 0
            is_valid &= (found.correction is not None) == (found.form == CORRECTED)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(
                f"This is no calibration ({error!r}); make it again with: elat calibrate."
            ) from error
        if not is_valid:
            raise ArtefactError(
                f"A calibration of form {found.form!r} and slope {found.slope} is damaged; make "
                "it again with: elat calibrate."
            )
        return found


_PLAIN = tuple(f.name for f in fields(Calibration) if f.name not in (CORRECTION, *NETWORKS))


def _best_form(fits: Mapping[str, RobustFit]) -> str:
    """The form to take: one of more terms must be better by a fiftieth.

    Args:
        fits: By form, that of fewer terms first.

    Raises:
        ConfigError: None has networks get slower as their sums grow.
    """
    best: str | None = None
    for form, fit in fits.items():
        slope, *rest = fit.coefficients
        # With an intercept below 0 a small network would be predicted to take no time at all.
        is_sane = slope > 0 and (not rest or rest[0] >= 0)
        if is_sane and (best is None or fit.loo_mape < _WORTH * fits[best].loo_mape):
            best = form
    if best is None:
        raise ConfigError(
            "The measured networks do not get slower as their operators' sum grows; were they "
            "measured on the model's device? Measure again with: elat calibrate."
        )
    return best
