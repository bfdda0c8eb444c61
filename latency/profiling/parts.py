"""Profiles of operators and of whole networks of them, and which operator each node belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import MeasurementError
from ..artefacts import ArtefactCache
from ..condition import Condition
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.dag import Dag
from .bench import Bench, Effort
from .passes import profile_file, profile_files
from .profile import Profile, ProfiledNode

# The graph writers name what they write after the value that it makes, and values by number.
_VALUE = re.compile(r"t(\d+)(?:\.|$)")


@dataclass(frozen=True)
class NetworkProfile:
    """A whole network's profile, split among the operators that it is made of.

    Attributes:
        part_ms: Time of each operator of the network, in its order; 0 for free ones.
        part_layout_ms: What of it is spent in changes of layout. They count to the part in front
            of whose first node they run.
    """

    profile: Profile
    part_ms: tuple[float, ...]
    part_layout_ms: tuple[float, ...]

    @property
    def part_kernel_ms(self) -> tuple[float, ...]:
        """Time of each operator without changes of layout."""
        return tuple(
            whole - layout for whole, layout in zip(self.part_ms, self.part_layout_ms, strict=True)
        )


def profile_operator(
    operator: Operator,
    condition: Condition,
    cache: ArtefactCache,
    *,
    effort: Effort = Effort(),
    bench: Bench | None = None,
) -> Profile:
    """Where the time of `operator`, a single one or a whole network, goes under `condition`.

    `Profile.kernel_ms` is what it costs without changes of layout and without the call;
    `ProfiledNode.fused` names the graph's nodes, each after the value that it makes (`t12`).

    Raises:
        UnavailableError: The runtime has no profiler, or it is not reachable here.
        UnsupportedOperatorError: The operator executes nothing, or the runtime cannot run it.
        MeasurementError: The profiler crashed, or says something else than expected.
    """
    path = cache.artefact(operator, condition).model_path
    return profile_file(path, condition, effort=effort, bench=bench)[1]


def profile_operators(
    operators: Sequence[Operator],
    condition: Condition,
    cache: ArtefactCache,
    *,
    effort: Effort = Effort(),
    bench: Bench | None = None,
) -> Iterator[Profile | MeasurementError]:
    """As `profile_operator` of each of `operators`, or why one failed.

    The bench sees them together, which on a device elsewhere is one round trip.

    Raises:
        UnavailableError: As `profile_operator`.
    """
    paths: list[Path] = []
    refused: dict[int, MeasurementError] = {}
    for number, operator in enumerate(operators):
        try:
            paths.append(cache.artefact(operator, condition).model_path)
        except MeasurementError as error:
            refused[number] = error
    seen = profile_files(paths, condition, effort=effort, bench=bench)
    for number in range(len(operators)):
        found = refused[number] if number in refused else next(seen)
        yield found if isinstance(found, MeasurementError) else found[1]


def profile_network(
    network: Chain | Dag,
    condition: Condition,
    cache: ArtefactCache,
    *,
    effort: Effort = Effort(),
    bench: Bench | None = None,
) -> NetworkProfile:
    """Where the time of `network` goes under `condition`, operator by operator.

    Raises:
        UnavailableError, UnsupportedOperatorError, MeasurementError: As `profile_operator`.
    """
    return split(profile_operator(network, condition, cache, effort=effort, bench=bench), network)


def split(profile: Profile, network: Chain | Dag) -> NetworkProfile:
    """`profile` of `network` split among its operators.

    A node that executes parts of several operators (a sum fused into the convolution before it)
    counts to each in proportion to the multiply-adds of its nodes there, and where none has any,
    in proportion to their number. What executes nothing of the network (a change of layout) counts
    to the part of the node after it, and to the last part at the end.

    Args:
        profile: Of the artefact of `network`.
        network: What was profiled.

    Raises:
        MeasurementError: The profile does not tell operators apart: a delegate ran several at
            once, or it is not known which node executes one.
    """
    owners, macs = _owners(network)
    _refuse_what_is_not_told(profile, owners, macs)
    part_ms = [0.0] * len(network.operators)
    layout_ms = [0.0] * len(network.operators)
    waiting: list[ProfiledNode] = []
    last = 0
    for node in profile.nodes:
        values = _values(node)
        waiting.append(node)
        if not values:
            continue
        for part, share in _shares(values, owners, macs).items():
            part_ms[part] += share * node.latency_ms
        last = owners[min(values)]
        _add(waiting[:-1], last, part_ms, layout_ms)
        waiting = []
    _add(waiting, last, part_ms, layout_ms)
    return NetworkProfile(profile, tuple(part_ms), tuple(layout_ms))


def _refuse_what_is_not_told(
    profile: Profile, owners: dict[int, int], macs: dict[int, int]
) -> None:
    told: set[int] = set()
    for node in profile.nodes:
        values = _values(node)
        told.update(owners[value] for value in values)
        if node.is_delegate and len({owners[value] for value in values}) > 1:
            raise MeasurementError(
                f"{node.kind} runs several operators at once, and the profile tells their time as "
                "one: it cannot be split. Choose another delegate, a build whose delegate tells "
                "of its operators, or another method in the device card."
            )
    if missing := {part for value, part in owners.items() if macs[value]} - told:
        raise MeasurementError(
            f"The profile does not tell which of its nodes execute {len(missing)} operators of "
            "the network: the runtime names or counts them in a way that is not known. Choose "
            "another method in the device card."
        )


def _values(node: ProfiledNode) -> list[int]:
    """Numbers of the graph's values that `node` makes."""
    return [int(found[1]) for name in node.fused if (found := _VALUE.match(name))]


def _add(
    nodes: Sequence[ProfiledNode], part: int, part_ms: list[float], layout_ms: list[float]
) -> None:
    part_ms[part] += sum(node.latency_ms for node in nodes)
    layout_ms[part] += sum(node.latency_ms for node in nodes if node.is_layout)


def _shares(values: list[int], owners: dict[int, int], macs: dict[int, int]) -> dict[int, float]:
    """The share of each part in a node that makes the graph's `values`."""
    distinct = set(values)
    total = sum(macs[value] for value in distinct)
    weights: Counter[int] = Counter()
    for value in distinct:
        weights[owners[value]] += macs[value] if total else 1
    whole = sum(weights.values())
    return {part: weight / whole for part, weight in weights.items() if weight}


def _owners(network: Chain | Dag) -> tuple[dict[int, int], dict[int, int]]:
    """For the number of each value of the network's graph: its part, and the node's MACs."""
    owners: dict[int, int] = {}
    macs: dict[int, int] = {}
    known: dict[Operator, list[int]] = {}
    # Values are numbered through, inputs first.
    number = len(network.input_shapes)
    for part, operator in enumerate(network.operators):
        if operator.is_free:
            continue
        if operator not in known:
            graph = operator.lower(operator.build().eval())
            known[operator] = [node.macs for node in graph.nodes]
        for count in known[operator]:
            owners[number], macs[number] = part, count
            number += 1
    return owners, macs
