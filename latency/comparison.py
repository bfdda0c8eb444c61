"""Whether one measurement is faster than another: a test, an interval and a margin.

The launch is the unit. The effect of a case is the logarithm of B's time over A's, a positive one
being slower; `effects.py` says how it is found, and in which of two units: of the sentinel's time,
with what all other cases moved by taken off, or in milliseconds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from ..core.errors import ConfigError
from .condition import Condition
from .effects import Basis, Both, Effects, Vector, moved, paired, unpaired
from .measurement import Measurement
from .operators import Operator
from .pairing import Pairing, pairings

MARGIN = 0.01
"""Least relative difference that matters, where nothing is known of the device."""
ALPHA = 0.05
LEVEL = 0.95
# Degrees of freedom beyond which Student's t is the normal distribution to every digit shown.
_NORMAL = 1e6


class Verdict(StrEnum):
    """What B is against A."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Side:
    """All measurements of one condition and origin, by operator.

    Attributes:
        reference_log: Logarithm of the sentinel's time in ms at the reference speed; None where
            some launch has no sentinel.
    """

    condition: Condition
    origin: str
    measurements: Mapping[Operator, Measurement]
    reference_log: float | None

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> Side:
        """The side that `measurements` are; all those that a store holds, not a selection.

        Raises:
            ConfigError: There is none, or there are several conditions or origins.
        """
        if not measurements:
            raise ConfigError("A side of a comparison needs at least one measurement.")
        kinds = {(m.condition, m.origin) for m in measurements}
        if len(kinds) > 1:
            found = "; ".join(sorted(f"{origin} on {condition}" for condition, origin in kinds))
            raise ConfigError(f"A side of a comparison is of one condition; found {found}.")
        (condition, origin), *_ = kinds
        known = {m.operator: m for m in measurements}
        return cls(condition, origin, known, _reference_log(measurements))

    def only(self, operators: Collection[Operator]) -> Side:
        """The same side without cases that are not among `operators`."""
        kept = {o: m for o, m in self.measurements.items() if o in operators}
        return replace(self, measurements=kept)


@dataclass(frozen=True)
class Rule:
    """When a difference counts.

    Attributes:
        margin: Least relative difference that matters: 0.01 is 1 %.
        alpha: Share of false differences among those found that is allowed.
        level: Of the confidence intervals.
        basis: None takes `SENTINEL` for unpaired sides of one condition, `TIME` for others.
    """

    margin: float = MARGIN
    alpha: float = ALPHA
    level: float = LEVEL
    basis: Basis | None = None

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("level", self.level)):
            if not 0 < value < 1:
                raise ConfigError(f"{name} lies between 0 and 1, found {value}.")
        if not 0 < self.margin < math.inf:
            raise ConfigError(f"A margin is a number above 0, found {self.margin}.")

    @property
    def margin_log(self) -> float:
        """The margin as a logarithm of a ratio."""
        return math.log1p(self.margin)


def default_margin(repeatability: float | None) -> float:
    """1 %, or twice the relative difference by which the device repeats itself if that is more."""
    return MARGIN if repeatability is None else max(MARGIN, 2 * repeatability)


