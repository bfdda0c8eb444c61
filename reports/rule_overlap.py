"""How close chosen links are to the exponential rule, against links drawn at random.

Only links that are a choice count. Of an aggregation with `f` such candidates, `r` of them on the
rule, and `d` open ones, links drawn uniformly hit the rule `h` times, hypergeometrically
distributed; aggregations are independent, and so the hits of a network are the convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from ..search.architecture import Architecture
from ..search.spaces.aggregation import AggregationSpace
from ..search.spaces.wirings import powers


@dataclass(frozen=True)
class RuleOverlap:
    """Means over networks; what is expected is exact for random links of the same in-degrees.

    Where even the link to the layer before is a choice, random ones need not read every output.

    Attributes:
        networks: How many have an open link that is a choice.
        on_rule: Share of the open links that are on the rule.
        jaccard: Links both open and on the rule over those that are either.
        chance: Probability that random links hit the rule as often or oftener, all told.
    """

    networks: int
    on_rule: float
    expected_on_rule: float
    jaccard: float
    expected_jaccard: float
    chance: float

    def __str__(self) -> str:
        return (
            f"{self.on_rule:.0%} of the chosen links are on the exponential rule, where "
            f"{self.expected_on_rule:.0%} are expected of random links of the same in-degrees; "
            f"Jaccard index {self.jaccard:.2f}, expected {self.expected_jaccard:.2f}; probability "
            f"of as many hits or more by chance {_percent(self.chance)}"
        )


def rule_overlap(
    space: AggregationSpace, architectures: Sequence[Architecture], base: int
) -> RuleOverlap | None:
    """How close `architectures` are to the rule of `base`; None where they chose no link."""
    rules = [set(powers(node.number, base)) & set(node.free) for node in space.nodes]
    count = sum(map(len, rules))
    rows: list[tuple[float, float, float, float]] = []
    total = np.ones(1)
    all_hits = 0
    for architecture in architectures:
        hits, opened = 0, 0
        chance = np.ones(1)
        for node, rule in zip(space.nodes, rules, strict=True):
            chosen = set(node.sources(architecture.choices)) - set(node.kept)
            hits += len(chosen & rule)
            opened += len(chosen)
            chance = np.convolve(chance, _hits(len(node.free), len(rule), len(chosen)))
        if opened == 0:
            continue
        number = np.arange(len(chance))
        rows.append(
            (
                hits / opened,
                float(chance @ number) / opened,
                hits / (opened + count - hits),
                float(chance @ (number / (opened + count - number))),
            )
        )
        total = np.convolve(total, chance)
        all_hits += hits
    if not rows:
        return None
    on_rule, expected, jaccard, expected_jaccard = map(fmean, zip(*rows, strict=True))
    tail = min(1.0, float(total[all_hits:].sum()))
    return RuleOverlap(len(rows), on_rule, expected, jaccard, expected_jaccard, tail)


def _hits(free: int, on_rule: int, opened: int) -> NDArray[np.float64]:
    """Probability of 0, 1, ... `on_rule` hits of `opened` among `free` links."""
    return np.asarray(
        [
            comb(on_rule, h) * comb(free - on_rule, opened - h) / comb(free, opened)
            if h <= opened
            else 0.0
            for h in range(on_rule + 1)
        ]
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}" if share >= 0.001 else "under 0.1%"
