"""What a phone or board is: the same each time it is asked, unless it was updated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..transports import Transport
from .programs import IDENTITY, Sections, ask

_LONGEST = 200
_MOST_CPUS = 1024


def identify(transport: Transport, root: str = "") -> dict[str, Any]:
    """Model, system, processor and memory of the device behind `transport`, in one round trip.

    Keys are there as far as the device tells: `model`, `manufacturer`, `android`, `sdk`, `build`,
    `soc`, `abi`, `board`, `release`, `kernel`, `machine`, `cpus`, `clusters` (CPUs with one
    highest clock: `{"cpus": [0, 1], "max_mhz": 1804.8}`) and `memory_bytes`.

    Args:
        transport: The way to it.
        root: Folder there that holds `proc`, `sys` and `etc`; another one serves tests.

    Raises:
        UnavailableError: It does not answer.
    """
    return identity_of(ask(transport, IDENTITY, root))


def identity_of(told: Sections) -> dict[str, Any]:
    """What the sections of `programs.IDENTITY` tell; any text gives an answer."""
    clocks = dict(_clocks(told.get("cpus", "")))
    found: dict[str, Any] = {
        "model": _first(told, "ro.product.model"),
        "manufacturer": _first(told, "ro.product.manufacturer"),
        "android": _first(told, "ro.build.version.release"),
        "sdk": _first(told, "ro.build.version.sdk"),
        "build": _first(told, "ro.build.fingerprint"),
        "soc": _first(told, "ro.soc.model", "ro.board.platform", "ro.hardware"),
        "abi": _first(told, "ro.product.cpu.abi"),
        "board": _first(told, "board"),
        "release": _release(told.get("release", "")),
        "kernel": _first(told, "kernel"),
        "machine": _first(told, "machine"),
        "cpus": len(clocks),
        "clusters": _clusters(clocks),
        "memory_bytes": _memory_bytes(told.get("memory", "")),
    }
    return {name: value for name, value in found.items() if value}


def _first(told: Sections, *names: str) -> str | None:
    """The first line of the first of the sections `names` that says something."""
    for name in names:
        text = told.get(name, "").strip("\0 \t\n").partition("\n")[0]
        if text and text != "unknown":
            return _clean(text)
    return None


def _release(text: str) -> str | None:
    """The system's name, from `os-release` (os-release(5))."""
    match = re.search(r"^PRETTY_NAME=[\"']?([^\"'\n]+)", text, re.MULTILINE)
    return None if match is None else _clean(match[1])


def _clean(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:_LONGEST]


def _clocks(text: str) -> Iterator[tuple[int, float | None]]:
    """Number and highest clock in MHz of each CPU; None where it is off or does not tell."""
    for line in text.splitlines()[:_MOST_CPUS]:
        match = re.fullmatch(r"([0-9]{1,4}) ([0-9]{1,9}|-)", line)
        if match:
            yield int(match[1]), None if match[2] == "-" else int(match[2]) / 1000


def _clusters(clocks: dict[int, float | None]) -> list[dict[str, Any]]:
    """CPUs with one highest clock, the slowest first."""
    tops = sorted({mhz for mhz in clocks.values() if mhz is not None})
    return [
        {"cpus": sorted(cpu for cpu, mhz in clocks.items() if mhz == top), "max_mhz": top}
        for top in tops
    ]


def _memory_bytes(text: str) -> int | None:
    match = re.search(r"^MemTotal: +([0-9]{1,15}) kB$", text, re.MULTILINE)
    return None if match is None else 1024 * int(match[1])
