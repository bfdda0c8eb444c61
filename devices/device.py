"""A physical device, read from its YAML card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field

from ..core.artefact import elat_home
from ..core.config import Settings, parse, read_yaml
from ..core.errors import UnknownNameError


class DeviceKind(StrEnum):
    """What a device is and how it is reached."""

    LOCAL_CPU = "local_cpu"
    SIMULATED = "simulated"


class Gates(Settings):
    """Limits that `elat doctor` warns about and that mark a measurement; None means no limit."""

    psi_some_avg10_max: float | None = Field(default=None, ge=0)
    load_per_core_max: float | None = Field(default=None, ge=0)
    temperature_max_c: float | None = None
    steal_max_pct: float | None = Field(default=None, ge=0)


class _Cpu(Settings):
    affinity: tuple[int, ...] | None = None


class _Card(Settings):
    schema_: int = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: DeviceKind
    description: str = ""
    runtime: dict[str, Any]
    cpu: _Cpu = _Cpu()
    gates: Gates = Gates()


@dataclass(frozen=True)
class Device:
    """A physical machine: identity, kind and gates, and how to pin on it.

    Attributes:
        id: The name on the command line and in every key.
        runtime: The card's runtime section, unread here; `latency.condition` reads it.
        affinity: CPU numbers the worker is pinned to, or None to leave it to the scheduler.
    """

    id: str
    kind: DeviceKind
    description: str
    runtime: Mapping[str, Any] = field(hash=False)
    affinity: tuple[int, ...] | None = None
    gates: Gates = field(default_factory=Gates)


def read_card(path: Path) -> Device:
    """The device that the card at `path` describes.

    Raises:
        ArtefactError: The file is missing or not YAML.
        ConfigError: A key is unknown, missing or out of range.
    """
    card = parse(_Card, read_yaml(path), str(path))
    return Device(
        id=card.id,
        kind=card.kind,
        description=card.description,
        runtime=card.runtime,
        affinity=card.cpu.affinity,
        gates=card.gates,
    )


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
