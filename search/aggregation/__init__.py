"""Aggregation: which earlier outputs a layer reads, how it joins them, and what that costs."""

from __future__ import annotations

from .topology import Topology

__all__ = ["Topology"]
