"""Everything but the operator that decides a latency."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import Field

from ..core.config import Settings, parse
from ..core.errors import ConfigError
from ..devices.device import Device, DeviceKind
from .precision import Precision
from .runtimes import runtimes
from .sample import Clock, Interval

__all__ = [
    "Cache",
    "Condition",
    "Interval",
    "Method",
    "Option",
    "Precision",
    "RuntimeSection",
    "runtime_section",
]

Option = tuple[str, str | int | float | bool]


class Method(StrEnum):
    """How an operator was isolated for timing.

    `BLOCK` times the operator alone as a model, `KERNEL` takes off what its profile says is no
    kernel, `ISOLATED` times each of its primitives. `SLOPE` asks what one copy more costs,
    `IN_SITU` what it costs between two cheap neighbours, so that the layout changes and call
    overhead that an isolated operator pays, and a network does not, drop out. `SAMPLED` averages
    over profiles of random networks. Each is a file of `latency/methods`.
    """

    BLOCK = "block"
    KERNEL = "kernel"
    ISOLATED = "isolated"
    SLOPE = "slope"
    IN_SITU = "in_situ"
    SAMPLED = "sampled"


class Cache(StrEnum):
    """What a run finds in the caches: what the same run left there, or nothing (`cold.py`)."""

    HOT = "hot"
    COLD = "cold"


class RuntimeSection(Settings):
    """The runtime section of a device card."""

    name: str
    precision: Precision = Precision.FP32
    batch: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    method: Method = Method.BLOCK
    cache: Cache = Cache.HOT
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)


def runtime_section(device: Device) -> RuntimeSection:
    """The runtime section of the card of `device`.

    Raises:
        ConfigError: It has unknown keys or values out of range.
    """
    return parse(RuntimeSection, dict(device.runtime), f"runtime of device {device.id}")


@dataclass(frozen=True)
class Condition:
    """The other half of a latency's key; two conditions never share a table.

    Attributes:
        device: The id of the device's card.
        runtime: A name of the runtime registry, and `runtime_version` what was installed.
        options: The runtime's options (graph level, spinning, delegate), sorted by name.
        cache: State of the caches before a run.
    """

    device: str
    runtime: str
    runtime_version: str
    precision: Precision
    batch: int
    threads: int
    method: Method
    options: tuple[Option, ...]
    cache: Cache = Cache.HOT
    interval: Interval = Interval.HOST_TO_HOST
    launch: str = "process"

    @classmethod
    def of(cls, device: Device) -> Condition:
        """The condition that the runtime section of the card of `device` asks for, here and now.

        Raises:
            ConfigError: The section has unknown keys or values, or names an unknown runtime.
            UnavailableError: The runtime is not installed; or it is a board that has not been
                asked yet and does not answer.
        """
        runtime = runtimes[runtime_section(device).name]
        if device.kind is DeviceKind.SSH and not runtime.is_driven_from_here:
            from .remote.conditions import condition_of

            return condition_of(device)
        return cls.of_version(device)

    @classmethod
    def of_version(cls, device: Device, version: str | None = None) -> Condition:
        """As `of`, with the runtime's `version` on the device; None asks the runtime here."""
        section = runtime_section(device)
        runtime = runtimes[section.name]()
        if section.precision not in runtime.precisions:
            known = ", ".join(sorted(runtime.precisions))
            raise ConfigError(
                f"Device {device.id} asks for {section.precision}, which {section.name} does not "
                f"run here; it runs {known}."
            )
        options = runtime.options({**section.options, **runtime.options_on(device)})
        runtime.check(options, section.precision)
        return cls(
            device=device.id,
            runtime=section.name,
            runtime_version=runtime.version_on(device, options) if version is None else version,
            precision=section.precision,
            batch=section.batch,
            threads=section.threads,
            method=section.method,
            options=tuple(sorted(options.items())),
            cache=section.cache,
            interval=runtime.interval(options),
            launch=runtime.launch,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {**asdict(self), "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Condition:
        """The condition that `to_json` wrote."""
        return cls(
            **{
                **data,
                "precision": Precision(data["precision"]),
                "method": Method(data["method"]),
                "cache": Cache(data["cache"]),
                "interval": Interval(data["interval"]),
                "options": tuple(sorted(data["options"].items())),
            }
        )

    @property
    def of_models(self) -> Condition:
        """The condition under which the models are measured that the method derives from."""
        return replace(self, method=Method.BLOCK)

    @property
    def clock(self) -> Clock:
        """The clock that decides; programs of others tell wall time alone."""
        return Clock.WALL if self.launch != "process" else Clock.of(self.threads, self.interval)

    @property
    def engine(self) -> str:
        """Runtime and installed version, in words."""
        repeated = self.runtime in self.runtime_version
        return self.runtime_version if repeated else f"{self.runtime} {self.runtime_version}"

    def __str__(self) -> str:
        cold = ", cold caches" if self.cache is Cache.COLD else ""
        return (
            f"{self.device} ({self.engine}, {self.precision}, batch {self.batch}, "
            f"{self.threads} thread{'s' * (self.threads > 1)}, {self.method}{cold})"
        )
