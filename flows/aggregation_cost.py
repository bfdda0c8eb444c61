"""What aggregating earlier outputs costs on devices: measured layer by layer and as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from ..core.artefact import MANIFEST, manifest, write_json
from ..core.errors import MissingOperatorError
from ..devices.device import Device
from ..latency.condition import Condition
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.operators import Operator
from ..latency.store import MeasurementStore
from ..latency.sums import sum_interval_ms, sum_ms
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
    Terms,
    ends,
    layers,
    network,
    sliced,
    terms,
)
from .measuring import Campaign, measure_cases

_JOIN, _NORM, _CONV = map(attrgetter, ("join_terms", "norm_terms", "conv_terms"))
_EMPHASIS = 3
# Hosts that enter a network's time more often than this get more slices a pass.
_OFTEN = 2.0


def measure_costs(campaign: Campaign, shapes: tuple[Shape, ...]) -> Iterator[Progress]:
    """Measure what is not in the store yet: hosts of parts of layers, and whole networks."""
    cases = {case: None for shape in shapes for part in terms(shape) for case, _ in part}
    wholes = (network(shape, family) for shape in shapes for family in FAMILIES)
    yield from measure_cases(campaign, (*cases, *wholes), _emphasis(shapes))


def _emphasis(shapes: tuple[Shape, ...]) -> dict[Operator, int]:
    sums = (
        _weights(part(made) for made in layers(shape, family))
        for shape in shapes
        for family in FAMILIES
        for part in (_JOIN, _NORM, _CONV)
    )
    often = (case for weights in sums for case, w in weights.items() if abs(w) > _OFTEN)
    return dict.fromkeys(often, _EMPHASIS)


def device_costs(
    store: MeasurementStore, device: Device, protocol: str, shapes: tuple[Shape, ...]
) -> DeviceCosts:
    """The costs on `device` from what `store` holds.

    Raises:
        MissingOperatorError: An operator was not measured, or failed.
    """
    condition = Condition.of(device).of_models
    known = {m.operator: m for m in store.measurements(condition)}
    prices = _Prices(known, condition, store.location)
    return DeviceCosts(
        Source(prices.origin, device.id, condition),
        protocol,
        tuple(_network_cost(prices, shape, family) for shape in shapes for family in FAMILIES),
        tuple(found for shape in shapes for found in _slice_costs(prices, shape)),
    )


def write_costs(
    folder: Path, devices: Sequence[DeviceCosts], *, seed: int, store: str
) -> AggregationCosts:
    """Write the costs of all devices into `folder`, the file of the numbers last."""
    costs = AggregationCosts(tuple(devices))
    config = {
        "devices": [found.source.device for found in devices],
        "protocols": sorted({found.protocol for found in devices}),
        "shapes": [str(shape) for shape in costs.shapes],
    }
    made = manifest(KIND, config=config, seed=seed, parents={"store": store})
    write_json(folder / MANIFEST, made)
    write_json(folder / COSTS, costs.to_json())
    return costs


@dataclass(frozen=True)
class _Prices:
    """Latencies of sums of operators, from measurements of hosts."""

    known: Mapping[Operator, Measurement]
    condition: Condition
    store: str

    @property
    def origin(self) -> str:
        """Of all measurements; a store holds one origin a condition."""
        return next((m.origin for m in self.known.values()), "measured")

    def time(self, parts: Iterable[Terms]) -> Time:
        """The sum over `parts`, each a weighted sum of networks.

        Differences below 0 stay what they are: in a sum, leaving them out would be a bias. The
        interval takes networks as independent of each other.

        Raises:
            MissingOperatorError: One was not measured.
        """
        return _time([(self._measured(case), w) for case, w in _weights(parts).items()])

    def whole(self, operator: Operator) -> Time | None:
        """Of a network measured as it stands; None if it could not be."""
        found = self.known.get(operator)
        return None if found is None else _time([(found, 1.0)])

    def _measured(self, operator: Operator) -> Measurement:
        if operator not in self.known:
            raise MissingOperatorError(
                f"{operator} was not measured on {self.condition}; measure it with: elat exam "
                f"aggregation-cost --device {self.condition.device} --store {self.store}"
            )
        return self.known[operator]


def _weights(parts: Iterable[Terms]) -> dict[Operator, float]:
    """How often each network enters the sum of `parts`; those that cancel are left out."""
    weights: defaultdict[Operator, float] = defaultdict(float)
    for part in parts:
        for case, weight in part:
            weights[case] += weight
    return {case: weight for case, weight in weights.items() if weight != 0.0}


def _time(terms: Sequence[tuple[Measurement, float]]) -> Time:
    """The sum of `terms`; its interval reaches to both sides as far as to the further one."""
    ms = sum_ms(terms)
    low_ms, high_ms = sum_interval_ms(terms)
    return Time(ms, max(ms - low_ms, high_ms - ms))


def _network_cost(prices: _Prices, shape: Shape, family: Family) -> NetworkCost:
    made = layers(shape, family)
    whole = network(shape, family)
    element = prices.condition.precision.element_bytes * prices.condition.batch
    traffic = sum(join.traffic_elements for each in made for join in each.joins)
    return NetworkCost(
        shape=shape,
        name=family.name,
        links=family.topology(shape.layers).links,
        params=whole.params,
        macs=whole.macs,
        join_traffic_bytes=element * traffic,
        join=prices.time(map(_JOIN, made)),
        norm=prices.time(map(_NORM, made)),
        conv=prices.time(map(_CONV, made)),
        layers=prices.time(part(each) for each in made for part in (_JOIN, _NORM, _CONV)),
        ends=prices.time((((ends(shape), 1.0),),)),
        whole=prices.whole(whole),
    )


def _slice_costs(prices: _Prices, shape: Shape) -> tuple[SliceCost, ...]:
    return tuple(
        SliceCost(
            shape,
            len(each.point.in_channels),
            each.point.out_channels,
            prices.time((each.plain_terms,)),
            prices.time((each.sliced_terms,)),
        )
        for each in sliced(shape)
    )
