"""Search algorithms, a file each."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Problem, SearchStep, Strategy

strategies: Registry[Strategy] = Registry("strategy", __name__, "elat.strategies")

__all__ = ["Problem", "SearchStep", "Strategy", "strategies"]
