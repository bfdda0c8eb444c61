"""What a built network aggregates, read from its operators and the values between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...core.errors import ConfigError
from ...latency.operators import Operator
from ...latency.operators.chain import Chain
from ...latency.operators.dag import Dag
from .topology import Topology


@dataclass(frozen=True)
class Flat:
    """A network as simple operators, each with the values it reads; 0 is the image."""

    operators: tuple[Operator, ...]
    inputs: tuple[tuple[int, ...], ...]


def flatten(network: Operator) -> Flat:
    """The operators of a network, those of chains and graphs within it one by one."""
    operators: list[Operator] = []
    inputs: list[tuple[int, ...]] = []

    def put(operator: Operator, values: tuple[int, ...]) -> int:
        if not isinstance(operator, Chain | Dag):
            operators.append(operator)
            inputs.append(values)
            return len(operators)
        known = [*values]
        for part, numbers in _parts(operator):
            known.append(put(part, tuple(known[number] for number in numbers)))
        return known[-1]

    put(network, (0,))
    return Flat(tuple(operators), tuple(inputs))


def _parts(operator: Chain | Dag) -> Iterator[tuple[Operator, tuple[int, ...]]]:
    if isinstance(operator, Dag):
        return zip(operator.operators, operator.inputs, strict=True)
    return ((part, (number,)) for number, part in enumerate(operator.operators))


def aggregated_layers(network: Operator) -> Topology:
    """Which outputs each layer of a network reads through sums, copies, norms and pools alone.

    A layer is an operator that multiplies: a convolution, a linear layer, a block. Output 0 is the
    first one's; a running sum counts for all outputs that went into it.

    Raises:
        ConfigError: There are fewer than two layers.
    """
    flat = flatten(network)
    # Bit n of a value: output n enters it through no other layer.
    entered = [0]
    sources: list[tuple[int, ...]] = []
    count = 0
    for operator, numbers in zip(flat.operators, flat.inputs, strict=True):
        bits = 0
        for number in numbers:
            bits |= entered[number]
        if operator.macs > 0:
            if count > 0:
                sources.append(_bits(bits))
            bits = 1 << count
            count += 1
        entered.append(bits)
    if not sources:
        raise ConfigError(f"{network} has {count} layers; its aggregation needs two.")
    return Topology(tuple(sources))


def _bits(bits: int) -> tuple[int, ...]:
    return tuple(n for n in range(bits.bit_length()) if bits >> n & 1)
