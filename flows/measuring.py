"""Measuring what a space is made of, and the table that follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import MissingOperatorError
from ..devices.device import Device
from ..latency.artefacts import ArtefactCache
from ..latency.condition import Condition
from ..latency.measure import Progress, measure
from ..latency.methods import METHODS, Evidence, Subjects
from ..latency.operators import Operator
from ..latency.protocol import Protocol
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..search.spaces import SearchSpace, space_names

_EMPHASIS = 3


@dataclass(frozen=True)
class Campaign:
    """What one `elat measure` needs besides the operators."""

    device: Device
    protocol: Protocol
    store: MeasurementStore
    cache: ArtefactCache
    seed: int

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
    yield from measure_operators(campaign, Subjects(space.all_operators()))


def measure_operators(campaign: Campaign, subjects: Subjects) -> Iterator[Progress]:
    """Measure what the device's method needs to know of `subjects`; resumes by itself.

    Raises:
        UnsupportedOperatorError: The method has no way to time one of the operators.
    """
    method = METHODS[campaign.condition.method]
    emphasis = dict.fromkeys(method.emphasised(subjects), _EMPHASIS)
    yield from measure_cases(campaign, method.cases(subjects), emphasis)


def measure_cases(
    campaign: Campaign, cases: tuple[Operator, ...], emphasis: dict[Operator, int] | None = None
) -> Iterator[Progress]:
    """Measure `cases` (whole networks, hosts) as they stand."""
    yield from measure(
        cases,
        campaign.condition.of_models,
        campaign.protocol,
        campaign.store,
        campaign.cache,
        seed=campaign.seed,
        emphasis=emphasis or {},
        affinity=campaign.device.affinity,
    )


def space_table(store: MeasurementStore, device: Device, space: SearchSpace) -> LatencyTable:
    """The table of every operator of `space` on `device`, from what the store holds.

    Raises:
        MissingOperatorError: An operator was never measured there.
    """
    condition = Condition.of(device)
    operators = space.all_operators()
    found = {m.operator: m for m in store.measurements(condition.of_models)}
    repair = f"elat measure --device {device.id} --space {spelled(space)} --store {store.path}"
    if not found:
        raise MissingOperatorError(
            f"Nothing was measured on {condition} yet; measure {space.name} there with: {repair}"
        )
    table = LatencyTable.derived(condition, Subjects(operators), Evidence(found))
    missing = [operator for operator in operators if operator not in table]
    if missing:
        raise MissingOperatorError(
            f"{len(missing)} of {len(operators)} operators of {space.name} are not measured on "
            f"{condition}, {missing[0]} among them; measure them with: {repair}"
        )
    return table


def spelled(space: SearchSpace) -> str:
    """What `--space` is given for `space`: the name of a bundled one, else its YAML file."""
    return space.name if space.name in space_names() else f"{space.name}.yaml"
