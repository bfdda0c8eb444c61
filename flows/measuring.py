"""Measuring what a space is made of, and the table that follows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import elat_home
from ..core.errors import MeasurementError, MissingOperatorError, UnavailableError
from ..core.seeding import torch_generator
from ..devices.device import Device, DeviceKind
from ..devices.set_aside import noted
from ..latency.artefacts import ArtefactCache
from ..latency.condition import Condition, Method
from ..latency.energy import EnergyOrder
from ..latency.entry import Entry
from ..latency.measure import Progress, Stage, measure
from ..latency.measurement import Failure
from ..latency.methods import METHODS, Evidence, Subjects
from ..latency.operators import Operator
from ..latency.operators.chain import Chain
from ..latency.operators.dag import Dag
from ..latency.place import Place
from ..latency.profiling.bench import Effort
from ..latency.profiling.opening import open_bench, unopened_reason
from ..latency.profiling.parts import profile_operators, split
from ..latency.profiling.profile import Profile
from ..latency.protocol import Protocol
from ..latency.request import error_class
from ..latency.runtimes import runtimes
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..search.architecture import Architecture
from ..search.spaces import SearchSpace, space_names

EMPHASIS = 3
"""Slices in each pass of a case that enters many sums."""

# So many networks at least are drawn for a method that looks into networks, and so many at most
# to see each operator often enough.
_FEWEST, _MOST, _OCCURRENCES = 24, 96, 3

# Protocols of so many launches at least profile in several processes as well.
_CAREFUL = 5


@dataclass(frozen=True)
class Campaign:
    """What one `elat measure` needs besides the operators.

    Attributes:
        energy: The meter that new launches read, too; None for none.
    """

    device: Device
    protocol: Protocol
    store: MeasurementStore
    cache: ArtefactCache
    seed: int
    energy: EnergyOrder | None = None

    @property
    def condition(self) -> Condition:
        """The condition of the device's tables."""
        return Condition.of(self.device)


def default_store() -> Path:
    """The store that verbs use where `--store` is not given."""
    return elat_home() / "measurements.db"


def default_cache() -> ArtefactCache:
    """The cache of compiled artefacts, shared by all devices."""
    return ArtefactCache(elat_home() / "artefacts")


def measure_space(campaign: Campaign, space: SearchSpace) -> Iterator[Progress]:
    """Measure every operator of `space`, as the device's method wants it; resumes by itself."""
    yield from measure_operators(
        campaign, subjects_of(space, campaign.condition.method, campaign.seed)
    )


def measure_operators(campaign: Campaign, subjects: Subjects) -> Iterator[Progress]:
    """Measure what the device's method needs to know of `subjects`; resumes by itself.

    Raises:
        UnsupportedOperatorError: The method has no way to time one of the operators.
        ConfigError: It looks into networks, and there are none.
        UnavailableError: It profiles, and the runtime has no profiler here.
    """
    method = METHODS[campaign.condition.method]
    cases, profiled = method.cases(subjects), method.profiled(subjects)
    if profiled and (reason := unopened_reason(campaign.device, campaign.condition)):
        raise UnavailableError(
            f"The method `{campaign.condition.method}` needs profiles. {reason} Choose another "
            "method in the device card."
        )
    yield from measure_cases(campaign, cases, dict.fromkeys(method.emphasised(subjects), EMPHASIS))
    yield from profile_cases(campaign, profiled)


def measure_cases(
    campaign: Campaign, cases: tuple[Operator, ...], emphasis: dict[Operator, int] | None = None
) -> Iterator[Progress]:
    """Measure `cases` (whole networks, hosts) as they stand.

    Raises:
        UnavailableError: The device is neither this machine nor within reach.
    """
    if reason := campaign.device.elsewhere_reason:
        raise UnavailableError(reason)
    condition = campaign.condition.of_models
    with noted(campaign.device.id), _place(campaign.device, condition) as place:
        yield from measure(
            cases,
            condition,
            campaign.protocol,
            campaign.store,
            campaign.cache,
            seed=campaign.seed,
            emphasis=emphasis or {},
            affinity=campaign.device.affinity,
            place=place,
            temperature_limit_c=campaign.device.gates.temperature_max_c,
            energy=campaign.energy,
        )


def _place(device: Device, condition: Condition) -> AbstractContextManager[Place | None]:
    """Where workers run; None is this machine."""
    if runtimes[condition.runtime].is_driven_from_here:
        from ..latency.benchmark_model.place import open_program

        return open_program(device)
    if device.kind is not DeviceKind.SSH:
        return nullcontext()
    if runtimes[condition.runtime].is_driven_on(device):
        from ..latency.tensorrt.trtexec.place import open_trtexec

        return open_trtexec(device, condition)
    from ..latency.remote.board import open_board

    return open_board(device, condition)


