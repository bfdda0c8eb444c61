"""Spaces of links that are small enough to enumerate, and what they hold by enumeration."""

from __future__ import annotations

import itertools

import torch

from elat.search.expected_latency import ExpectedLatency
from elat.search.spaces import space_from_description
from elat.search.spaces.aggregation import AggregationSpace


def aggregations(*layers: int, name: str = "links", **changed: object) -> AggregationSpace:
    """A space with stages of so many layers, on 8-pixel images in 3 classes."""
    stages = [{"layers": count, "growth": 3 + stage} for stage, count in enumerate(layers)]
    space = space_from_description(
        {
            "family": "aggregation",
            "name": name,
            "resolution": 8,
            "in_channels": 1,
            "classes": 3,
            "stages": stages,
            "head": 6,
            **changed,
        }
    )
    assert isinstance(space, AggregationSpace)
    return space


def every(space: AggregationSpace) -> list[tuple[int, ...]]:
    """All states of the links, valid or not."""
    return list(itertools.product((0, 1), repeat=len(space.options)))


def networks(space: AggregationSpace) -> list[tuple[int, ...]]:
    """Those in which everything reads something and everything is read, by sets of sources."""
    found = []
    for choices in every(space):
        read: dict[int, set[int]] = {}
        is_whole = True
        for node in space.nodes:
            opened = zip(node.free, choices[node.first : node.behind], strict=True)
            sources = {*node.kept, *(source for source, is_open in opened if is_open)}
            is_whole &= bool(sources)
            read.setdefault(node.stage, set()).update(sources)
        stages = enumerate(space.settings.stages)
        if is_whole and all(read[n] == set(range(s.layers + 1)) for n, s in stages):
            found.append(choices)
    return found


def made_up(space: AggregationSpace, seed: int = 0, name: str = "phone") -> ExpectedLatency:
    """Costs of the in-degrees without any structure: neither linear nor rising."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        (0.1 + torch.rand(len(row), generator=generator, dtype=torch.float64)).tolist()
        for row in space.rows
    ]
    return ExpectedLatency(space, name, 0.25, rows)
