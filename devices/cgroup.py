"""The control group of this process: how much CPU it may use, and how often it was stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .files import ROOT, read_integer, read_text

_CONTROLLERS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def cgroup_cpus(root: Path = ROOT) -> float | None:
    """CPUs that this process may use, the narrowest of its groups; None where there is no limit.

    Both versions of control groups are read.
    """
    return min((limit for limit in _limits(root)), default=None)


def throttled_periods(root: Path = ROOT) -> int | None:
    """How often the quota stopped this process's groups so far; None where nothing tells."""
    counts = [
        int(count)
        for folder in (*_folders_v2(root), *_folders_v1(root))
        for line in (read_text(folder / "cpu.stat") or "").splitlines()
        for name, _, count in (line.partition(" "),)
        if name == "nr_throttled" and count.isdecimal()
    ]
    return sum(counts) if counts else None


def _limits(root: Path) -> Iterator[float]:
    for folder in _folders_v2(root):
        quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
        if _is_count(quota) and _is_count(period):
            yield int(quota) / int(period)
    for folder in _folders_v1(root):
        quota_us = read_integer(folder / "cpu.cfs_quota_us")
        period_us = read_integer(folder / "cpu.cfs_period_us")
        if quota_us and period_us and quota_us > 0 and period_us > 0:
            yield quota_us / period_us


def _is_count(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _folders_v2(root: Path) -> Iterator[Path]:
    yield from _upwards(root / "sys/fs/cgroup", _group(root, ""))


def _folders_v1(root: Path) -> Iterator[Path]:
    for controllers in _CONTROLLERS:
        top = root / "sys/fs/cgroup" / controllers
        if top.is_dir() and not top.is_symlink():
            yield from _upwards(top, _group(root, "cpu"))


def _group(root: Path, controller: str) -> str:
    """The path of this process's group under `controller`; of version 2 where it is empty."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller in names.split(","):
            return path
    return ""


def _upwards(top: Path, group: str) -> Iterator[Path]:
    """The folder of `group` and those above it; a limit of any of them counts.

    In a container the group's path may be that of the host, of which only `top` is there.
    """
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:depth])
