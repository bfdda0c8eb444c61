"""The machine's identity, and its state of the moment, read from Linux; absent stays absent.

A file that is not there, or that does not say what is expected, gives no entry: nothing is
guessed.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from .cgroup import cgroup_cpus
from .files import ROOT, read_integer, read_text, to_number
from .host import host_hash
from .journal import tuned_settings
from .knobs import policies

_PACKAGES = ("elat", "numpy", "onnxruntime", "ai-edge-litert", "tflite-runtime", "torch")
_FLAGS = frozenset(
    ("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl",
     "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
     "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "hypervisor")
)  # fmt: skip
_ENVIRONMENT = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS", "LD_PRELOAD", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES",
)  # fmt: skip


def fingerprint(root: Path = ROOT) -> dict[str, Any]:
    """What the machine and its software are: the same in every launch, unless something changed.

    The host is named by a keyed hash of its machine id, from which neither can be found again.

    Args:
        root: Folder that holds `proc`, `sys` and `etc`; another one serves tests.
    """
    found: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _versions(),
        "cpus": os.cpu_count(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        "clock": time.get_clock_info("perf_counter").implementation,
        **_cpu_model(root),
        "caches": _caches(root),
        "smt": read_text(root / "sys/devices/system/cpu/smt/active"),
        "isolated_cpus": read_text(root / "sys/devices/system/cpu/isolated"),
        "memory_bytes": _meminfo(root).get("MemTotal"),
        "transparent_hugepages": _chosen(root / "sys/kernel/mm/transparent_hugepage/enabled"),
        "address_randomisation": read_text(root / "proc/sys/kernel/randomize_va_space"),
        "clock_source": read_text(
            root / "sys/devices/system/clocksource/clocksource0/current_clocksource"
        ),
        "board": read_text(root / "sys/class/dmi/id/product_name")
        or read_text(root / "proc/device-tree/model"),
        "host": host_hash(root),
    }
    return _told(found)


def state(root: Path = ROOT) -> dict[str, Any]:
    """Clocks, heat, load and limits of this moment.

    Percentages are of one CPU's time for pressure (`psi_*`, as the kernel averages it over 10 s);
    frequencies in kHz, temperatures in degrees Celsius, memory in bytes, times in seconds, clocks
    in nanoseconds.
    """
    memory = _meminfo(root)
    found: dict[str, Any] = {
        "utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "uptime_s": to_number((read_text(root / "proc/uptime") or "").partition(" ")[0]),
        **_load(root),
        **_pressure(root),
        "governors": _governors(root),
        "khz": _frequencies(root, "scaling_cur_freq"),
        "max_khz": _frequencies(root, "scaling_max_freq"),
        "turbo_off": read_text(root / "sys/devices/system/cpu/intel_pstate/no_turbo"),
        "temperatures_c": _temperatures(root),
        "throttle_count": throttle_count(root),
        "memory_available_bytes": memory.get("MemAvailable"),
        "swap_used_bytes": _difference(memory, "SwapTotal", "SwapFree"),
        "cgroup_cpus": cgroup_cpus(root),
        "affinity": _affinity(),
        "tuned": tuned_settings(root),
        **clock_costs(),
    }
    return {**_told(_portable(root)), **_told(found)}


def clock_costs(calls: int = 200) -> dict[str, float]:
    """Resolution of the wall clock and median cost of a call of each clock, in nanoseconds."""
    wall, cpu = [], []
    for _ in range(calls):
        first = time.perf_counter_ns()
        second = time.perf_counter_ns()
        time.thread_time_ns()
        third = time.perf_counter_ns()
        wall.append(second - first)
        cpu.append(third - second)
    steps = [step for step in wall if step > 0]
    return {
        "clock_resolution_ns": float(min(steps, default=0)),
        "clock_call_ns": float(median(wall)),
        "cpu_clock_call_ns": float(max(0.0, median(cpu) - median(wall))),
    }


def busy_ticks(root: Path = ROOT) -> int | None:
    """Ticks since the start in which a CPU worked for a process or the kernel, of all CPUs."""
    fields = _tick_fields(root)
    return None if fields is None else sum(fields[:3]) + sum(fields[5:7])


def cpu_ticks(root: Path = ROOT) -> tuple[int, int] | None:
    """Ticks since the start that the hypervisor withheld, and all ticks; None where not told."""
    fields = _tick_fields(root)
    return None if fields is None else (fields[7], sum(fields))


def throttle_count(root: Path = ROOT) -> int | None:
    """How often heat slowed a core down since the start; None where nothing counts it."""
    pattern = "cpu[0-9]*/thermal_throttle/core_throttle_count"
    found = map(read_integer, (root / "sys/devices/system/cpu").glob(pattern))
    counts = [count for count in found if count is not None]
    return sum(counts) if counts else None


def steal_pct(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    """Share of CPU time that the hypervisor withheld between two readings, in per cent."""
    if before is None or after is None or after[1] <= before[1]:
        return None
    return 100 * (after[0] - before[0]) / (after[1] - before[1])


def _tick_fields(root: Path) -> list[int] | None:
    """User, nice, system, idle, waiting, interrupts, soft interrupts and stolen ticks."""
    name, *fields = (read_text(root / "proc/stat") or "").partition("\n")[0].split() or ("",)
    if name != "cpu" or len(fields) < 8 or not all(f.isdecimal() for f in fields[:8]):
        return None
    return [int(field) for field in fields[:8]]


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """`found` without what is not known."""
    return {name: value for name, value in found.items() if value not in (None, "", {}, [])}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model(root: Path) -> dict[str, Any]:
    """Model, flags that matter to kernels, microcode, and whether a hypervisor runs it."""
    first = (read_text(root / "proc/cpuinfo") or "").partition("\n\n")[0]
    fields = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in first.splitlines())
    }
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    part = " ".join(
        f"{name} {fields[name]}" for name in ("CPU implementer", "CPU part") if name in fields
    )
    return {
        "cpu": fields.get("model name") or part or None,
        "microcode": fields.get("microcode"),
        "cpu_flags": sorted(flags & _FLAGS),
        "is_virtual": ("hypervisor" in flags) if flags else None,
        "cores": int(fields["cpu cores"]) if fields.get("cpu cores", "").isdecimal() else None,
    }


def _caches(root: Path) -> dict[str, str]:
    """Sizes of the caches of the first CPU: `{"L1 Data": "48K", ...}`."""
    found = {}
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read_text(folder / name) for name in ("level", "type", "size"))
        if level and kind and size:
            found[f"L{level} {kind}"] = size
    return found


def _meminfo(root: Path) -> dict[str, int]:
    """Entries of `/proc/meminfo`, in bytes."""
    lines = (read_text(root / "proc/meminfo") or "").splitlines()
    found = (re.fullmatch(r"(\w+):\s+(\d+) kB", line) for line in lines)
    return {m[1]: 1024 * int(m[2]) for m in found if m}


def _difference(values: dict[str, int], whole: str, part: str) -> int | None:
    return values[whole] - values[part] if whole in values and part in values else None


def _chosen(path: Path) -> str | None:
    """The option in square brackets, as the kernel marks the one in force."""
    match = re.search(r"\[(\w+)\]", read_text(path) or "")
    return match[1] if match else None


def _load(root: Path) -> dict[str, float | None]:
    fields = (read_text(root / "proc/loadavg") or "").split()
    if len(fields) < 4:
        return {}
    return {
        "load_1min": to_number(fields[0]),
        "load_5min": to_number(fields[1]),
        "runnable": to_number(fields[3].partition("/")[0]),
    }


def _pressure(root: Path) -> dict[str, float | None]:
    """Share of time in which some task waited for the resource (PSI), in per cent."""
    found = {}
    for resource in ("cpu", "memory", "io"):
        text = read_text(root / "proc/pressure" / resource) or ""
        match = re.search(r"some avg10=([\d.]+)", text)
        found[f"psi_{resource}_some_avg10"] = to_number(match[1]) if match else None
    return found


def _frequency_files(root: Path, name: str) -> Iterator[str]:
    for path in sorted((root / "sys/devices/system/cpu/cpufreq").glob(f"policy*/{name}")):
        text = read_text(path)
        if text:
            yield text


def _governors(root: Path) -> list[str]:
    """Governors of the CPUs that this process may run on; of all where none of them has one."""
    allowed, everywhere = policies(root, _affinity()), policies(root, None)
    return sorted({policy.governor for policy in allowed or everywhere} - {""})


def _frequencies(root: Path, name: str) -> list[int]:
    return [int(text) for text in _frequency_files(root, name) if text.isdecimal()]


def _temperatures(root: Path) -> dict[str, float]:
    """Thermal zones by type, the hottest of each."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        kind, value = read_text(zone / "type"), to_number(read_text(zone / "temp"))
        if kind and value is not None:
            found[kind] = max(found.get(kind, -273.0), value / 1000)
    return found


def _affinity() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else None


def _portable(root: Path) -> dict[str, Any]:
    """What psutil knows of a system that has no `/proc`; nothing on Linux."""
    if root != ROOT or (root / "proc/stat").exists():
        return {}
    import psutil

    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return {
        "load_1min": psutil.getloadavg()[0],
        "memory_available_bytes": psutil.virtual_memory().available,
        "swap_used_bytes": psutil.swap_memory().used,
        "khz": [round(1000 * frequency.current)] if frequency else [],
    }
