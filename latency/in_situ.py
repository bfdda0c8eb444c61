"""Operators timed as they run in a network: between two cheap neighbours, minus the neighbours.

An operator timed alone pays what it does not pay inside a network: the call itself and, in ONNX
Runtime, a change of layout at both ends. Its *host* is a network of a 1x1 convolution from a
narrow input to the operator's input, the operator, and a global average pool of its output. With
h(s) the host of shape s without an operator,

    latency = T(host) - h(input shape) / 2 - h(output shape) / 2.

Over a chain the halves cancel telescope-wise: what is left of the neighbours is the half in front
of the first operator and behind the last, and these two have none (a network's own input needs no
convolution before it; the pool is the network's own). Hosts are measured like any other chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt

from ..core.errors import UnsupportedOperatorError
from .condition import Condition, Method
from .measurement import Measurement
from .operators import Operator
from .operators.base import Shape
from .operators.chain import Chain
from .operators.conv import Conv
from .operators.global_pool import GlobalPool
from .operators.linear import Linear
from .table import Entry, LatencyTable

_INPUT_CHANNELS = 4
_LINEAR_RESOLUTION = 4


@dataclass(frozen=True)
class Recipe:
    """How the latency of one operator follows from measured chains: a weighted sum."""

    operator: Operator
    terms: tuple[tuple[Chain, float], ...]


def recipe(operator: Operator) -> Recipe:
    """The chains to measure for `operator`, each with its weight in the sum.

    Raises:
        UnsupportedOperatorError: The operator has several inputs, so no chain can host it.
    """
    if len(operator.input_shapes) != 1:
        raise UnsupportedOperatorError(
            f"{operator} has {len(operator.input_shapes)} inputs and cannot be hosted in a chain; "
            "measure it with method: block in the device card."
        )
    shape = operator.input_shapes[0]
    if isinstance(operator, Linear):
        channels = (shape[0], _LINEAR_RESOLUTION, _LINEAR_RESOLUTION)
        bare = _bare_host(channels)
        return Recipe(operator, ((Chain((*bare.operators, operator)), 1.0), (bare, -1.0)))
    if isinstance(operator, GlobalPool):
        return Recipe(operator, ((_bare_host(shape), 0.5),))
    before: tuple[Operator, ...] = ()
    terms: list[tuple[Chain, float]] = []
    if shape[0] > _INPUT_CHANNELS:
        before = (_neck(shape),)
        terms.append((_bare_host(shape), -0.5))
    out = operator.output_shape
    terms.append((_bare_host(out), -0.5))
    host = Chain((*before, operator, GlobalPool(out[0], out[1])))
    return Recipe(operator, ((host, 1.0), *terms))


def hosts(operators: Iterable[Operator]) -> tuple[Chain, ...]:
    """The distinct chains to measure for `operators`, in a stable order; free ones need none."""
    found: dict[Chain, None] = {}
    for operator in operators:
        if not operator.is_free:
            found.update(dict.fromkeys(chain for chain, _ in recipe(operator).terms))
    return tuple(found)


def bare_hosts(operators: Iterable[Operator]) -> frozenset[Chain]:
    """The hosts of which a half is subtracted: their error enters a sum many times over."""
    terms = (recipe(o).terms for o in operators if not o.is_free)
    return frozenset(c for term in terms for c, weight in term if abs(weight) != 1.0)


def measured_under(condition: Condition) -> Condition:
    """The condition under which hosts and whole networks are measured for `condition`."""
    return replace(condition, method=Method.BLOCK)


def in_situ_table(
    operators: Iterable[Operator],
    condition: Condition,
    measured: Mapping[Operator, Measurement],
) -> LatencyTable:
    """The table of `operators` from measurements of their hosts.

    Operators of which a host is missing in `measured` are left out, as is one whose hosts differ
    by less than nothing (noise larger than the operator): it needs a more careful protocol.

    Args:
        operators: What the table is about.
        condition: The condition with method `in_situ`.
        measured: Measurements of hosts, by host, under `measured_under(condition)`.

    Raises:
        ConfigError: No operator is left, or the measurements have several origins.
    """
    entries: dict[Operator, Entry] = {}
    origins: set[str] = set()
    for operator in operators:
        if operator.is_free:
            continue
        terms = recipe(operator).terms
        if any(chain not in measured for chain, _ in terms):
            continue
        found = [(measured[chain], weight) for chain, weight in terms]
        mean = sum(weight * m.latency_ms for m, weight in found)
        if mean <= 0.0:
            continue
        std = sqrt(sum((weight * m.std_ms) ** 2 for m, weight in found))
        origins.update(m.origin for m, _ in found)
        entries[operator] = Entry(min(m.count for m, _ in found), mean, std)
    return LatencyTable.of(condition, entries, origins)


def _neck(shape: Shape) -> Conv:
    return Conv(_INPUT_CHANNELS, shape[0], shape[1], 1)


def _bare_host(shape: Shape) -> Chain:
    return Chain((_neck(shape), GlobalPool(shape[0], shape[1])))
