"""The latency models that a verification corrects and compares with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import MissingLatencyError
from ..latency.models.folder import LoadedModel, read_model
from ..latency.network import NetworkPrediction
from ..search.architecture import Architecture
from ..search.expected_latency import ExpectedLatency, counted_cost
from ..search.result import unit_of
from ..search.spaces import SearchSpace
from .fitting import find_latency


@dataclass(frozen=True, eq=False)
class SpaceModels:
    """The model of each device for one space: the given one, or the newest in `ELAT_HOME`.

    Attributes:
        given: By the device that they are of.
    """

    space: SearchSpace
    given: Mapping[str, LoadedModel]

    def of(self, device: str) -> LoadedModel:
        """The model of `device`.

        Raises:
            MissingLatencyError: None is given and none is there.
        """
        return self.given.get(device) or find_latency(None, device, self.space)

    def cost(self, name: str) -> ExpectedLatency:
        """What the bound called `name` is about: latency on a device, or what is counted.

        Raises:
            MissingLatencyError: As `of`.
        """
        if unit_of(name) != "ms":
            return counted_cost(self.space, name)
        return ExpectedLatency.from_network_latency(self.space, name, self.of(name).network)

    def predictions(
        self, chosen: Architecture, devices: Iterable[str]
    ) -> dict[str, NetworkPrediction]:
        """What is said of the network of `chosen`, by device, where there is a model."""
        found = {}
        for device in devices:
            try:
                model = self.of(device)
            except MissingLatencyError:
                continue
            found[device] = model.network.predict(self.space.operators(chosen))
        return found


def read_models(space: SearchSpace, folders: Sequence[Path]) -> SpaceModels:
    """The models for `space`, those in `folders` before others of the same devices.

    Raises:
        ArtefactError: A folder holds no model.
    """
    models = [read_model(path) for path in folders]
    return SpaceModels(space, {model.condition.device: model for model in models})
