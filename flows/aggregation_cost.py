"""What aggregating earlier outputs costs on devices: measured layer by layer and as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, hypot
from pathlib import Path

from ..core.artefact import MANIFEST, manifest, write_json
from ..core.errors import MissingOperatorError
from ..devices.device import Device
from ..latency.condition import Condition, Method, Precision
from ..latency.in_situ import measured_under, recipe
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.operators import Operator
from ..latency.store import MeasurementStore
from ..reports.aggregation import (
    COSTS,
    KIND,
    AggregationCosts,
    DeviceCosts,
    NetworkCost,
    Shape,
    SliceCost,
    Time,
)
from ..reports.source import Source
from .aggregation_study import (
    FAMILIES,
    Family,
    ends,
    layers,
    network,
    networks,
    operators,
    sliced,
)
from .measuring import Campaign, measure_operators

_ELEMENT_BYTES = {Precision.FP32: 4, Precision.INT8: 1}


def measure_costs(campaign: Campaign, shapes: tuple[Shape, ...]) -> Iterator[Progress]:
    """Measure what is not in the store yet: operators as the device's method says, and wholes."""
    yield from measure_operators(campaign, operators(shapes), networks(shapes))


def device_costs(
    store: MeasurementStore, device: Device, protocol: str, shapes: tuple[Shape, ...]
) -> DeviceCosts:
    """The costs on `device` from what `store` holds.

    Raises:
        MissingOperatorError: An operator was not measured, or failed.
    """
    condition = Condition.of(device)
    known = {m.operator: m for m in store.measurements(measured_under(condition))}
    prices = _Prices(known, condition, store.path)
    return DeviceCosts(
        Source(prices.origin, device.id, condition),
        protocol,
        tuple(_network_cost(prices, shape, family) for shape in shapes for family in FAMILIES),
        tuple(found for shape in shapes for found in _slice_costs(prices, shape)),
    )


def write_costs(
    folder: Path, devices: Sequence[DeviceCosts], *, seed: int, store: Path
) -> AggregationCosts:
    """Write the costs of all devices into `folder`, the file of the numbers last."""
    costs = AggregationCosts(tuple(devices))
    config = {
        "devices": [found.source.device for found in devices],
        "protocols": sorted({found.protocol for found in devices}),
        "shapes": [str(shape) for shape in costs.shapes],
    }
    made = manifest(KIND, config=config, seed=seed, parents={"store": store.name})
    write_json(folder / MANIFEST, made)
    write_json(folder / COSTS, costs.to_json())
    return costs


@dataclass(frozen=True)
class _Prices:
    """Latencies of sums of operators, from measurements of hosts."""

    known: Mapping[Operator, Measurement]
    condition: Condition
    store: Path

    @property
    def origin(self) -> str:
        """Of all measurements; a store holds one origin a condition."""
        return next((m.origin for m in self.known.values()), "measured")

    def time(self, found: Iterable[Operator]) -> Time:
        """The sum over `found`, which may hold an operator many times.

        Differences below 0 stay what they are: in a sum, leaving them out would be a bias. The
        interval takes hosts as independent of each other.

        Raises:
            MissingOperatorError: One was not measured.
        """
        weights: defaultdict[Operator, float] = defaultdict(float)
        for operator in found:
            for host, weight in self._terms(operator):
                weights[host] += weight
        terms = [(weight, self._measured(host)) for host, weight in weights.items()]
        ms = fsum(weight * measured.latency_ms for weight, measured in terms)
        return Time(ms, hypot(*(weight * _half_ms(measured) for weight, measured in terms)))

    def whole(self, operator: Operator) -> Time | None:
        """Of a network measured as it stands; None if it could not be."""
        found = self.known.get(operator)
        return None if found is None else Time(found.latency_ms, _half_ms(found))

    def _terms(self, operator: Operator) -> tuple[tuple[Operator, float], ...]:
        if self.condition.method is Method.IN_SITU:
            return recipe(operator).terms
        return ((operator, 1.0),)

    def _measured(self, operator: Operator) -> Measurement:
        if operator not in self.known:
            raise MissingOperatorError(
                f"{operator} was not measured on {self.condition}; measure it with: elat exam "
                f"aggregation-cost --device {self.condition.device} --store {self.store}"
            )
        return self.known[operator]


def _half_ms(measurement: Measurement) -> float:
    low, high = measurement.interval()
    return (high - low) / 2


def _network_cost(prices: _Prices, shape: Shape, family: Family) -> NetworkCost:
    made = layers(shape, family)
    whole = network(shape, family)
    joins = [each.join for each in made if each.join is not None]
    element = _ELEMENT_BYTES[prices.condition.precision] * prices.condition.batch
    return NetworkCost(
        shape=shape,
        name=family.name,
        links=sum(map(len, family.sources(shape.layers))),
        params=whole.params,
        macs=whole.macs,
        join_traffic_bytes=element * sum(join.traffic_elements for join in joins),
        join=prices.time(joins),
        norm=prices.time(each.norm for each in made),
        conv=prices.time(each.conv for each in made),
        ends=prices.time(ends(shape)),
        whole=prices.whole(whole),
    )


def _slice_costs(prices: _Prices, shape: Shape) -> tuple[SliceCost, ...]:
    return tuple(
        SliceCost(
            shape,
            len(point.in_channels),
            point.out_channels,
            *(prices.time((each,)) for each in (*point.plain, point)),
        )
        for point in sliced(shape)
    )
