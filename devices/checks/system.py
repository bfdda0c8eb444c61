"""What the machine is, how well it tells the time, and what is recorded of its memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...core.errors import ArtefactError
from ..journal import read_journal
from .check import Check, passed, unknown, warned

_MAX_RESOLUTION_NS = 1000.0
_MAX_CLOCK_CALL_NS = 2000.0
_SLOW_SOURCES = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
_SOURCES = "/sys/devices/system/clocksource/clocksource0"


def system_checks(
    found: Mapping[str, Any], identity: Mapping[str, Any], root: Path
) -> Iterator[Check]:
    """Clock, memory pages, what `--tune` left behind, and the machine's name.

    Args:
        found: The state, as `devices.state.state` tells it.
        identity: The fingerprint, as `devices.state.fingerprint` tells it.
        root: Folder that holds `proc` and `sys`; another one serves tests.
    """
    yield _clock(found)
    yield _clock_source(identity.get("clock_source"))
    yield _recorded("huge pages", identity.get("transparent_hugepages"))
    yield _recorded("address randomisation", identity.get("address_randomisation"))
    yield _left_tuned(root)
    yield _identity(identity)


def _clock(found: Mapping[str, Any]) -> Check:
    resolution, call = found["clock_resolution_ns"], found["cpu_clock_call_ns"]
    text = f"resolution {resolution:.0f} ns, a reading of the thread clock {call:.0f} ns"
    if resolution <= _MAX_RESOLUTION_NS and call <= _MAX_CLOCK_CALL_NS:
        return passed("clock", text)
    return warned("clock", text, f"Choose a faster clock source: cat {_SOURCES}/available_*")


def _clock_source(source: str | None) -> Check:
    name = "clock source"
    if source is None:
        return unknown(name)
    if source not in _SLOW_SOURCES:
        return passed(name, source)
    repair = f"echo tsc | sudo tee {_SOURCES}/current_clocksource"
    return warned(name, f"{source}: reading it takes a microsecond or more", repair)


def _recorded(name: str, value: str | None) -> Check:
    """What is kept with every launch and no reason to warn."""
    return unknown(name) if value is None else passed(name, f"{value} (recorded)")


def _left_tuned(root: Path) -> Check:
    """Whether a run with `--tune` was killed before it put the clocks back."""
    name = "left tuned"
    try:
        journal = read_journal()
    except ArtefactError as error:
        return warned(name, str(error), "Look at the clocks, then remove the file.")
    if journal is None:
        return passed(name, "nothing")
    changes = "; ".join(map(str, journal.changes))
    if not journal.is_of_this_machine(root):
        return passed(name, f"nothing here; on another machine that shares ELAT_HOME: {changes}")
    if journal.is_alive:
        return passed(name, f"process {journal.pid} measures with --tune: {changes}")
    return warned(name, f"by a killed run: {changes}", f"elat doctor {journal.device} --restore")


def _identity(identity: Mapping[str, Any]) -> Check:
    cpu = identity.get("cpu", identity.get("machine", "unknown CPU"))
    place = "virtual machine" if identity.get("is_virtual") else identity.get("board", "machine")
    return passed("identity", f"{cpu}, {place}, kernel {identity.get('kernel', '?')}")
