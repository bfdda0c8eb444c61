"""A physical device, read from its YAML card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ..core.artefact import elat_home
from ..core.config import Settings, parse, read_yaml
from ..core.errors import UnknownNameError
from .machine import MachineSection

PHONE_RUNTIME = "benchmark_model"
"""The runtime whose program runs where there is no Python."""

NO_PYTHON = "none"
"""What a card calls the Python of a board without one."""


class DeviceKind(StrEnum):
    """What a device is and how it is reached."""

    LOCAL_CPU = "local_cpu"
    LOCAL_GPU = "local_gpu"
    SIMULATED = "simulated"
    ANDROID_ADB = "android_adb"
    SSH = "ssh"


class Gates(Settings):
    """Limits that `elat doctor` warns about and that mark a measurement; None means no limit."""

    psi_some_avg10_max: float | None = Field(default=None, ge=0)
    load_per_core_max: float | None = Field(default=None, ge=0)
    temperature_max_c: float | None = None
    steal_max_pct: float | None = Field(default=None, ge=0)
    battery_min_pct: float | None = Field(default=None, ge=0, le=100)
    screen: bool | None = None
    airplane: bool | None = None


class Gpu(Settings):
    """The GPU that a device measures on, and what `--tune` sets on it.

    `lock_clocks` is in MHz, or `base` for the clock that the GPU holds under any load.
    """

    index: int = Field(default=0, ge=0)
    lock_clocks: Annotated[int, Field(gt=0)] | Literal["base"] | None = None
    persistence: bool | None = None


class Meter(StrEnum):
    """Where a machine counts energy."""

    RAPL = "rapl"
    HWMON = "hwmon"
    NVML = "nvml"
    TEGRASTATS = "tegrastats"


class Power(Settings):
    """The meter of a device's energy, and the rails that are added up.

    `rails` are labels of hwmon or names in the lines of tegrastats; the other meters have none.
    """

    meter: Meter
    rails: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_rails_where_needed(self) -> Self:
        has_rails = self.meter in (Meter.HWMON, Meter.TEGRASTATS)
        if has_rails != bool(self.rails):
            wanted = "names its rails" if has_rails else "has no rails"
            raise ValueError(f"meter {self.meter} {wanted}, found {list(self.rails)}")
        return self


class _Cpu(Settings):
    affinity: tuple[int, ...] | None = None
    turbo: bool | None = None


class Program(Settings):
    """A vendor's program that measures on a device and is brought there: a file, or an address.

    Attributes:
        path: A file of this machine; `~` is the home folder.
        url: Where it is fetched from when the user says so: `elat devices fetch`.
        sha256: What the file must be; needed with `url`.
        version: What the user calls it; the program does not tell.
    """

    path: Path | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^\x00-\x20\x7f]+$")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    version: str = Field(default="", pattern=r"^[A-Za-z0-9._+-]*$")

    @model_validator(mode="after")
    def _is_found_in_one_way(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("program needs either path or url, such as path: ~/benchmark_model")
        if self.url is not None and self.sha256 is None:
            raise ValueError("program.url needs sha256, so that nothing else is ever run")
        return self


class _Transport(Settings):
    serial: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
    folder: str = Field(default="/data/local/tmp/elat", pattern=r"^/[^\x00-\x1f\x7f]*$")


class Ssh(Settings):
    """How ssh reaches a board or server, and where elat works there.

    Attributes:
        host: A machine's name or address, or a name of the ssh configuration.
        user: Who logs in, and `port`: where; by default as the ssh configuration says.
        identity: File of the private key to use; by default as the ssh configuration says.
        config: An ssh configuration to use in place of the user's own.
        folder: Work folder; a relative one is below the login folder.
        python: The Python, 3.11 or later, that has numpy, pydantic, PyYAML and the runtime; `none`
            where there is none, and a vendor's program is driven from here.
    """

    host: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    user: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    port: int | None = Field(default=None, ge=1, le=65_535)
    identity: str | None = Field(default=None, pattern=r"^[^%\x00-\x1f\x7f-][^%\x00-\x1f\x7f]*$")
    config: Path | None = None
    folder: str = Field(default=".cache/elat", min_length=1)
    python: str = Field(default="python3", pattern=r"^[^~\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$")

    @property
    def has_python(self) -> bool:
        """Whether elat's own worker runs there."""
        return self.python != NO_PYTHON

    @property
    def address(self) -> str:
        """What ssh is given: `host`, `user@host` or `ssh://user@host:port`."""
        who = self.host if self.user is None else f"{self.user}@{self.host}"
        return who if self.port is None else f"ssh://{who}:{self.port}"


class _Card(Settings):
    schema_: int = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: DeviceKind
    description: str = ""
    runtime: dict[str, Any]
    cpu: _Cpu = _Cpu()
    gates: Gates = Gates()
    gpu: Gpu | None = None
    power: Power | None = None
    transport: _Transport | None = None
    ssh: Ssh | None = None
    program: Program | None = None
    machine: MachineSection | None = None

    @model_validator(mode="after")
    def _has_a_serial_where_needed(self) -> Self:
        if (self.kind is DeviceKind.ANDROID_ADB) != (self.transport is not None):
            raise ValueError("transport.serial is for kind android_adb, which needs it")
        return self

    @model_validator(mode="after")
    def _has_an_ssh_section_where_needed(self) -> Self:
        if (self.kind is DeviceKind.SSH) != (self.ssh is not None):
            raise ValueError("the section ssh is for kind ssh, which needs it: ssh: {host: pi}")
        return self

    @model_validator(mode="after")
    def _has_a_gpu_where_needed(self) -> Self:
        if self.kind is DeviceKind.LOCAL_GPU and self.gpu is None:
            raise ValueError("kind local_gpu needs a section gpu, such as gpu: {index: 0}")
        return self


