"""What aggregation costs, as `elat exam aggregation-cost` writes and reports read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import read_json
from ..core.errors import ArtefactError
from .source import Source

KIND = "aggregation-cost"
COSTS = "aggregation-cost.json"


@dataclass(frozen=True)
class Shape:
    """So many layers of `width` channels each on square images of that side."""

    layers: int
    width: int
    resolution: int

    def __str__(self) -> str:
        return f"{self.layers} layers of {self.width} channels, {self.resolution}²"


@dataclass(frozen=True)
class Time:
    """Milliseconds, and half of their 95 % interval as measurements of hosts give it."""

    ms: float
    half_ms: float


@dataclass(frozen=True)
class NetworkCost:
    """One network: its layers' parts, each summed over all layers, and the whole as measured.

    Attributes:
        links: Outputs read, over all layers.
        join_traffic_bytes: Read and written by joins if nothing stays in a cache.
        join: Additions or copies; `norm` is batch norm and ReLU, `conv` the 3x3 convolutions.
        layers: All three together, of which fewer networks are subtracted: it is more certain.
        ends: A network of the convolution before the layers and the pool behind them.
        whole: None where the network could not be run.
    """

    shape: Shape
    name: str
    links: int
    params: int
    macs: int
    join_traffic_bytes: int
    join: Time
    norm: Time
    conv: Time
    layers: Time
    ends: Time
    whole: Time | None

    def share(self, part: Time) -> float:
        """Of one part in the layers' time, in [0, 1] but for noise."""
        return part.ms / self.layers.ms

    @property
    def sum_over_whole(self) -> float | None:
        """The sum of all parts over the measured network."""
        return None if self.whole is None else (self.layers.ms + self.ends.ms) / self.whole.ms


@dataclass(frozen=True)
class SliceCost:
    """A 1x1 convolution of `degree` joined outputs: copied and convolved, or slice by slice."""

    shape: Shape
    degree: int
    out_channels: int
    plain: Time
    sliced: Time

    @property
    def ratio(self) -> float:
        """Time in slices over time of copy and convolution."""
        return self.sliced.ms / self.plain.ms


@dataclass(frozen=True)
class DeviceCosts:
    """Everything measured on one device under one condition."""

    source: Source
    protocol: str
    networks: tuple[NetworkCost, ...]
    slices: tuple[SliceCost, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        condition = self.source.condition
        return {
            "device": self.source.device,
            "origin": self.source.origin,
            "condition": None if condition is None else condition.to_json(),
            "protocol": self.protocol,
            "networks": [asdict(each) for each in self.networks],
            "slices": [asdict(each) for each in self.slices],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeviceCosts:
        """The costs that `to_json` wrote."""
        return cls(
            Source.of(str(data["origin"]), data["condition"]),
            str(data["protocol"]),
            tuple(_network(each) for each in data["networks"]),
            tuple(_slice(each) for each in data["slices"]),
        )


@dataclass(frozen=True)
class AggregationCosts:
    """The costs on all devices asked for."""

    devices: tuple[DeviceCosts, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the networks, in the order of the file."""
        found = (network.shape for device in self.devices for network in device.networks)
        return tuple(dict.fromkeys(found))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {"devices": [device.to_json() for device in self.devices]}


def read_aggregation_costs(folder: Path) -> AggregationCosts:
    """The costs in `folder`.

    Raises:
        ArtefactError: There are none, or the file is damaged.
    """
    path = folder / COSTS
    data = read_json(path)
    try:
        return AggregationCosts(tuple(map(DeviceCosts.from_json, data["devices"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is damaged or of an earlier form ({error!r}); elat exam aggregation-cost "
            "with the same --out writes it again from the store."
        ) from error


def _network(data: Mapping[str, Any]) -> NetworkCost:
    return NetworkCost(
        shape=Shape(**data["shape"]),
        name=str(data["name"]),
        links=int(data["links"]),
        params=int(data["params"]),
        macs=int(data["macs"]),
        join_traffic_bytes=int(data["join_traffic_bytes"]),
        join=_time(data["join"]),
        norm=_time(data["norm"]),
        conv=_time(data["conv"]),
        layers=_time(data["layers"]),
        ends=_time(data["ends"]),
        whole=None if data["whole"] is None else _time(data["whole"]),
    )


def _slice(data: Mapping[str, Any]) -> SliceCost:
    return SliceCost(
        Shape(**data["shape"]),
        int(data["degree"]),
        int(data["out_channels"]),
        *(_time(data[name]) for name in ("plain", "sliced")),
    )


def _time(data: Mapping[str, Any]) -> Time:
    return Time(float(data["ms"]), float(data["half_ms"]))
