"""SparseNets (Zhu et al. 2018): layers read the outputs at offsets 1, 2, 4, 8, ... before them.

As released, offsets count the stage's input as an output, and transitions and the classifier read
by the same rule. The published parameters are those of a stem of twice the first growth, as
DenseNet has, not of the released code, whose stem has the growth: its SparseNet-40-24 has 0.736 M
parameters and 290 M multiply-adds, -100-36 5.575 M and 2,289 M, -BC-100-24 1.449 M and 629 M. The
published 4.38 M of -BC-100-{16,32,64} are those of a stem of 64. The published 16.72 M of
-BC-100-{32,64,128} are reproduced by no stem (16: 17.29 M, 32: 17.31 M, 64: 17.34 M); it is here
with twice the first growth.
"""

from __future__ import annotations

from functools import partial

from ...latency.operators.dag import Dag
from ..aggregation.layers import Layer, bottleneck, window
from ..aggregation.network import AggregationNetwork, Stage, Stem, Transition
from ..aggregation.topology import Topology
from . import networks
from .densenet import half, same, stages

_CIFAR = partial(networks.published, classes=100, resolution=32)
_README = "README of Lyken17/SparseNet"


def sparsenet(
    depth: int,
    growths: tuple[int, int, int],
    *,
    is_bottleneck: bool = False,
    base: int = 2,
    stem: int | None = None,
) -> AggregationNetwork:
    """A SparseNet by concatenation for CIFAR.

    Args:
        depth: Weighted layers.
        growths: Channels of a layer in each stage.
        is_bottleneck: Whether it is a SparseNet-BC.
        base: Of the offsets.
        stem: Channels of the stem; None for twice the first growth.
    """
    topology = Topology.exponential(stages(depth, is_bottleneck=is_bottleneck) + 1, base)
    made = bottleneck if is_bottleneck else window
    return AggregationNetwork(
        Stem(2 * growths[0] if stem is None else stem),
        tuple(Stage(topology, Layer(outer=made(growth))) for growth in growths),
        Transition(half if is_bottleneck else same),
    )


@_CIFAR("sparsenet40_24", parameters=757_252, macs=312_063_360, source=f"{_README}: 0.76 M")
def sparsenet40_24(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-40-24 for CIFAR-100: three stages of 12 layers."""
    return sparsenet(40, (24, 24, 24)).network(classes, resolution)


@_CIFAR("sparsenet100_36", parameters=5_645_908, macs=2_361_686_112, source=f"{_README}: 5.65 M")
def sparsenet100_36(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-100-36 for CIFAR-100: three stages of 32 layers."""
    return sparsenet(100, (36, 36, 36)).network(classes, resolution)


@_CIFAR(
    "sparsenet100_16_32_64", parameters=7_218_148, macs=1_046_091_264, source=f"{_README}: 7.22 M"
)
def sparsenet100_16_32_64(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-100-{16,32,64} for CIFAR-100: wider where the image is smaller."""
    return sparsenet(100, (16, 32, 64)).network(classes, resolution)


@_CIFAR("sparsenet_bc100_24", parameters=1_461_124, macs=641_003_232, source=f"{_README}: 1.46 M")
def sparsenet_bc100_24(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-BC-100-24 for CIFAR-100: three stages of 16 layers with bottlenecks."""
    return sparsenet(100, (24, 24, 24), is_bottleneck=True).network(classes, resolution)


@_CIFAR(
    "sparsenet_bc100_16_32_64",
    parameters=4_376_852,
    macs=649_559_296,
    source=f"{_README}: 4.38 M, which a stem of 64 gives",
)
def sparsenet_bc100_16_32_64(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-BC-100-{16,32,64} for CIFAR-100, with a stem of 64."""
    made = sparsenet(100, (16, 32, 64), is_bottleneck=True, stem=64)
    return made.network(classes, resolution)


@_CIFAR(
    "sparsenet_bc100_32_64_128",
    parameters=17_339_780,
    macs=2_550_921_728,
    source=f"counted here: {_README} says 16.72 M, which its rule does not give",
)
def sparsenet_bc100_32_64_128(*, classes: int = 100, resolution: int = 32) -> Dag:
    """SparseNet-BC-100-{32,64,128} for CIFAR-100."""
    return sparsenet(100, (32, 64, 128), is_bottleneck=True).network(classes, resolution)


@networks.published(
    "sparsenet121",
    parameters=3_250_824,
    macs=1_819_742_464,
    source="counted here: the stages of DenseNet-121 by the rule; published as a picture alone",
)
def sparsenet121(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DenseNet-121 with the links at offsets 1, 2, 4, 8, 16 only, for ImageNet."""
    layer = Layer(outer=bottleneck(32))
    found = (Stage(Topology.exponential(depth + 1, 2), layer) for depth in (6, 12, 24, 16))
    stem = Stem(64, 7, halves=True)
    made = AggregationNetwork(stem, tuple(found), Transition(half))
    return made.network(classes, resolution)