@dataclass(frozen=True)
class CaseComparison:
    """One case on both sides. Logarithms are of B over A; above 0 B is slower.

    Attributes:
        a_ms: Latency of A in ms, and `b_ms` that of B: at the reference speed of its own store, or
            as timed where the launches are paired and compared in plain time.
        raw_log: Effect of the launches as they were timed, nothing taken off.
        shared_log: What the other cases moved by, taken off the effect; 0 where it is not known.
        low_log: Lower end of the interval of the effect, and `high_log` the upper; infinite where
            a side has one launch.
        p: Two-sided, for no effect; `q` the same adjusted for all cases of the comparison.
    """

    operator: Operator
    a_ms: float
    b_ms: float
    launches: tuple[int, int]
    raw_log: float
    shared_log: float
    effect_log: float
    low_log: float
    high_log: float
    p: float
    q: float
    verdict: Verdict

    @property
    def difference(self) -> float:
        """Relative difference of B from A: 0.03 is 3 % slower."""
        return math.expm1(self.effect_log)

    @property
    def raw_difference(self) -> float:
        """The same from the launches as they were timed."""
        return math.expm1(self.raw_log)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Confidence interval of the relative difference; None where there is none."""
        if math.isinf(self.high_log):
            return None
        return math.expm1(self.low_log), math.expm1(self.high_log)


@dataclass(frozen=True)
class Comparison:
    """All cases that both sides have, in the order of A, and those that only one has.

    Attributes:
        sentinel_log: Logarithm of the sentinel's time on B over that on A, each at its reference
            speed; None where a side has no sentinel.
    """

    cases: tuple[CaseComparison, ...]
    only_a: tuple[Operator, ...]
    only_b: tuple[Operator, ...]
    rule: Rule
    basis: Basis
    pairing: Pairing
    sentinel_log: float | None

    @cached_property
    def counts(self) -> dict[Verdict, int]:
        """How many cases got each verdict."""
        verdicts = [case.verdict for case in self.cases]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    @property
    def shared_log(self) -> float | None:
        """What the cases moved by together and was taken off; None where nothing was."""
        shared = [case.shared_log for case in self.cases if case.shared_log]
        return statistics.median(shared) if shared else None


def compare_measurements(
    a: Side, b: Side, rule: Rule | None = None, *, is_one_machine: bool = True
) -> Comparison:
    """Compare every case that `a` and `b` share.

    FASTER and SLOWER: the interval excludes 0, the effect is beyond the margin, and the p-value,
    adjusted for all cases (Benjamini and Hochberg 1995), is below alpha. SAME: the interval lies
    within the margin. AMBIGUOUS: anything else.

    Args:
        a: What `b` is compared with.
        b: Whether this is faster.
        rule: When a difference counts.
        is_one_machine: Whether one machine measured both. Launches of two machines at the same
            time are no pairs: what happened to the one did not happen to the other.

    Raises:
        ConfigError: The sentinel is asked for as the basis where a side has none, or one side is
            a copy of the other that was measured on.
    """
    rule = rule or Rule()
    shared = [operator for operator in a.measurements if operator in b.measurements]
    both = [(a.measurements[operator], b.measurements[operator]) for operator in shared]
    for pair in both:
        _refuse_grown_copy(*pair)
    pairing, pairs = pairings(both) if is_one_machine else (Pairing.NONE, [])
    basis = rule.basis or _basis(a, b, pairing)
    if basis is Basis.SENTINEL and None in (a.reference_log, b.reference_log):
        raise ConfigError("A side was measured without a sentinel; compare with --basis time.")
    change = _difference(a.reference_log, b.reference_log)
    shift = change if change is not None and basis is Basis.SENTINEL else 0.0
    if pairing is Pairing.NONE:
        effects = unpaired(both, basis, shift)
    else:
        effects = paired(both, pairs, basis, shift)
    common = moved(effects) if basis is Basis.SENTINEL else np.zeros((2, len(shared)))
    is_raw = basis is Basis.TIME and pairing is not Pairing.NONE
    return Comparison(
        cases=_judged(both, effects, common, rule, is_raw),
        only_a=tuple(o for o in a.measurements if o not in b.measurements),
        only_b=tuple(o for o in b.measurements if o not in a.measurements),
        rule=rule,
        basis=basis,
        pairing=pairing,
        sentinel_log=change,
    )


def _refuse_grown_copy(a: Measurement, b: Measurement) -> None:
    """Launches of both sides would be their own partners, and those of one side alone be left out.

    A whole copy has nothing else, and is the same.
    """
    place = {launch.worker: launch for launch in b.launches}
    copied = sum(place.get(launch.worker) == launch for launch in a.launches)
    if 0 < copied < max(a.count, b.count):
        raise ConfigError(
            f"{copied} launches of {a.operator} are the same on both sides, which have {a.count} "
            f"and {b.count}: one store is a copy of the other that was measured on. Measure each "
            "side into a store of its own."
        )


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a


def _basis(a: Side, b: Side, pairing: Pairing) -> Basis:
    has_sentinel = a.reference_log is not None and b.reference_log is not None
    is_relative = pairing is Pairing.NONE and a.condition == b.condition and has_sentinel
    return Basis.SENTINEL if is_relative else Basis.TIME


def _reference_log(measurements: Sequence[Measurement]) -> float | None:
    """Logarithm of the sentinel's time in ms at the reference speed, by one worker's launches."""
    if any(not m.slowness for m in measurements):
        return None
    worker, slowness = measurements[0].launches[0].worker, measurements[0].slowness[0]
    times = [
        launch.sentinel_ms(m.clock)
        for m in measurements
        for launch in m.launches
        if launch.worker == worker
    ]
    known = [time for time in times if time is not None]
    return math.log(statistics.median(known)) - slowness if known else None


def _judged(
    both: Both, effects: Effects, common: Vector, rule: Rule, is_raw: bool
) -> tuple[CaseComparison, ...]:
    """The cases with intervals, p-values and verdicts."""
    if not both:
        return ()
    from scipy.special import stdtr, stdtrit
    from scipy.stats import false_discovery_control

    values, errors = effects.values - common[0], np.sqrt(effects.variances + common[1])
    is_known, freedoms = np.isfinite(errors), np.minimum(effects.freedoms, _NORMAL)
    quantiles = stdtrit(freedoms, 0.5 + rule.level / 2)
    halves = np.multiply(quantiles, errors, out=np.full_like(errors, np.inf), where=is_known)
    certain = np.where(values == 0, 0.0, np.inf)
    scores = np.divide(np.abs(values), errors, out=certain, where=errors > 0)
    p = np.where(is_known, 2 * stdtr(freedoms, -scores), 1.0)
    q = false_discovery_control(p)
    return tuple(
        CaseComparison(
            operator=a.operator,
            a_ms=a.latency_raw_ms if is_raw else a.latency_ms,
            b_ms=b.latency_raw_ms if is_raw else b.latency_ms,
            launches=(a.count, b.count),
            raw_log=math.log(b.latency_raw_ms / a.latency_raw_ms),
            shared_log=float(common[0, i]),
            effect_log=float(values[i]),
            low_log=float(values[i] - halves[i]),
            high_log=float(values[i] + halves[i]),
            p=float(p[i]),
            q=float(q[i]),
            verdict=_verdict(float(values[i]), float(halves[i]), float(q[i]), rule),
        )
        for i, (a, b) in enumerate(both)
    )


def _verdict(effect: float, half: float, q: float, rule: Rule) -> Verdict:
    if abs(effect) > max(half, rule.margin_log) and q < rule.alpha:
        return Verdict.SLOWER if effect > 0 else Verdict.FASTER
    if abs(effect) + half <= rule.margin_log:
        return Verdict.SAME
    return Verdict.AMBIGUOUS
