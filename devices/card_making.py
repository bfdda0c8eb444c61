"""The card of a machine from its answers and the catalogue."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import UnknownNameError
from .asking import LEAST_PYTHON, WORKER_MODULES, Answers
from .catalogue import KnownMachine, Section, known_sections
from .device import NO_PYTHON, DeviceKind

_LONGEST_ID = 40
_BY_PROGRAM = "benchmark-model"
_PACKAGES = {"yaml": "pyyaml", "ai_edge_litert": "ai-edge-litert"}


@dataclass(frozen=True)
class Way:
    """How the machine was reached, as its card says it.

    Attributes:
        card: The sections `kind` and `transport` or `ssh`.
        name: What it is called in names and messages where nothing better is known.
        program: The section `program`; None where there is none.
    """

    card: Mapping[str, Any]
    name: str
    program: Mapping[str, Any] | None = None

    @property
    def kind(self) -> DeviceKind:
        """As its card says."""
        return DeviceKind(self.card["kind"])

    @property
    def has_python(self) -> bool:
        """Whether a Python is meant to measure there."""
        return bool(self.card.get("ssh", {}).get("python") != NO_PYTHON)


def id_of(name: str) -> str:
    """A card's id that says `name`: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name.replace("+", " plus")).encode("ascii", "ignore")
    found = re.sub(r"[^a-z0-9]+", "-", plain.decode().lower()).strip("-")[:_LONGEST_ID].strip("-")
    return found or "device"


def usual_id(way: Way, known: Sequence[KnownMachine], answers: Answers, section: Section) -> str:
    """The id of a card for which the user names none: after what is measured, if it is known."""
    measured = [m for m in known if bool(m.recognised.gpu) == section.is_for_gpu]
    named = [machine.id for machine in (*measured, *known)]
    return id_of(named[0] if named else (answers.text("model") or way.name))


def section_of(
    way: Way, known: Sequence[KnownMachine], answers: Answers, wanted: str | None
) -> tuple[str, Section]:
    """What a card measures with, by name: of what makes sense there the first that can be.

    Where nothing can be it is the first one all the same.

    Args:
        way: How it is reached.
        known: What it was recognised as.
        answers: What it told.
        wanted: The name that the user chose; None leaves it to the machine.

    Raises:
        UnknownNameError: There is no section `wanted`.
    """
    sections = known_sections()
    if wanted is not None:
        name = wanted.replace("_", "-")
        if name not in sections:
            raise UnknownNameError("runtime", wanted, sections)
        return name, sections[name]
    names = _sensible(way, known, answers)
    there = [name for name in names if is_there(sections[name], way, answers)]
    name = (there or names)[0]
    return name, sections[name]


def _sensible(way: Way, known: Sequence[KnownMachine], answers: Answers) -> list[str]:
    """Names of sections: what the user named a program for, then those of its GPU."""
    if way.kind is DeviceKind.ANDROID_ADB:
        return [_BY_PROGRAM]
    of_program = [] if way.program is None else [_BY_PROGRAM]
    of_known = [name for machine in reversed(known) for name in machine.sections]
    of_gpu = ["tensorrt", "trtexec"] if answers.gpus or not way.has_python else []
    of_python = [n for n in (*of_known, *of_gpu, "onnxruntime", "tflite") if n != _BY_PROGRAM]
    return [*of_program, *of_python]


def is_there(section: Section, way: Way, answers: Answers) -> bool:
    """Whether the machine has what `section` needs."""
    if section.is_by_program:
        return way.program is not None
    if not way.has_python:
        return bool(answers.tools & set(section.needs))
    python = answers.python
    if python is None or python.version < LEAST_PYTHON:
        return False
    return bool((python.modules | answers.tools) & set(section.needs))


def card_for(
    id_: str, way: Way, known: Sequence[KnownMachine], answers: Answers, section: Section
) -> dict[str, Any]:
    """The card of the machine, as a document."""
    runtime = section.runtime
    threads = runtime.get("threads", 1)
    fast = None if section.is_for_gpu else answers.fast_cpus(threads)
    name = " with ".join(m.name for m in known) or answers.text("model") or way.name
    card: dict[str, Any] = {"schema": 1, "id": id_, **way.card}
    if section.is_for_gpu and way.kind is DeviceKind.LOCAL_CPU:
        card["kind"] = str(DeviceKind.LOCAL_GPU)
    plural = "" if threads == 1 else "s"
    card |= {
        "description": f"{name}: {runtime['name']}, {runtime['precision']}, {threads} "
        f"thread{plural}.",
        "runtime": dict(runtime),
        "gates": dict(section.gates),
    }
    if fast is not None:
        card["cpu"] = {"affinity": list(fast)}
    if section.is_for_gpu:
        card["gpu"] = {"index": 0}
    if way.program is not None:
        card["program"] = dict(way.program)
    card["machine"] = _machine(known, answers)
    return card


def _machine(known: Sequence[KnownMachine], answers: Answers) -> dict[str, Any]:
    facts = [fact.model_dump(mode="json") for machine in known for fact in machine.facts]
    return {
        "known": [machine.id for machine in known],
        "verified": "never",
        "told": answers.told(),
        "facts": facts,
    }


def lacks(name: str, section: Section, way: Way, answers: Answers) -> list[str]:
    """What keeps the machine from measuring by the section `name`, a sentence each."""
    if is_there(section, way, answers):
        needs_python = way.has_python and not section.is_by_program
        return _lacks_of_python(way, answers) if needs_python else []
    if section.is_by_program:
        return [
            "the card names no benchmark_model yet: build or download one for its processor, then "
            "give the command again with --program FILE --replace"
        ]
    if not way.has_python:
        return [f"{name} needs a Python, or trtexec, which {way.name} has not"]
    found = _lacks_of_python(way, answers)
    python = answers.python
    if python is not None and not (python.modules | answers.tools) & set(section.needs):
        needed = " or ".join(_PACKAGES.get(need, need) for need in section.needs)
        found.append(f"{name} needs {needed}, which {way.name} has not")
    return found


def _lacks_of_python(way: Way, answers: Answers) -> list[str]:
    least = ".".join(map(str, LEAST_PYTHON))
    python = answers.python
    if python is None:
        return [f"{way.name} has no Python of that name; name one of {least} or later: --python"]
    if python.version < LEAST_PYTHON:
        version = ".".join(map(str, python.version))
        return [f"its Python is {version}, and elat needs {least}: name another one with --python"]
    missing = [_PACKAGES.get(m, m) for m in WORKER_MODULES if m not in python.modules]
    if not missing:
        return []
    return [f"its Python lacks {', '.join(missing)}: install them there with pip"]
