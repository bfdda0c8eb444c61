"""Pairs of primitives that a runtime may execute as one.

Primitives are named as those that operators execute (`latency/models/executed.py`): `dense`,
`pointwise` and `depthwise` convolutions, `affine` for a batch norm, activations by their function.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import UnknownNameError
from ..graph.ir import Activation

DENSE, POINTWISE, DEPTHWISE, LINEAR = "dense", "pointwise", "depthwise", "linear"
AFFINE, ADD, MAX_POOL, AVERAGE_POOL = "affine", "add", "max_pool", "avg_pool"
CONVOLUTIONS = (DENSE, POINTWISE, DEPTHWISE)


@dataclass(frozen=True)
class Pair:
    """A primitive and the one that alone reads its output.

    Attributes:
        first: One primitive, or several that may already be executed as one.
    """

    first: tuple[str, ...]
    second: str

    def __str__(self) -> str:
        return f"{'+'.join(self.first)},{self.second}"


def _catalogue() -> tuple[Pair, ...]:
    behind = {
        (DENSE,): (AFFINE, *_activations(), ADD, MAX_POOL, DENSE),
        (POINTWISE,): (AFFINE, *_activations(), ADD),
        (DEPTHWISE,): (AFFINE, *_activations(), ADD, POINTWISE),
        (DENSE, ADD): ("relu", "relu6"),
        (POINTWISE, ADD): ("relu",),
        (LINEAR,): ("relu", "relu6", "hswish"),
        (ADD,): ("relu", "relu6"),
        (AFFINE,): ("relu",),
        (MAX_POOL,): ("relu",),
        (AVERAGE_POOL,): ("relu",),
    }
    return tuple(Pair(first, second) for first, all_ in behind.items() for second in all_)


def _activations() -> tuple[str, ...]:
    return tuple(a.value for a in Activation if a is not Activation.NONE)


PAIRS = _catalogue()
"""All that are tested."""

CONTROLS = (Pair((DENSE,), DENSE), Pair((DEPTHWISE,), POINTWISE))
"""Pairs that no CPU runtime fuses."""


def find_pair(text: str) -> Pair:
    """The pair that `text` names as `dense+add,relu` does.

    Raises:
        UnknownNameError: It is not among those that are tested.
    """
    known = {str(pair): pair for pair in PAIRS}
    if text not in known:
        raise UnknownNameError("pair", text, known)
    return known[text]
