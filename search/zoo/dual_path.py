"""Dual path networks (Chen et al. 2017): part of a layer's output is added, part concatenated.

Checked against pytorchcv 0.0.74: DPN-68 and, built by the same rule, DPN-98 have equal parameters
and multiply-adds, and with equal weights equal outputs. It has no DPN-92, timm 1.0.31 has: of
equal parameters. The 1x1 convolution that ends a layer is two here, one for each path.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...latency.operators.dag import Dag
from ..aggregation.layers import Convolution, Layer
from ..aggregation.network import AggregationNetwork, Shortcut, Stage, Stem
from ..aggregation.topology import Topology
from . import networks

_WIDTHS = (64, 128, 256, 512)
_RELEASE = "README of cypw/DPNs"


@dataclass(frozen=True)
class DualPath:
    """Widths and depths of a dual path network.

    Args:
        stem: First convolution.
        residual: Times (64, 128, 256, 512): channels that are added, by stage.
        narrow: Channels of the grouped convolution in the first stage; doubled in each later one.
        groups: Of that convolution.
        depths: Layers in each stage.
        increments: Channels that each layer concatenates, by stage.
    """

    stem: Stem
    residual: int
    narrow: int
    groups: int
    depths: tuple[int, int, int, int]
    increments: tuple[int, int, int, int]

    def aggregation(self) -> AggregationNetwork:
        """As stages that aggregate."""
        return AggregationNetwork(self.stem, tuple(map(self._stage, range(len(_WIDTHS)))))

    def _stage(self, stage: int) -> Stage:
        added, increment = self.residual * _WIDTHS[stage], self.increments[stage]
        narrow = self.narrow * 2**stage
        layer = Layer(
            inner=(Convolution(added, 1),),
            outer=(Convolution(increment, 1),),
            trunk=(Convolution(narrow, 1), Convolution(narrow, 3, self.groups)),
        )
        return Stage(
            Topology.dense(self.depths[stage] + 1),
            layer,
            shortcut=(Shortcut.OWN, added + 2 * increment),
            inner=added,
            stride=1 if stage == 0 else 2,
        )


@networks.published(
    "dpn68", parameters=12_611_602, macs=2_326_163_456, source=f"{_RELEASE}: 49 MB, 2.5 G"
)
def dpn68(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DPN-68."""
    stem = Stem(10, 3, halves=True)
    made = DualPath(stem, 1, 128, 32, (3, 4, 12, 3), (16, 32, 32, 64))
    return made.aggregation().network(classes, resolution)


@networks.published(
    "dpn92", parameters=37_668_392, macs=6_501_684_224, source=f"{_RELEASE}: 145 MB, 6.5 G"
)
def dpn92(*, classes: int = 1000, resolution: int = 224) -> Dag:
    """DPN-92."""
    stem = Stem(64, 7, halves=True)
    made = DualPath(stem, 4, 96, 32, (3, 4, 20, 3), (16, 32, 24, 128))
    return made.aggregation().network(classes, resolution)
