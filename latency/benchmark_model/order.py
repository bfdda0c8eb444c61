"""In which order models are run: shuffled passes, with a fixed model in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SENTINEL = -1
"""The place of the fixed model, which tells the device's speed at the time."""


@dataclass(frozen=True)
class Invocation:
    """One run of the program.

    Attributes:
        number: Its place in the whole order.
        model: The place of its model in the group, or `SENTINEL`.
        saves_output: Whether it writes the output of its last run.
    """

    number: int
    model: int
    saves_output: bool


def shuffled(
    slices: Sequence[int], passes: int, every: int, generator: np.random.Generator
) -> list[Invocation]:
    """Every model as often as its `slices` say in each pass, in random order.

    The fixed model comes first in each pass and after every `every` invocations. Each model saves
    its output the first time.

    Args:
        slices: How often each model comes in a pass.
        passes: How many there are.
        every: Invocations between two of the fixed model; 0 for none.
        generator: Decides the order.
    """
    order: list[int] = []
    for _ in range(passes):
        models = generator.permutation(np.repeat(np.arange(len(slices)), slices)).tolist()
        if not every:
            order += models
            continue
        for start in range(0, len(models), every):
            order += [SENTINEL, *models[start : start + every]]
    if every and order:
        order.append(SENTINEL)
    seen: set[int] = set()
    found = []
    for number, model in enumerate(order):
        found.append(Invocation(number, model, model not in seen and model != SENTINEL))
        seen.add(model)
    return found


def neighbours(order: Sequence[Invocation]) -> Mapping[int, tuple[int, int]]:
    """For the number of each model's invocation those of the fixed one before and after it."""
    places = [call.number for call in order if call.model == SENTINEL]
    found: dict[int, tuple[int, int]] = {}
    for call in order:
        if call.model != SENTINEL:
            before = [place for place in places if place < call.number]
            after = [place for place in places if place > call.number]
            if before and after:
                found[call.number] = (before[-1], after[0])
    return found
