"""Machines that people ask for: what is published of each, and how it is recognised.

Nobody needs to have one: a machine of the catalogue is no device. `elat devices add` copies its
facts into the card of a device that it recognises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ..core.config import Settings, parse, read_yaml
from ..core.errors import ArtefactError, UnknownNameError
from .machine import CardFact

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Text = Annotated[str, Field(min_length=1)]


class MachineKind(StrEnum):
    """What a machine is, for people who look for one."""

    PHONE = "phone"
    BOARD = "board"
    GPU = "gpu"
    CPU = "cpu"
    MAC = "mac"


class Source(Settings):
    """A page or file that says what a fact says, as it was read."""

    title: Text
    url: str = Field(pattern=r"^https://[^\x00-\x20\x7f]+$")


class Cluster(Settings):
    """Cores of one kind; `max_ghz` is left out where no source is at hand."""

    cores: int = Field(ge=1)
    kind: Text
    max_ghz: float | None = Field(default=None, gt=0, lt=10)

    def __str__(self) -> str:
        clock = "" if self.max_ghz is None else f" {self.max_ghz:g} GHz"
        return f"{self.cores} x {self.kind}{clock}"


class Facts(Settings):
    """What one source says of a machine; every key may be missing.

    Attributes:
        cpu: Clusters, the fastest first.
        memory_gb: Sizes that it is sold with, in the maker's GB.
        memory_bandwidth_gb_s: Of the memory that the CPU reads, 10^9 bytes a second.
        gpu_multiprocessors: Streaming multiprocessors of an NVIDIA GPU.
        gpu_compute_capability: CUDA's version of an NVIDIA GPU.
        released: `2023`, `2023-10` or `2023-10-12`; quarters as `2023-Q4`.
    """

    cpu: tuple[Cluster, ...] | None = Field(default=None, min_length=1)
    memory_type: Text | None = None
    memory_gb: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(default=None, min_length=1)
    memory_bandwidth_gb_s: float | None = Field(default=None, gt=0)
    gpu: Text | None = None
    gpu_multiprocessors: int | None = Field(default=None, ge=1)
    gpu_compute_capability: str | None = Field(default=None, pattern=r"^[0-9]+\.[0-9]$")
    gpu_memory_type: Text | None = None
    gpu_memory_gb: float | None = Field(default=None, gt=0)
    gpu_memory_bandwidth_gb_s: float | None = Field(default=None, gt=0)
    released: str | None = Field(
        default=None, pattern=r"^20[0-9]{2}(-(0[1-9]|1[0-2])(-[0-3][0-9])?|-Q[1-4])?$"
    )

    def told(self) -> Iterator[tuple[str, str | int | float]]:
        """Every fact that is there, by name, as a number or text."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield (
                    name,
                    ", ".join(
                        f"{item:g}" if isinstance(item, float) else str(item) for item in value
                    ),
                )
            elif value is not None:
                yield name, value


class Recognised(Settings):
    """By what a machine is recognised: all that is named has to fit, each by one of its texts.

    Attributes:
        model: Android's `ro.product.model`; a `*` at the end stands for any ending.
        device: Android's `ro.product.device`.
        soc: Android's `ro.soc.model`.
        board: A part of the text in `/proc/device-tree/model`.
        cpu: The processor's name, without the maker's trade marks.
        gpu: The name of `nvidia-smi`, without `NVIDIA` in front.
        memory_gb: Of the machine, or of the GPU where `gpu` is named; a tenth less may be left.
    """

    model: tuple[Text, ...] = ()
    device: tuple[Text, ...] = ()
    soc: tuple[Text, ...] = ()
    board: tuple[Text, ...] = ()
    cpu: tuple[Text, ...] = ()
    gpu: tuple[Text, ...] = ()
    memory_gb: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        named = (self.model, self.device, self.soc, self.board, self.cpu, self.gpu)
        if not any(named):
            raise ValueError("a machine is recognised by nothing; name its model, board, cpu, gpu")
        return self


class _Chip(Settings):
    name: Text
    facts: dict[Name, Facts]


class _Machine(Settings):
    name: Text
    kind: MachineKind
    chip: Name | None = None
    recognised: Recognised
    sections: tuple[Name, ...] = Field(min_length=1)
    verified: Literal["never"] | date
    note: str = ""
    facts: dict[Name, Facts] = Field(default_factory=dict)


