"""The profilers that runtimes bring, a file each, registered under the runtime's name."""

from __future__ import annotations

from ....core.registry import Registry
from .base import Profiler

profilers: Registry[Profiler] = Registry("profiler", __name__, "elat.profilers")

__all__ = ["Profiler", "profilers"]
