"""Inference runtimes, a file each. They run and time; they do no statistics and need no torch."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Runtime, Session

runtimes: Registry[Runtime] = Registry("runtime", __name__, "elat.runtimes")

__all__ = ["Runtime", "Session", "runtimes"]
