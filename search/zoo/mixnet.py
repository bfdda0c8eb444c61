"""MixNets (Wang et al. 2018): inner links add onto the last channels, outer links concatenate.

Not Google's networks of that name with mixed depthwise convolutions. Both links have bottlenecks
of their own, of four times their width, and a stem of max(2 k2, k1). All six published parameter
counts are reproduced to their digits; those for CIFAR are of ten classes (with 100 MixNet-250 has
29,120,272 and MixNet-190 has 48,734,960).
"""

from __future__ import annotations

from functools import partial

from ...latency.operators.dag import Dag
from ..aggregation.joins import Join
from ..aggregation.layers import Layer, bottleneck
from ..aggregation.network import AggregationNetwork, Stage, Stem, Transition
from ..aggregation.topology import Topology
from . import networks

_CIFAR = partial(networks.published, classes=10, resolution=32)
_PAPER = "Wang et al. 2018"


def mixnet(stem: Stem, depths: tuple[int, ...], inner: int, outer: int) -> AggregationNetwork:
    """A MixNet: `inner` channels are added (the paper's k1), `outer` concatenated (k2)."""
    layer = Layer(
        inner=bottleneck(inner) if inner else (), outer=bottleneck(outer) if outer else ()
    )
    stages = tuple(Stage(Topology.dense(depth + 1), layer, Join.MOVING) for depth in depths)
    return AggregationNetwork(stem, stages, Transition(lambda width: max(width // 2, inner)))


def mixnet_cifar(depth: int, inner: int, outer: int) -> AggregationNetwork:
    """A MixNet for CIFAR of `depth` = 6n + 4 weighted layers."""
    return mixnet(Stem(max(2 * outer, inner)), ((depth - 4) // 6,) * 3, inner, outer)


@_CIFAR("mixnet100_12_12", parameters=1_464_202, macs=539_784_540, source=f"{_PAPER}: 1.5 M")
def mixnet100_12_12(*, classes: int = 10, resolution: int = 32) -> Dag:
    """MixNet-100 (k1 = 12, k2 = 12) for CIFAR-10."""
    return mixnet_cifar(100, 12, 12).network(classes, resolution)


@_CIFAR(
    "mixnet250_24_24",
    parameters=28_964_122,
    macs=10_002_934_716,
    source=f"{_PAPER}: 29.0 M",
)
def mixnet250_24_24(*, classes: int = 10, resolution: int = 32) -> Dag:
    """MixNet-250 (k1 = 24, k2 = 24) for CIFAR-10."""
    return mixnet_cifar(250, 24, 24).network(classes, resolution)


@_CIFAR(
    "mixnet190_40_40",
    parameters=48_537_770,
    macs=17_247_468_940,
    source=f"{_PAPER}: 48.5 M",
)
def mixnet190_40_40(*, classes: int = 10, resolution: int = 32) -> Dag:
    """MixNet-190 (k1 = 40, k2 = 40) for CIFAR-10."""
    return mixnet_cifar(190, 40, 40).network(classes, resolution)


@networks.published(
    "mixnet105", parameters=11_156_776, macs=4_898_009_600, source=f"{_PAPER}: 11.16 M"
)
def mixnet105(*, classes: int = 100, resolution: int = 224) -> Dag:
    """MixNet-105 (k1 = 32, k2 = 32)."""
    made = mixnet(Stem(64, 7, halves=True), (6, 12, 20, 12), 32, 32)
    return made.network(classes, resolution)


@networks.published(
    "mixnet121", parameters=21_859_480, macs=8_151_869_440, source=f"{_PAPER}: 21.86 M"
)
def mixnet121(*, classes: int = 100, resolution: int = 224) -> Dag:
    """MixNet-121 (k1 = 40, k2 = 40)."""
    made = mixnet(Stem(80, 7, halves=True), (6, 12, 24, 16), 40, 40)
    return made.network(classes, resolution)


@networks.published(
    "mixnet141", parameters=41_074_600, macs=12_948_785_280, source=f"{_PAPER}: 41.07 M"
)
def mixnet141(*, classes: int = 100, resolution: int = 224) -> Dag:
    """MixNet-141 (k1 = 48, k2 = 48)."""
    made = mixnet(Stem(96, 7, halves=True), (6, 12, 30, 20), 48, 48)
    return made.network(classes, resolution)
