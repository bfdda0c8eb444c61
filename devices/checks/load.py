"""Who else uses the machine: load, pressure, stolen time, threads that never rest, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..device import Gates
from ..state import steal_pct
from ..watch import Busy, Watch
from .check import Check, at_most, passed, unknown, warned

_MIN_MEMORY_BYTES = 1 << 30
_MAX_SWAP_BYTES = 64 << 20
_WHOLE_CORE = 0.9
_NAMED = 3


def load_checks(
    gates: Gates, found: Mapping[str, Any], watched: Watch, cores: int
) -> Iterator[Check]:
    """What the load of the moment says.

    Args:
        gates: The card's limits.
        found: The state, as `devices.state.state` tells it.
        watched: What happened during the watch.
        cores: Number of CPUs.
    """
    load = found.get("load_1min")
    yield at_most(
        "load",
        None if load is None else load / cores,
        gates.load_per_core_max,
        " per core",
        "End what else runs here (see: top), or measure with --protocol standard.",
    )
    yield at_most(
        "CPU pressure",
        found.get("psi_cpu_some_avg10"),
        gates.psi_some_avg10_max,
        " % of the last 10 s some task waited for a CPU",
        "End what else runs here (see: top).",
    )
    yield at_most(
        "steal",
        steal_pct(watched.before.ticks, watched.after.ticks),
        gates.steal_max_pct,
        " % of CPU time withheld by the hypervisor",
        "Measure at a quieter time, or on a machine whose cores are not shared.",
    )
    yield _spinning(watched)
    yield _memory(found)
    yield _swap(found)


def _spinning(watched: Watch) -> Check:
    """Whether another process kept a core busy all through the watch."""
    name = "spinning threads"
    if not watched.has_threads:
        return unknown(name)
    busy = watched.busy(_WHOLE_CORE)
    if not busy:
        return passed(name, f"no other thread held a core for {watched.seconds:.1f} s")
    pids = " ".join(str(pid) for pid in dict.fromkeys(b.pid for b in busy))
    return warned(name, f"hold a core each: {named(busy)}", f"End them: kill {pids}")


def named(busy: list[Busy]) -> str:
    """The busiest few by name, and how many more there are."""
    more = len(busy) - _NAMED
    tail = f" and {more} more" if more > 0 else ""
    return ", ".join(map(str, busy[:_NAMED])) + tail


def _memory(found: Mapping[str, Any]) -> Check:
    available = found.get("memory_available_bytes")
    if available is None:
        return unknown("memory")
    text = f"{available / 2**30:.1f} GiB available"
    if available >= _MIN_MEMORY_BYTES:
        return passed("memory", text)
    return warned("memory", text, "End what else holds memory; 1 GiB is enough.")


def _swap(found: Mapping[str, Any]) -> Check:
    used = found.get("swap_used_bytes")
    if used is None:
        return unknown("swap")
    text = f"{used / 2**20:.0f} MiB in use"
    if used <= _MAX_SWAP_BYTES:
        return passed("swap", text)
    repair = "Where memory is enough for it: sudo swapoff -a && sudo swapon -a"
    return warned("swap", f"{text}: a run may wait for the disk", repair)
