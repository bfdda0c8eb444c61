"""Measuring what a space is made of, and the table that follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import MissingOperatorError
from ..devices.device import Device
from ..latency.artefacts import ArtefactCache
from ..latency.condition import Condition, Method
from ..latency.in_situ import bare_hosts, hosts, in_situ_table, measured_under
from ..latency.measure import Progress, measure
from ..latency.operators import Operator
from ..latency.protocol import Protocol
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..search.spaces import SearchSpace, space_names

_HOST_EMPHASIS = 3


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
    condition = campaign.condition
    operators = space.all_operators()
    cases: tuple[Operator, ...] = operators
    emphasis: dict[Operator, int] = {}
    if condition.method is Method.IN_SITU:
        cases = hosts(operators)
        emphasis = dict.fromkeys(bare_hosts(operators), _HOST_EMPHASIS)
    yield from measure_cases(campaign, cases, emphasis)


def measure_cases(
    campaign: Campaign, cases: tuple[Operator, ...], emphasis: dict[Operator, int] | None = None
) -> Iterator[Progress]:
    """Measure `cases` (whole networks, hosts) as they stand."""
    yield from measure(
        cases,
        measured_under(campaign.condition),
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
    found = {m.operator: m for m in store.measurements(measured_under(condition))}
    repair = f"elat measure --device {device.id} --space {spelled(space)} --store {store.path}"
    if not found:
        raise MissingOperatorError(
            f"Nothing was measured on {condition} yet; measure {space.name} there with: {repair}"
        )
    if condition.method is Method.IN_SITU:
        table = in_situ_table(operators, condition, found)
    else:
        table = LatencyTable.from_measurements([found[o] for o in operators if o in found])
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
