"""A network of the same space with as many MACs, to compare a found one with."""

from __future__ import annotations

from collections.abc import Collection

import torch

from ..core.errors import InfeasibleError
from .architecture import Architecture
from .expected_latency import ExpectedLatency
from .spaces import SearchSpace

_TRIES = 200
_TOLERANCES = (0.01, 0.02)


def macs_matched(
    space: SearchSpace,
    macs: int,
    generator: torch.Generator,
    exclude: Collection[Architecture] = (),
) -> Architecture:
    """A random architecture whose MACs are within 1 % of `macs`, or within 2 % if none is found.

    An architecture is drawn uniformly and then, one choice at a time in random order, moved to
    the option that brings the sum nearest to `macs`, until it is near enough.

    Args:
        space: Where it is taken from.
        macs: Of the network to compare with, for one image.
        generator: Draws it.
        exclude: Architectures that will not do.

    Raises:
        InfeasibleError: None was found; the message gives the range of the space.
    """
    counted = ExpectedLatency.from_macs(space)
    for tolerance in _TOLERANCES:
        for _ in range(_TRIES):
            found = _moved_near(counted, space.sample(generator), macs, tolerance, generator)
            if abs(counted.of(found) - macs) <= tolerance * macs and found not in exclude:
                return found
    least, most = counted.of(counted.fastest()), counted.of(counted.slowest())
    raise InfeasibleError(
        f"No architecture of {space.name} within {_TOLERANCES[-1]:.0%} of {macs:,} MACs was "
        f"found; the space reaches from {least:,.0f} to {most:,.0f} MACs."
    )


def _moved_near(
    counted: ExpectedLatency,
    start: Architecture,
    macs: int,
    tolerance: float,
    generator: torch.Generator,
) -> Architecture:
    found = start.choices
    for place in torch.randperm(len(found), generator=generator).tolist():
        if abs(counted.of_choices(found) - macs) <= tolerance * macs:
            break
        options = (
            (*found[:place], option, *found[place + 1 :])
            for option in range(counted.space.options[place])
        )
        valid = [choices for choices in options if counted.space.fault(choices) is None]
        found = min(valid, key=lambda choices: abs(counted.of_choices(choices) - macs))
    return Architecture(start.space, found)
