"""Every way to time operators, held against whole networks that were measured beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ..core.artefact import MANIFEST, manifest, write_json
from ..core.errors import ConfigError, MeasurementError
from ..latency.additive_fit import additive_error_around, best_additive_fit
from ..latency.calibration import Calibration
from ..latency.condition import Method
from ..latency.counts import busy_operators, operator_counts
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.methods import METHODS, Evidence, Subjects, TimingMethod
from ..latency.operators import Operator
from ..latency.operators.generate import roofline_ms
from ..latency.profiling.opening import unopened_reason
from ..latency.profiling.profile import Profile
from ..reports.method_comparison import (
    COMPARISON,
    KIND,
    MethodComparison,
    MethodMark,
    WholeNetwork,
)
from ..reports.source import Source
from ..search.architecture import Architecture
from ..search.spaces import SearchSpace
from .calibrate import sample_networks
from .measuring import EMPHASIS, Campaign, measure_cases, profile_cases, profiles_of, subjects_of

STORE = "measurements.db"

# Of one launch of one model besides its slices, and of one profile pass; rough.
_LOAD_MS, _PROFILE_MS = 25.0, 2000.0


@dataclass(frozen=True)
class Comparison:
    """What is compared: all methods on the operators of a space, on random networks of it.

    Attributes:
        networks: What sums are held against.
        subjects: The operators; its networks are drawn apart from `networks`.
        left_out: Why methods that profile are left out; None if they are not.
    """

    campaign: Campaign
    space: SearchSpace
    networks: tuple[Architecture, ...]
    subjects: Subjects
    left_out: str | None

    @classmethod
    def of(cls, campaign: Campaign, space: SearchSpace, networks: int) -> Comparison:
        """The comparison on `networks` random networks; the campaign's seed decides which."""
        return cls(
            campaign,
            space,
            sample_networks(space, networks, campaign.seed),
            subjects_of(space, Method.SAMPLED, campaign.seed),
            unopened_reason(campaign.device, campaign.condition),
        )

    @property
    def methods(self) -> dict[Method, TimingMethod]:
        """The methods that are compared."""
        return {
            name: method
            for name, method in METHODS.items()
            if self.left_out is None or not method.profiled(self.subjects)
        }

    @property
    def profiled(self) -> tuple[Operator, ...]:
        """What is profiled after it was timed."""
        methods = self.methods.values()
        found = (case for method in methods for case in method.profiled(self.subjects))
        return tuple(dict.fromkeys(found))

    @property
    def emphasised(self) -> frozenset[Operator]:
        """The cases that get more slices in each pass."""
        shared = (method.emphasised(self.subjects) for method in self.methods.values())
        return frozenset().union(*shared)

    @property
    def estimated_s(self) -> float:
        """Roughly how long `measure` takes on a desktop core if nothing is known yet."""
        protocol, shared = self.campaign.protocol, self.emphasised
        total_ms = 0.0
        for case in self.cases:
            run_ms = roofline_ms(case)
            loops = ceil(protocol.slice_ms / run_ms)
            slice_ms = (loops + min(loops, protocol.settle_calls)) * run_ms
            slices = protocol.passes * (EMPHASIS if case in shared else 1)
            total_ms += protocol.min_launches * (slices * slice_ms + _LOAD_MS)
        return (total_ms + _PROFILE_MS * len(self.profiled)) / 1e3

    @property
    def cases(self) -> tuple[Operator, ...]:
        """Everything to be timed, of all methods together, and the networks."""
        cases = (case for method in self.methods.values() for case in method.cases(self.subjects))
        wholes = (self.space.network(architecture) for architecture in self.networks)
        return tuple(dict.fromkeys((*cases, *wholes)))

    def measure(self) -> Iterator[Progress]:
        """Time all cases in the same shuffled rounds, then profile; resumes by itself.

        So the speed of the machine is the same for every method, and for the networks.
        """
        emphasis = dict.fromkeys(self.emphasised, EMPHASIS)
        yield from measure_cases(self.campaign, self.cases, emphasis)
        yield from profile_cases(self.campaign, self.profiled)

    def result(self) -> MethodComparison:
        """The comparison from what the store holds.

        Raises:
            MeasurementError: Fewer than two of the networks could be measured.
        """
        condition = self.campaign.condition
        store = self.campaign.store
        measured = {m.operator: m for m in store.measurements(condition.of_models)}
        profiles = profiles_of(store, condition)
        whole = [measured.get(self.space.network(a)) for a in self.networks]
        found = [(a, m) for a, m in zip(self.networks, whole, strict=True) if m is not None]
        if len(found) < 2:
            raise MeasurementError(
                f"{self.campaign.device.id} could measure {len(found)} of {len(self.networks)} "
                f"networks; look at it with: elat doctor {self.campaign.device.id}"
            )
        parts = [self.space.operators(architecture) for architecture, _ in found]
        measured_ms = [m.latency_ms for _, m in found]
        marks = tuple(
            self._mark(method, measured, profiles, parts, measured_ms) for method in self.methods
        )
        return MethodComparison(
            Source(found[0][1].origin, self.campaign.device.id, condition.of_models),
            self.space.name,
            self.campaign.protocol.name,
            tuple(_network(self.space, architecture, m) for architecture, m in found),
            marks,
            _ceiling(marks, parts, measured_ms),
        )

    def _mark(
        self,
        name: Method,
        measured: Mapping[Operator, Measurement],
        profiles: Mapping[Operator, Profile],
        parts: Sequence[Sequence[Operator]],
        measured_ms: Sequence[float],
    ) -> MethodMark:
        method = METHODS[name]
        found = method.latencies(self.subjects, Evidence(measured, profiles))
        costs = {o: entry.mean_ms for o, entry in found.entries.items()} | dict(found.below_ms)
        sums = [
            sum(costs[o] for o in part if not o.is_free)
            if all(o.is_free or o in costs for o in part)
            else None
            for part in parts
        ]
        cases, profiled = method.cases(self.subjects), method.profiled(self.subjects)
        calibration = _calibration(sums, parts, measured_ms)
        return MethodMark(
            name,
            len(costs),
            tuple(str(o) for o in self.subjects.busy if o not in costs),
            len(cases),
            len(profiled),
            sum(_timing_s(measured[case]) for case in cases if case in measured)
            + sum(_profiling_s(profiles[case]) for case in profiled if case in profiles),
            tuple(sums),
            "" if calibration is None else calibration.form,
            None if calibration is None else calibration.loo_mape,
        )