def profile_cases(campaign: Campaign, cases: tuple[Operator, ...]) -> Iterator[Progress]:
    """Profile those of `cases` that the store has no profile of, each in a pass of its own.

    On a device elsewhere several are profiled in one round trip.

    Raises:
        UnavailableError: The runtime has no profiler, or it is not reachable here.
    """
    device = campaign.device
    condition = campaign.condition.of_models
    known = campaign.store.profiles(condition)
    todo = [case for case in cases if case not in known]
    effort = Effort(processes=1 if campaign.protocol.min_launches < _CAREFUL else 3)
    started = time.monotonic()
    if not todo:
        return
    with noted(device.id), open_bench(device) as bench:
        for start in range(0, len(todo), bench.group):
            group = todo[start : start + bench.group]
            found = profile_operators(group, condition, campaign.cache, effort=effort, bench=bench)
            for number, (case, profile) in enumerate(zip(group, found, strict=True), start + 1):
                failure = _kept(campaign, case, profile, bench.environment)
                elapsed_s = time.monotonic() - started
                yield Progress(Stage.PROFILE, number, len(todo), case, None, failure, elapsed_s)


def _kept(
    campaign: Campaign,
    case: Operator,
    profile: Profile | MeasurementError,
    environment: Mapping[str, Any],
) -> Failure | None:
    """Put `profile` into the store, or say why there is none that the device's method can use."""
    condition = campaign.condition
    try:
        if isinstance(profile, MeasurementError):
            raise profile
        if condition.method is Method.SAMPLED and isinstance(case, Chain | Dag):
            split(profile, case)
    except MeasurementError as error:
        return Failure(error_class(error), str(error))
    campaign.store.record_profile(case, condition.of_models, profile.to_json(), environment)
    return None


def subjects_of(space: SearchSpace, method: Method, seed: int) -> Subjects:
    """The operators of `space`, and for a method that looks into networks random ones.

    These are at least 24, drawn uniformly, and more until each operator occurs three times, but
    not more than 96: what is rarer is seen less often, or not at all.
    """
    operators = space.all_operators()
    if method is not Method.SAMPLED:
        return Subjects(operators)
    generator = torch_generator(seed, "sampled networks", space.name)
    drawn: dict[Architecture, None] = {}
    counts: Counter[Operator] = Counter()
    while len(drawn) < min(_MOST, space.size):
        if len(drawn) >= _FEWEST and all(counts[o] >= _OCCURRENCES for o in operators):
            break
        architecture = space.sample(generator)
        if architecture not in drawn:
            drawn[architecture] = None
            counts.update(space.operators(architecture))
    return Subjects(operators, tuple(map(space.network, drawn)))


def evidence_of(store: MeasurementStore, condition: Condition, subjects: Subjects) -> Evidence:
    """What `store` knows that tells the latencies of `subjects` under `condition`.

    Where a model was measured and imported, too, what was measured counts.

    Raises:
        UnsupportedOperatorError: The method has no way to time one of the operators.
    """
    profiles = profiles_of(store, condition)
    method = condition.method
    cases = profiles if method is Method.SAMPLED else METHODS[method].cases(subjects)
    found = store.summaries(condition.of_models, cases)
    return Evidence({operator: known[-1] for operator, known in found.items()}, profiles)


def profiles_of(store: MeasurementStore, condition: Condition) -> dict[Operator, Profile]:
    """The newest profile of every model that has one under `condition`, whatever its method."""
    known = store.profiles(condition.of_models)
    return {operator: Profile.from_json(found[-1]) for operator, found in known.items()}


def known_entries(campaign: Campaign, space: SearchSpace) -> Mapping[Operator, Entry]:
    """What the store knows of the operators of `space`; of some of them, or of none."""
    subjects = Subjects(space.all_operators())
    evidence = evidence_of(campaign.store, campaign.condition, subjects)
    if not evidence.measured and not evidence.profiles:
        return {}
    return METHODS[campaign.condition.method].latencies(subjects, evidence).entries


def space_table(store: MeasurementStore, device: Device, space: SearchSpace) -> LatencyTable:
    """The table of every operator of `space` on `device`, from what the store holds.

    Raises:
        MissingOperatorError: An operator was never measured there.
    """
    condition = Condition.of(device)
    operators = space.all_operators()
    subjects = Subjects(operators)
    evidence = evidence_of(store, condition, subjects)
    repair = f"elat measure --device {device.id} --space {spelled(space)} --store {store.location}"
    if not evidence.measured:
        raise MissingOperatorError(
            f"Nothing was measured on {condition} yet; measure {space.name} there with: {repair}"
        )
    table = LatencyTable.derived(condition, subjects, evidence)
    missing = [operator for operator in operators if operator not in table]
    if missing:
        below = METHODS[condition.method].latencies(subjects, evidence).below_ms
        what = (
            f"{len(missing)} of {len(operators)} operators of {space.name} are not measured on "
            f"{condition}, {missing[0]} among them"
        )
        if all(operator in below for operator in missing):
            raise MissingOperatorError(
                f"{what}: by differences of {condition.method} it takes "
                f"{1e3 * below[missing[0]]:.2f} us, which is lost in their noise; measure with "
                f"more care: {repair} --protocol reference; where it stays so, with method: block "
                "in the device card"
            )
        raise MissingOperatorError(f"{what}; measure them with: {repair}")
    return table


def spelled(space: SearchSpace) -> str:
    """What `--space` is given for `space`: the name of a bundled one, else its YAML file."""
    return space.name if space.name in space_names() else f"{space.name}.yaml"
