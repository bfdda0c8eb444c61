"""Operators, conditions and launches that the tests of the store share."""

from __future__ import annotations

from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.sample import Sample

CONV = Conv(3, 8, resolution=8, kernel=3)
CHAIN = Chain((CONV, GlobalPool(8, 8)))
CONDITION = Condition("desk", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, (("a", 1),))


def convs(count):
    return [Conv(3, 8 + index, resolution=8, kernel=3) for index in range(count)]


def launch(worker="w", value=1.0, sentinel=None, count=3):
    """`count` samples of `value` ms, each with a sentinel of `sentinel` ms if that is given."""
    ns = round(value * 1e6)
    beside: tuple[Sample, ...] = ()
    if sentinel is not None:
        sentinel_ns = round(sentinel * 1e6)
        beside = (Sample(1, sentinel_ns, sentinel_ns, 0),) * count
    return Launch(worker, 0, "t", 1.0, 1.0, 30, True, 0.0, (Sample(1, ns, ns, 0),) * count, beside)
