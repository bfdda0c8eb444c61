"""Pre-activation residual networks (He et al. 2016b), and their relatives with sparse sums.

Checked against pytorchcv 0.0.74: ResNet-164 has equal parameters and multiply-adds; ResNet-110
differs by the 2,560 weights of two 1x1 shortcuts, where this one has zeros; ResNet-50 has equal
parameters and multiply-adds with `preresnet50b`, whose strides are in the 3x3 as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...latency.operators.dag import Dag
from ..aggregation.layers import Layer, basic, narrowing
from ..aggregation.network import AggregationNetwork, Shortcut, Stage, Stem
from ..aggregation.topology import Topology
from . import networks

_CIFAR = partial(networks.published, classes=10, resolution=32)
_PAPER = "He et al. 2016b"
_WIDTHS = (16, 32, 64)
_WIDENING = 4
_IMAGENET_WIDTH = 64


def preactivation(
    topology: Topology, *, is_bottleneck: bool = False, runs: bool = True
) -> AggregationNetwork:
    """A network of three stages of residual layers.

    Args:
        topology: Of each stage; its last row is what the stage's output reads.
        is_bottleneck: Whether a layer is 1x1, 3x3, 1x1 of four times the width, entered by a 1x1
            convolution; else two 3x3, entered by zeros.
        runs: Whether the sum of all outputs so far is kept.
    """
    stages = []
    for index, narrow in enumerate(_WIDTHS):
        width = _WIDENING * narrow if is_bottleneck else narrow
        shortcut = Shortcut.COMMON if is_bottleneck else Shortcut.ZEROS
        layer = Layer(inner=narrowing(width) if is_bottleneck else basic(width))
        enters = is_bottleneck or index > 0
        stages.append(
            Stage(
                topology, layer, shortcut=(shortcut, width) if enters else None,
                stride=1 if index == 0 else 2, runs=runs,
            )
        )  # fmt: skip
    return AggregationNetwork(Stem(_WIDTHS[0]), tuple(stages))


def preactivation_imagenet(
    depths: tuple[int, ...], rule: Callable[[int], Topology]
) -> AggregationNetwork:
    """A network for ImageNet of `depths` bottlenecks a stage.

    Args:
        depths: Of the stages, which are 64, 128, 256, ... wide in their 3x3.
        rule: Makes the topology of so many rows; the last is what the stage's output reads.
    """
    stages = []
    for index, depth in enumerate(depths):
        width = _WIDENING * _IMAGENET_WIDTH * 2**index
        layer = Layer(inner=narrowing(width))
        shortcut = (Shortcut.COMMON, width)
        stride = 1 if index == 0 else 2
        stages.append(Stage(rule(depth + 1), layer, shortcut=shortcut, stride=stride))
    return AggregationNetwork(Stem(_IMAGENET_WIDTH, 7, halves=True), tuple(stages))


@_CIFAR(
    "preresnet110", parameters=1_727_962, macs=252_887_680, source=f"{_PAPER}: ResNet-110, 1.7 M"
)
def preresnet110(*, classes: int = 10, resolution: int = 32) -> Dag:
    """Pre-activation ResNet-110 for CIFAR-10: three stages of 18 layers of two 3x3."""
    return preactivation(Topology.residual(19)).network(classes, resolution)


@_CIFAR(
    "preresnet164", parameters=1_703_258, macs=247_646_720, source=f"{_PAPER}: ResNet-164, 1.7 M"
)
def preresnet164(*, classes: int = 10, resolution: int = 32) -> Dag:
    """Pre-activation ResNet-164 for CIFAR-10: three stages of 18 bottlenecks."""
    made = preactivation(Topology.residual(19), is_bottleneck=True)
    return made.network(classes, resolution)


@_CIFAR(
    "sparsenet_sum110",
    parameters=1_727_962,
    macs=252_887_680,
    source="Zhu et al. 2018, by sum; the costs are those of preresnet110",
)
def sparsenet_sum110(*, classes: int = 10, resolution: int = 32) -> Dag:
    """Pre-activation ResNet-110 with sums of the outputs at offsets 1, 2, 4, 8, 16 only."""
    return preactivation(Topology.exponential(19, 2)).network(classes, resolution)


@networks.published(
    "preresnet50",
    parameters=25_549_480,
    macs=4_089_184_256,
    source=f"{_PAPER}, stages of He et al. 2016, table 1; counts of pytorchcv's preresnet50b",
)
def preresnet50(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """Pre-activation ResNet-50."""
    return preactivation_imagenet((3, 4, 6, 3), Topology.residual).network(classes, resolution)


@networks.published(
    "sparsenet_sum50",
    parameters=25_549_480,
    macs=4_089_184_256,
    source="Zhu et al. 2018, by sum; the costs are those of preresnet50",
)
def sparsenet_sum50(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """Pre-activation ResNet-50 with sums of the outputs at offsets 1, 2, 4 only."""
    made = preactivation_imagenet((3, 4, 6, 3), partial(Topology.exponential, base=2))
    return made.network(classes, resolution)
