"""Where the time of a model goes on a device: a file of whatever origin, or a network by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.artefact import elat_home
from ..core.errors import ConfigError, MeasurementError, UnavailableError
from ..devices.device import Device, find_device
from ..latency.condition import Condition, Precision
from ..latency.operators import Operator
from ..latency.operators.chain import Chain
from ..latency.operators.dag import Dag
from ..latency.profiling.bench import Bench, Effort
from ..latency.profiling.model_file import ModelFile
from ..latency.profiling.opening import open_bench, unopened_reason
from ..latency.profiling.parts import split
from ..latency.profiling.passes import profile_file
from ..latency.profiling.profile import Profile
from ..latency.profiling.roofline import Roofline, find_roofline
from ..latency.store import open_store
from .measuring import default_cache
from .zoo import NetworkOrder, find_config

logger = logging.getLogger(__name__)

_FILES = (".onnx", ".tflite")
_NETWORK_FILES = (".config", ".json")


@dataclass(frozen=True)
class ProfileOrder:
    """What to profile.

    Attributes:
        model: A model file, or whatever names a network: of the zoo, a run folder, `net.config`.
        device: The name of a device's card, or its file.
        effort: How much to profile.
        has_bounds: Whether to put the roofline beside each node; the first time on a machine it is
            measured, which takes up to half a minute.
        store: Where to keep the profile; only of a network by name, since a store knows operators.
    """

    model: str
    device: str
    effort: Effort = field(default_factory=Effort)
    has_bounds: bool = True
    store: str | None = None


@dataclass(frozen=True)
class Part:
    """An operator of a network with its share of the time."""

    operator: str
    latency_ms: float
    layout_ms: float


@dataclass(frozen=True)
class ProfiledModel:
    """A profile with what it is of.

    Attributes:
        model: As it was asked for.
        parts: The operators of a network by name, in order; empty for a file.
        roofline: What the bounds are from, if they were asked for.
    """

    model: str
    profile: Profile
    parts: tuple[Part, ...]
    roofline: Roofline | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object: the profile's, and the model, its parts and the roofline beside."""
        return {
            **self.profile.to_json(),
            "model": self.model,
            "parts": [vars(part) for part in self.parts],
            "roofline": None if self.roofline is None else self.roofline.to_json(),
        }


def profile_model(order: ProfileOrder) -> ProfiledModel:
    """The profile that `order` asks for.

    Raises:
        UnavailableError: The device's runtime has no profiler, or it is not reachable here.
        UnknownNameError: No such device, file or network is known.
        ArtefactError: The file is no whole model.
        ConfigError: The file is not of the runtime's format, or leaves more open than the batch;
            or a file is to be kept in a store.
        MeasurementError: The runtime refuses the model, or its profiler failed.
    """
    device = find_device(order.device)
    if reason := device.elsewhere_reason:
        raise UnavailableError(reason)
    condition = Condition.of(device).of_models
    if reason := unopened_reason(device, condition):
        raise UnavailableError(reason)
    path = Path(order.model)
    is_file = _names_file(order.model)
    if is_file and order.store is not None:
        raise ConfigError(
            "A store keeps profiles of operators, and a model file is none: leave out --store, or "
            "name the network; see: elat zoo"
        )
    network = None if is_file else find_config(NetworkOrder(order.model))[0]
    if network is not None:
        path = default_cache().artefact(network, condition).model_path
    with open_bench(device) as bench:
        model, profile = profile_file(path, condition, effort=order.effort, bench=bench)
        roofline = _roofline(model, condition, device, bench) if order.has_bounds else None
        environment = bench.environment
    if roofline is not None:
        profile = profile.with_bounds(tuple(map(roofline.bound_ms, profile.nodes)))
    if network is not None and order.store is not None:
        with open_store(order.store) as opened:
            opened.record_profile(network, condition, profile.to_json(), environment)
    return ProfiledModel(order.model, profile, _parts(profile, network), roofline)


def _names_file(text: str) -> bool:
    path = Path(text)
    return path.suffix in _FILES or (path.is_file() and path.suffix not in _NETWORK_FILES)


def _parts(profile: Profile, network: Operator | None) -> tuple[Part, ...]:
    """What the operators of `network` take; nothing where the profile does not tell them apart."""
    if not isinstance(network, Chain | Dag):
        return ()
    try:
        found = split(profile, network)
    except MeasurementError as error:
        logger.warning("%s", error)
        return ()
    return tuple(
        Part(str(operator), part_ms, layout_ms)
        for operator, part_ms, layout_ms in zip(
            network.operators, found.part_ms, found.part_layout_ms, strict=True
        )
    )


def _roofline(model: ModelFile, condition: Condition, device: Device, bench: Bench) -> Roofline:
    """What the machine can do at best in the model's numbers.

    A model with integer weights computes in integers and may compute in reals besides.
    """
    kinds: Sequence[Precision] = (Precision.FP32,)
    if model.has_integers:
        kinds = (Precision.FP32, Precision.INT8)
    folder = elat_home() / "rooflines"
    found = [
        find_roofline(
            replace(condition, precision=kind), folder, affinity=device.affinity, bench=bench
        )
        for kind in kinds
    ]
    return found[0] if len(found) == 1 else found[0].fastest(found[1])
