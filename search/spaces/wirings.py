"""Architectures of a space of links that a rule gives: what learned ones are compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..aggregation.topology import Topology
from ..architecture import Architecture
from .aggregation import AggregationSpace
from .links import Node


def dense(space: AggregationSpace) -> Architecture:
    """Every candidate link is open (Huang et al. 2017)."""
    return _wired(space, lambda node: node.candidates)


def exponential(space: AggregationSpace, base: int) -> Architecture:
    """Offsets 1, base, base^2, ... are open, a stage's output included (Zhu et al. 2018).

    Args:
        space: One with all these links among its candidates.
        base: At least 2.

    Raises:
        ConfigError: A link of the rule is no candidate of the space.
    """
    return _wired(space, lambda node: powers(node.number, base))


def shuffled(
    space: AggregationSpace, like: Architecture, random: np.random.Generator
) -> Architecture:
    """As many links into every aggregation as in `like`, to sources drawn uniformly.

    Sources that are always read stay. With kept links to the layer before nothing else is needed;
    where these are free, an output that nobody reads is given to the layer behind it.
    """
    links = random.random(len(space.options))
    scores = np.stack([np.zeros_like(links), links], axis=1)
    return Architecture(space.name, space.from_rows(space.row_choices(like.choices), scores))


def powers(number: int, base: int) -> tuple[int, ...]:
    """What aggregation `number` reads by the exponential rule, in ascending order."""
    return Topology.exponential(number, base).sources[-1]


def _wired(space: AggregationSpace, sources: Callable[[Node], tuple[int, ...]]) -> Architecture:
    stages: list[list[tuple[int, ...]]] = [[] for _ in space.sides]
    for node in space.nodes:
        stages[node.stage].append(sources(node))
    return space.of_sources(stages)
