"""Operators, a file each. The operator is the key of every table."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Operator, Shape

operators: Registry[Operator] = Registry("operator", __name__, "elat.operators")

__all__ = ["Operator", "Shape", "operators"]
