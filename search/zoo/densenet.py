"""DenseNets (Huang et al. 2017): every layer concatenates all before it.

Those for CIFAR are counted with 100 classes, as SparseNet's authors list them, but for BC-250-24
and BC-190-40: their published 15.3 M and 25.6 M are those of ten classes (with 100 they have
15,480,556 and 25,821,620).

Checked against pytorchcv 0.0.74: the BC variants for CIFAR and those for ImageNet have equal
parameters and multiply-adds, and with equal weights equal outputs. Its networks without BC halve
the channels in transitions, the paper's do not.
"""

from __future__ import annotations

from functools import partial

from ...latency.operators.dag import Dag
from ..aggregation.layers import Layer, bottleneck, window
from ..aggregation.network import AggregationNetwork, Stage, Stem, Transition
from ..aggregation.topology import Topology
from . import networks

_CIFAR = partial(networks.published, classes=100, resolution=32)
_CIFAR10 = partial(networks.published, classes=10, resolution=32)
_PAPER = "Huang et al. 2017, table 2"
_IMAGENET = "Huang et al. 2017, table 1; parameters of torchvision's network of that name"


def stages(depth: int, *, is_bottleneck: bool = False) -> int:
    """Layers in each of the three stages of a network for CIFAR of `depth` weighted layers."""
    return (depth - 4) // (6 if is_bottleneck else 3)


def half(channels: int) -> int:
    """What a transition of the C variants leaves."""
    return channels // 2


def same(channels: int) -> int:
    """What a transition leaves without compression."""
    return channels


def densenet_cifar(depth: int, growth: int, *, is_bottleneck: bool = False) -> AggregationNetwork:
    """A DenseNet for CIFAR, with `is_bottleneck` a DenseNet-BC; the stem has twice the growth."""
    layer = Layer(outer=bottleneck(growth) if is_bottleneck else window(growth))
    stage = Stage(Topology.dense(stages(depth, is_bottleneck=is_bottleneck) + 1), layer)
    return AggregationNetwork(
        Stem(2 * growth), (stage,) * 3, Transition(half if is_bottleneck else same)
    )


def densenet_imagenet(depths: tuple[int, ...], growth: int) -> AggregationNetwork:
    """A DenseNet-BC for ImageNet with `depths` layers in its stages."""
    layer = Layer(outer=bottleneck(growth))
    found = tuple(Stage(Topology.dense(depth + 1), layer) for depth in depths)
    return AggregationNetwork(Stem(2 * growth, 7, halves=True), found, Transition(half))


@_CIFAR("densenet40_12", parameters=1_100_428, macs=282_958_368, source=f"{_PAPER}: 1.0 M")
def densenet40_12(*, classes: int = 100, resolution: int = 32) -> Dag:
    """DenseNet-40-12 for CIFAR-100: three stages of 12 layers."""
    return densenet_cifar(40, 12).network(classes, resolution)


@_CIFAR("densenet100_12", parameters=7_189_468, macs=1_816_849_248, source=f"{_PAPER}: 7.0 M")
def densenet100_12(*, classes: int = 100, resolution: int = 32) -> Dag:
    """DenseNet-100-12 for CIFAR-100: three stages of 32 layers."""
    return densenet_cifar(100, 12).network(classes, resolution)


@_CIFAR("densenet100_24", parameters=28_283_476, macs=7_265_834_688, source=f"{_PAPER}: 27.2 M")
def densenet100_24(*, classes: int = 100, resolution: int = 32) -> Dag:
    """DenseNet-100-24 for CIFAR-100: three stages of 32 layers."""
    return densenet_cifar(100, 24).network(classes, resolution)


@_CIFAR("densenet_bc100_12", parameters=800_032, macs=287_960_472, source=f"{_PAPER}: 0.8 M")
def densenet_bc100_12(*, classes: int = 100, resolution: int = 32) -> Dag:
    """DenseNet-BC-100-12 for CIFAR-100: three stages of 16 layers with bottlenecks."""
    return densenet_cifar(100, 12, is_bottleneck=True).network(classes, resolution)


@_CIFAR10(
    "densenet_bc250_24", parameters=15_324_406, macs=5_418_785_724, source=f"{_PAPER}: 15.3 M"
)
def densenet_bc250_24(*, classes: int = 10, resolution: int = 32) -> Dag:
    """DenseNet-BC-250-24 for CIFAR-10: three stages of 41 layers with bottlenecks."""
    return densenet_cifar(250, 24, is_bottleneck=True).network(classes, resolution)


@_CIFAR10(
    "densenet_bc190_40", parameters=25_624_430, macs=9_301_945_740, source=f"{_PAPER}: 25.6 M"
)
def densenet_bc190_40(*, classes: int = 10, resolution: int = 32) -> Dag:
    """DenseNet-BC-190-40 for CIFAR-10: three stages of 31 layers with bottlenecks."""
    return densenet_cifar(190, 40, is_bottleneck=True).network(classes, resolution)


@networks.published("densenet121", parameters=7_978_856, macs=2_834_161_664, source=_IMAGENET)
def densenet121(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DenseNet-121."""
    return densenet_imagenet((6, 12, 24, 16), 32).network(classes, resolution)


@networks.published("densenet161", parameters=28_681_000, macs=7_727_907_072, source=_IMAGENET)
def densenet161(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DenseNet-161, of growth 48."""
    return densenet_imagenet((6, 12, 36, 24), 48).network(classes, resolution)


@networks.published("densenet169", parameters=14_149_480, macs=3_359_843_328, source=_IMAGENET)
def densenet169(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DenseNet-169."""
    return densenet_imagenet((6, 12, 32, 32), 32).network(classes, resolution)


@networks.published("densenet201", parameters=20_013_928, macs=4_291_365_888, source=_IMAGENET)
def densenet201(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DenseNet-201."""
    return densenet_imagenet((6, 12, 48, 32), 32).network(classes, resolution)
