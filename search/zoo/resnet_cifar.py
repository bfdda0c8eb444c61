"""Residual networks for CIFAR (He et al. 2016, section 4.2): three stages of n blocks, 6n + 2.

Where a stage begins the shortcut takes every second pixel and fills new channels with zeros
(option A), so that no shortcut has weights. A ReLU follows every sum: unlike with pre-activation
the network is a sum of all earlier outputs only up to it.

The paper's ResNet-1202 is `resnet_cifar(200, ...)`, 19,421,274 parameters: it is not registered,
because untrained its 600 sums grow beyond float32, so that no file of it can be checked.

Checked against pytorchcv 0.0.74: its shortcuts have weights (option B), 2,752 parameters and
262,144 multiply-adds more in each of these; nothing else differs.
"""

from __future__ import annotations

from functools import partial

from ...latency.graph.ir import Activation, Pooling
from ...latency.operators.add import Add
from ...latency.operators.channel_pad import ChannelPad
from ...latency.operators.conv import Conv
from ...latency.operators.dag import Dag
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.linear import Linear
from ...latency.operators.pool import Pool
from . import networks

_CIFAR = partial(networks.published, classes=10, resolution=32)
_PAPER = "He et al. 2016, table 6"
_WIDTHS = (16, 32, 64)


def resnet_cifar(blocks: int, classes: int, resolution: int) -> Dag:
    """The network with `blocks` basic blocks in each of its three stages."""
    builder = DagBuilder((3, resolution, resolution))
    value = builder.add(Conv(3, _WIDTHS[0], resolution, 3, activation=Activation.RELU), 0)
    for stage, width in enumerate(_WIDTHS):
        for block in range(blocks):
            value = _block(builder, value, width, 2 if stage > 0 and block == 0 else 1)
    channels, side, _ = builder.shape(value)
    value = builder.add(GlobalPool(channels, side), value)
    builder.add(Linear(channels, classes), value)
    return builder.finish()


def _block(builder: DagBuilder, value: int, width: int, stride: int) -> int:
    channels, side, _ = builder.shape(value)
    first = Conv(channels, width, side, 3, stride, activation=Activation.RELU)
    after = first.out_resolution
    branch = builder.add(first, value)
    branch = builder.add(Conv(width, width, after, 3, activation=Activation.NONE), branch)
    if stride > 1:
        value = builder.add(Pool(channels, side, 1, stride, Pooling.MAX), value)
        value = builder.add(ChannelPad(channels, width, after), value)
    return builder.add(Add(width, after, Activation.RELU), branch, value)


@_CIFAR("resnet20", parameters=269_722, macs=40_551_040, source=f"{_PAPER}: 0.27 M")
def resnet20(*, classes: int = 10, resolution: int = 32) -> Dag:
    """ResNet-20 for CIFAR-10."""
    return resnet_cifar(3, classes, resolution)


@_CIFAR("resnet32", parameters=464_154, macs=68_862_592, source=f"{_PAPER}: 0.46 M")
def resnet32(*, classes: int = 10, resolution: int = 32) -> Dag:
    """ResNet-32 for CIFAR-10."""
    return resnet_cifar(5, classes, resolution)


@_CIFAR("resnet44", parameters=658_586, macs=97_174_144, source=f"{_PAPER}: 0.66 M")
def resnet44(*, classes: int = 10, resolution: int = 32) -> Dag:
    """ResNet-44 for CIFAR-10."""
    return resnet_cifar(7, classes, resolution)


@_CIFAR("resnet56", parameters=853_018, macs=125_485_696, source=f"{_PAPER}: 0.85 M")
def resnet56(*, classes: int = 10, resolution: int = 32) -> Dag:
    """ResNet-56 for CIFAR-10."""
    return resnet_cifar(9, classes, resolution)


@_CIFAR("resnet110", parameters=1_727_962, macs=252_887_680, source=f"{_PAPER}: 1.7 M")
def resnet110(*, classes: int = 10, resolution: int = 32) -> Dag:
    """ResNet-110 for CIFAR-10."""
    return resnet_cifar(18, classes, resolution)