class _Family(Settings):
    """A file of the catalogue: chips and machines, and the sources of all that is said of them."""

    schema_: Literal[1] = Field(alias="schema")
    sources: dict[Name, Source]
    chips: dict[Name, _Chip] = Field(default_factory=dict)
    machines: dict[Name, _Machine]

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        told: list[_Chip | _Machine] = [*self.chips.values(), *self.machines.values()]
        cited = {source for item in told for source in item.facts}
        chips = {machine.chip for machine in self.machines.values()} - {None}
        for noun, found, known in (
            ("sources", cited, set(self.sources)),
            ("chips", chips, set(self.chips)),
        ):
            if found != known:
                raise ValueError(f"{noun}: {sorted(map(str, found ^ known))} unknown or unused")
        return self


class Section(Settings):
    """A way to measure on a machine: what a card gets, and what must be there.

    Attributes:
        needs: Of these one has to be there: a module of Python, a program, or the `program` that
            the card names.
        is_for_gpu: Whether it measures on the machine's NVIDIA GPU.
        runtime: The runtime section of the card, unread here.
        gates: Likewise the gates.
    """

    needs: tuple[Text, ...] = Field(min_length=1)
    is_for_gpu: bool = False
    runtime: dict[str, Any]
    gates: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_by_program(self) -> bool:
        """Whether a program that the card names measures, and no Python is needed there."""
        return self.needs == ("program",)


class _Sections(Settings):
    schema_: Literal[1] = Field(alias="schema")
    sections: dict[Name, Section]


@dataclass(frozen=True)
class KnownMachine:
    """A machine of the catalogue.

    Attributes:
        chip: The name of its chip; empty where the machine is named after it.
        sections: Names of the ways to measure on it, the usual one first.
        facts: Its own, then those of its chip, each with its source.
        note: What else is to be known, such as regions that get another chip.
    """

    id: str
    name: str
    kind: MachineKind
    chip: str
    recognised: Recognised
    sections: tuple[str, ...]
    verified: Literal["never"] | date
    facts: tuple[CardFact, ...]
    note: str = ""

    def fact(self, name: str) -> str | int | float | None:
        """The value of the fact `name`; None where there is none."""
        return next((fact.value for fact in self.facts if fact.name == name), None)


def known_machines() -> dict[str, KnownMachine]:
    """The catalogue by id, in the order of its files.

    Raises:
        ArtefactError, ConfigError: A file of it is damaged.
    """
    found: dict[str, KnownMachine] = {}
    for path in sorted(_folder("machines").glob("*.yaml")):
        for machine in read_family(path):
            if machine.id in found:
                raise ArtefactError(f"{path}: {machine.id} stands in another file, too.")
            found[machine.id] = machine
    return found


def read_family(path: Path) -> list[KnownMachine]:
    """The machines of the catalogue's file at `path`.

    Raises:
        ArtefactError: It is missing or no YAML.
        ConfigError: A key is unknown, missing or out of range, or a source is not named.
    """
    family = parse(_Family, read_yaml(path), str(path))
    return [_known(family, id_) for id_ in family.machines]


def known_machine(id_: str) -> KnownMachine:
    """The machine `id_` of the catalogue.

    Raises:
        UnknownNameError: There is none of that id.
    """
    found = known_machines()
    if id_ not in found:
        raise UnknownNameError("machine", id_, found, "List them with: elat devices known.")
    return found[id_]


def known_sections() -> Mapping[str, Section]:
    """Every way to measure that a card may be given, by name.

    Raises:
        ArtefactError, ConfigError: Its file is damaged.
    """
    path = _folder("machines").parent / "sections.yaml"
    return parse(_Sections, read_yaml(path), str(path)).sections


def _folder(name: str) -> Path:
    return Path(str(files(__package__) / name))


def _known(family: _Family, id_: str) -> KnownMachine:
    machine = family.machines[id_]
    chip = None if machine.chip is None else family.chips[machine.chip]
    of_chip = {} if chip is None else chip.facts
    return KnownMachine(
        id=id_,
        name=machine.name,
        kind=machine.kind,
        chip="" if chip is None else chip.name,
        recognised=machine.recognised,
        sections=machine.sections,
        verified=machine.verified,
        facts=(*_sourced(machine.facts, family, id_), *_sourced(of_chip, family, id_)),
        note=machine.note,
    )


def _sourced(facts: Mapping[str, Facts], family: _Family, of: str) -> Iterator[CardFact]:
    for key, told in facts.items():
        source = family.sources[key]
        for name, value in told.told():
            yield CardFact(of=of, name=name, value=value, source=source.title, url=source.url)


def plain_cpu(name: str) -> str:
    """A processor's name as the kernel tells it, without trade marks, clock and `N-Core`."""
    text = re.sub(r"\((R|TM|r|tm)\)|@.*|\b[0-9]+-Core\b|\b(CPU|Processor|Intel|AMD)\b", " ", name)
    return " ".join(text.split())
