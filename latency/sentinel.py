"""The fixed reference case that every worker times beside the others."""

from __future__ import annotations

from .operators import Operator
from .operators.chain import Chain
from .operators.conv import Conv
from .operators.global_pool import GlobalPool
from .operators.mbconv import MBConv


def sentinel() -> Operator:
    """A chain of about 0.1 ms on a desktop core, with every kind of kernel that a network has.

    It must never change: the latencies of a store are relative to it.
    """
    return Chain(
        (
            Conv(4, 16, resolution=14, kernel=1),
            MBConv(16, 24, resolution=14, kernel=3, expand=6),
            GlobalPool(24, 14),
        )
    )