@dataclass(frozen=True)
class Device:
    """A physical machine: identity, kind and gates, and how to pin on it.

    Attributes:
        id: The name on the command line and in every key.
        runtime: The card's runtime section, unread here; `latency.condition` reads it.
        affinity: CPU numbers the worker is pinned to, or None to leave it to the scheduler.
        turbo: Whether clocks may go beyond the base clock; None where the card does not mind.
        gpu: The GPU that is measured on, or None.
        power: The meter that the card names, or None to take what the machine has.
        serial: How adb calls the phone; None for what is not reached by adb.
        folder: The work folder on the phone; None for what is not reached by adb.
        ssh: How ssh reaches it; None for what is not reached by ssh.
        program: A vendor's program that measures there; None where the runtime needs none.
        machine: What is known of the machine itself; None where the card does not say.
    """

    id: str
    kind: DeviceKind
    description: str
    runtime: Mapping[str, Any] = field(hash=False)
    affinity: tuple[int, ...] | None = None
    gates: Gates = field(default_factory=Gates)
    turbo: bool | None = None
    gpu: Gpu | None = None
    power: Power | None = None
    serial: str | None = None
    folder: str | None = None
    ssh: Ssh | None = None
    program: Program | None = None
    machine: MachineSection | None = field(default=None, hash=False)

    @property
    def is_here(self) -> bool:
        """Whether it is this machine, or a part of it."""
        return self.kind in (DeviceKind.LOCAL_CPU, DeviceKind.LOCAL_GPU)

    @property
    def not_here_reason(self) -> str | None:
        """Why what is done on this machine alone cannot be done with it; None where it can."""
        if self.runtime.get("name") == PHONE_RUNTIME:
            return (
                f"{self.id} is measured by the program {PHONE_RUNTIME}: this works with runtimes "
                "that elat opens in a process of its own. What measures there is: elat measure, "
                f"verify, calibrate, profile with --device {self.id}"
            )
        if self.is_here or self.kind is DeviceKind.SIMULATED:
            return None
        return (
            f"{self.id} is another machine: this works on the one that elat runs on alone. What "
            f"measures there is: elat measure, verify, calibrate with --device {self.id}"
        )

    @property
    def elsewhere_reason(self) -> str | None:
        """Why elat cannot measure on it, with what it can do; None where it can."""
        is_phone = self.kind is DeviceKind.ANDROID_ADB
        if not is_phone or self.runtime.get("name") == PHONE_RUNTIME:
            return None
        return (
            f"{self.id} is a phone, which is measured by the runtime {PHONE_RUNTIME} alone, and "
            f"its card says {self.runtime.get('name')}; repair the runtime section of the card"
        )


def read_card(path: Path) -> Device:
    """The device that the card at `path` describes.

    Raises:
        ArtefactError: The file is missing or not YAML.
        ConfigError: A key is unknown, missing or out of range.
    """
    return device_of(read_yaml(path), str(path))


def device_of(data: Any, where: str) -> Device:
    """The device that a card's document `data` describes; `where` is its name in messages.

    Raises:
        ConfigError: A key is unknown, missing or out of range.
    """
    card = parse(_Card, data, where)
    return Device(
        id=card.id,
        kind=card.kind,
        description=card.description,
        runtime=card.runtime,
        affinity=card.cpu.affinity,
        gates=card.gates,
        turbo=card.cpu.turbo,
        gpu=card.gpu,
        power=card.power,
        serial=card.transport.serial if card.transport else None,
        folder=card.transport.folder if card.transport else None,
        ssh=card.ssh,
        program=card.program,
        machine=card.machine,
    )


def card_of(device: Device) -> dict[str, Any]:
    """The card of `device` as a JSON object, which `device_of` reads back."""
    card: dict[str, Any] = {
        "schema": 1,
        "id": device.id,
        "kind": str(device.kind),
        "description": device.description,
        "runtime": dict(device.runtime),
        "cpu": {
            "affinity": None if device.affinity is None else list(device.affinity),
            "turbo": device.turbo,
        },
    }
    for name in ("gates", "gpu", "power", "ssh", "program", "machine"):
        section = getattr(device, name)
        if section is not None:
            card[name] = section.model_dump(mode="json")
    if device.serial is not None:
        card["transport"] = {"serial": device.serial, "folder": device.folder}
    return card


def card_there(device: Device) -> dict[str, Any]:
    """The card by which a machine elsewhere knows itself as `device`, as a JSON object."""
    kind = DeviceKind.LOCAL_GPU if device.gpu else DeviceKind.LOCAL_CPU
    left_out = ("description", "ssh", "program", "machine", "transport")
    card = {name: value for name, value in card_of(device).items() if name not in left_out}
    return {**card, "kind": str(kind)}


def card_paths() -> dict[str, Path]:
    """Every known card by name: the bundled ones, then those in `ELAT_HOME/devices`."""
    folders = [Path(str(files(__package__) / "cards")), elat_home() / "devices"]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def find_device(name: str) -> Device:
    """The device named `name`, or described by the card file `name`.

    Raises:
        UnknownNameError: There is no such card.
    """
    if name.endswith((".yaml", ".yml")):
        return read_card(Path(name))
    paths = card_paths()
    if name not in paths:
        raise UnknownNameError("device", name, paths, "List them with: elat devices.")
    return read_card(paths[name])
