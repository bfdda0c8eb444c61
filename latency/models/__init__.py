"""Latency models, a file each: fit a table, answer for operators with uncertainty."""

from __future__ import annotations

from ...core.registry import Registry
from .base import LatencyModel, Prediction

latency_models: Registry[LatencyModel] = Registry("model", __name__, "elat.models")

__all__ = ["LatencyModel", "Prediction", "latency_models"]
