"""What a machine answers when it is asked what it is: over adb, over ssh, or this one.

Answers are hostile: they are text of limited length on one line, which no shell and no path ever
gets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.errors import CommandFailedError, WrongArchitectureError
from .machine import Scalar
from .phone.identity import identity_of
from .phone.programs import IDENTITY, Sections, ask
from .transports import Transport

LEAST_PYTHON = (3, 11)
"""Of the machine's Python, which runs elat's worker there."""

WORKER_MODULES = ("numpy", "pydantic", "yaml")
RUNTIME_MODULES = (
    "onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorrt", "tensorrt_rtx",
)  # fmt: skip

_LONGEST, _MOST_GPUS, _KEPT_BYTES = 200, 64, 2**16
_PYTHON_S = 30.0

_MACHINE = r"""
tell ro.product.device
getprop ro.product.device
tell cpu
head -n 400 "$root/proc/cpuinfo"
tell brand
sysctl -n machdep.cpu.brand_string
tell gpus
nvidia-smi --query-gpu=memory.total,name --format=csv,noheader,nounits
tell trtexec
command -v trtexec || ls /usr/src/tensorrt/bin/trtexec
"""
_PYTHON = """
import json, sys
from importlib.util import find_spec
found = [name for name in sys.argv[1:] if find_spec(name) is not None]
sys.stdout.write(json.dumps([list(sys.version_info[:2]), found]))
"""


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU as `nvidia-smi` names it, without the maker."""

    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Python:
    """The Python that a machine has: its version, and which of the modules asked for."""

    version: tuple[int, int]
    modules: frozenset[str]


@dataclass(frozen=True)
class Answers:
    """What a machine told of itself; empty where it did not.

    Attributes:
        identity: As `devices.phone.identify` tells it.
        device: Android's `ro.product.device`.
        cpu: The processor's name; machines of Arm tell none.
        tools: Programs that were found, such as `trtexec`.
        python: None where there is none of the name that was asked for.
    """

    identity: dict[str, Any]
    device: str = ""
    cpu: str = ""
    gpus: tuple[Gpu, ...] = ()
    tools: frozenset[str] = frozenset()
    python: Python | None = None

    def text(self, name: str) -> str:
        """What the identity says of `name`; empty where it says nothing."""
        return str(self.identity.get(name, ""))

    @property
    def memory_bytes(self) -> int | None:
        """All memory that the system has; a few per cent less than was built in."""
        found = self.identity.get("memory_bytes")
        return found if isinstance(found, int) else None

    def fast_cpus(self, threads: int = 1) -> tuple[int, ...] | None:
        """The CPUs of the fastest clusters that hold `threads`; None where all are alike.

        Of x86 processors, too: what their cores may be clocked to differs by a few per cent.
        """
        clusters = self.identity.get("clusters", [])
        if len(clusters) < 2 or not self._is_arm:
            return None
        chosen: list[int] = []
        for cluster in reversed(clusters):
            chosen.extend(cluster["cpus"])
            if len(chosen) >= threads:
                break
        return tuple(sorted(chosen))

    @property
    def _is_arm(self) -> bool:
        return self.text("machine").startswith(("aarch64", "arm"))

    def told(self) -> dict[str, Scalar]:
        """All of it that is worth keeping in a card, as text and numbers."""
        wanted = (
            "model", "manufacturer", "android", "build", "soc", "board", "release", "kernel",
            "machine", "cpus", "memory_bytes",
        )  # fmt: skip
        found: dict[str, Scalar] = {
            name: self.identity[name] for name in wanted if name in self.identity
        }
        for number, cluster in enumerate(self.identity.get("clusters", [])):
            cpus = ", ".join(map(str, cluster["cpus"]))
            found[f"cluster_{number}"] = f"{cluster['max_mhz']:g} MHz: CPUs {cpus}"
        if self.device:
            found["device"] = self.device
        if self.cpu:
            found["cpu"] = self.cpu
        for number, gpu in enumerate(self.gpus):
            found[f"gpu_{number}"] = f"{gpu.name}, {gpu.memory_bytes >> 20} MiB"
        return found


def ask_machine(transport: Transport, python: str | None, root: str = "") -> Answers:
    """What the machine behind `transport` is, in two round trips.

    Args:
        transport: The way to it.
        python: The Python there to ask for modules; None to leave that out.
        root: Folder there that holds `proc`, `sys` and `etc`; another one serves tests.

    Raises:
        UnavailableError: It does not answer.
    """
    told = ask(transport, IDENTITY + _MACHINE, root)
    found = None if python is None else _ask_python(transport, python)
    return answers_of(told, found)


def answers_of(told: Sections, python: Python | None = None) -> Answers:
    """What the sections of `ask` tell; any text gives an answer."""
    return Answers(
        identity=identity_of(told),
        device=_line(told.get("ro.product.device", "")),
        cpu=_cpu(told),
        gpus=tuple(_gpus(told.get("gpus", "")))[:_MOST_GPUS],
        tools=frozenset({"trtexec"}) if told.get("trtexec", "").strip() else frozenset(),
        python=python,
    )


def python_of(text: str) -> Python | None:
    """What the program that asks a Python printed; None where it is no such answer."""
    try:
        version, modules = json.loads(text)
        major, minor = version
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(major, int) and isinstance(minor, int) and isinstance(modules, list)):
        return None
    known = {*WORKER_MODULES, *RUNTIME_MODULES}
    return Python(
        (major, minor), frozenset(m for m in modules if isinstance(m, str) and m in known)
    )


def _ask_python(transport: Transport, python: str) -> Python | None:
    words = [python, "-c", _PYTHON, *WORKER_MODULES, *RUNTIME_MODULES]
    try:
        ended = transport.run(words, _PYTHON_S, kept_bytes=_KEPT_BYTES).checked()
    except (CommandFailedError, WrongArchitectureError):
        return None
    return python_of(ended.text)


def _line(text: str) -> str:
    """The first line of `text` that says something, printable and not too long."""
    first = next((line for line in text.splitlines() if line.strip("\0 \t")), "")
    return "".join(c for c in first if c.isprintable()).strip()[:_LONGEST]


def _cpu(told: Sections) -> str:
    match = re.search(r"^model name[ \t]*:[ \t]*(.+)$", told.get("cpu", ""), re.MULTILINE)
    return _line(match[1]) if match else _line(told.get("brand", ""))


def _gpus(text: str) -> Iterator[Gpu]:
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9]{1,9}), (.+)", line.strip())
        if match:
            name = _line(match[2]).removeprefix("NVIDIA ")
            yield Gpu(name, int(match[1]) << 20)
