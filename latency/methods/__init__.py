"""Ways to get the latency of an operator from what can be measured: whole models.

A new way is one file with its class, and a member of `latency.condition.Method`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..condition import Method
from .base import Evidence, Found, Subjects, TimingMethod
from .block import Block
from .in_situ import InSitu
from .isolated import Isolated
from .kernel import Kernel
from .sampled import Sampled
from .slope import Slope

METHODS: Mapping[Method, TimingMethod] = MappingProxyType(
    {
        Method.BLOCK: Block(),
        Method.KERNEL: Kernel(),
        Method.ISOLATED: Isolated(),
        Method.SLOPE: Slope(),
        Method.IN_SITU: InSitu(),
        Method.SAMPLED: Sampled(),
    }
)

__all__ = ["METHODS", "Evidence", "Found", "Subjects", "TimingMethod"]
