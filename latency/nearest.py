"""Which known operators are most like one that is not known: for messages."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import fields
from math import log2

from .operators import Operator


def distance(first: Operator, second: Operator) -> float:
    """How unlike two operators of one class are: a doubled number counts 1, another choice 1."""
    total = 0.0
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if _is_number(a) and _is_number(b):
            total += abs(log2((abs(a) + 1) / (abs(b) + 1)))
        else:
            total += float(a != b)
    return total


def nearest(operator: Operator, known: Iterable[Operator], count: int = 3) -> list[Operator]:
    """The `count` operators of `known` of the same class that are nearest to `operator`."""
    same = (other for other in known if type(other) is type(operator))
    return heapq.nsmallest(count, same, key=lambda other: (distance(operator, other), str(other)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