def write_comparison(folder: Path, comparison: Comparison) -> MethodComparison:
    """Write the result of `comparison` into `folder`."""
    result = comparison.result()
    config = {
        "device": result.source.device,
        "space": result.space,
        "protocol": result.protocol,
        "networks": len(comparison.networks),
    }
    store = comparison.campaign.store.name
    made = manifest(KIND, config=config, seed=comparison.campaign.seed, parents={"store": store})
    write_json(folder / MANIFEST, made)
    write_json(folder / COMPARISON, result.to_json())
    return result


def _network(
    space: SearchSpace, architecture: Architecture, measurement: Measurement
) -> WholeNetwork:
    low_ms, high_ms = measurement.interval()
    macs = space.network(architecture).macs
    return WholeNetwork(architecture.choices, macs, measurement.latency_ms, low_ms, high_ms)


def _ceiling(
    marks: Sequence[MethodMark],
    parts: Sequence[Sequence[Operator]],
    measured_ms: Sequence[float],
) -> float:
    """Least error of additive fits to the networks: from nothing, or around a method's sums."""
    choices = operator_counts(parts, busy_operators(parts))
    counts = [len(part) for part in parts]
    errors = [best_additive_fit(choices, measured_ms).loo_mape]
    for mark in marks:
        sums = [total for total in mark.sums_ms if total is not None]
        if len(sums) == len(parts):
            errors.append(additive_error_around(sums, counts, choices, measured_ms))
    return min(errors)


def _calibration(
    sums_ms: Sequence[float | None],
    parts: Sequence[Sequence[Operator]],
    measured_ms: Sequence[float],
) -> Calibration | None:
    """The calibration of the networks whose sum is known; None where none fits them."""
    known = [
        (total, sum(not operator.is_free for operator in part), measured)
        for total, part, measured in zip(sums_ms, parts, measured_ms, strict=True)
        if total is not None
    ]
    try:
        return Calibration.fit(*zip(*known, strict=True)) if known else None
    except ConfigError:
        return None


def _timing_s(measurement: Measurement) -> float:
    """Time for which a case was loaded, warmed up, settled and timed, over all launches."""
    settle = measurement.protocol.settle_calls
    total_ms = 0.0
    for launch in measurement.launches:
        total_ms += launch.init_ms + launch.warmup_calls * launch.wall_ms
        for sample in launch.samples:
            total_ms += (sample.loops + min(settle, sample.loops)) * sample.wall_ms
    return total_ms / 1e3


def _profiling_s(profile: Profile) -> float:
    """Time of the profiled runs and of as many without profiling; starting processes apart."""
    return profile.runs * (profile.profiled_run_ms + (profile.unprofiled_run_ms or 0.0)) / 1e3
