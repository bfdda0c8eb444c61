"""What a topology costs and how gradients flow in it, counted in a built network."""

from __future__ import annotations

from dataclasses import dataclass

from ...latency.operators import Operator
from ...latency.operators.add import Add
from ...latency.operators.concat import Concat
from ...latency.operators.sum import Sum
from .reading import aggregated_layers, flatten
from .topology import Topology

_FP32_BYTES = 4


@dataclass(frozen=True)
class Counted:
    """What was counted in a built network.

    Attributes:
        topology: As read from its operators: a sum or copy reads all that went into it.
        parameters: Trainable ones.
        macs: Multiply-adds of one image.
        traffic_bytes: What its operators read and write for one image in float32 if nothing stays
            in a cache, weights too.
        join_traffic_bytes: Of that, sums and concatenations.
        additions: Of two tensors each.
        copies: Tensors copied into concatenations.
    """

    name: str
    resolution: int
    topology: Topology
    parameters: int
    macs: int
    traffic_bytes: int
    join_traffic_bytes: int
    additions: int
    copies: int


def count(name: str, network: Operator) -> Counted:
    """What is counted in a built network.

    Args:
        name: To print.
        network: Of one image; chains and graphs are looked into.
    """
    operators = flatten(network).operators
    joins = [part for part in operators if isinstance(part, Add | Sum | Concat)]
    copied = [part for part in joins if isinstance(part, Concat)]
    added = [part for part in joins if not isinstance(part, Concat)]
    return Counted(
        name=name,
        resolution=network.input_shapes[0][1],
        topology=aggregated_layers(network),
        parameters=network.params,
        macs=network.macs,
        traffic_bytes=_FP32_BYTES * network.traffic_elements,
        join_traffic_bytes=_FP32_BYTES * sum(part.traffic_elements for part in joins),
        additions=sum(len(part.input_shapes) - 1 for part in added),
        copies=sum(len(part.channels) for part in copied),
    )
