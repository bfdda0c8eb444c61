"""A model as parts: what is executed as one operator, and which nodes of the file that is."""

from __future__ import annotations

from dataclasses import dataclass

from ..operators import Operator
from ..precision import Precision


@dataclass(frozen=True)
class Part:
    """Nodes that are executed as one.

    Attributes:
        operator: What they are together.
        nodes: Names in the file, in its order.
        reads: Tensors that come from other parts or from outside, and
        writes: the one that others read.
    """

    operator: Operator
    nodes: tuple[str, ...]
    reads: tuple[str, ...]
    writes: str


@dataclass(frozen=True)
class Program:
    """All parts in the order of the file.

    Attributes:
        free: Nodes that execute nothing: reshapes of what lies in one piece, dropout, constants.
        outputs: Tensors that the model returns.
    """

    parts: tuple[Part, ...]
    free: tuple[str, ...]
    precision: Precision
    outputs: frozenset[str]

    @property
    def nodes(self) -> int:
        """How many nodes the file has."""
        return len(self.free) + sum(len(part.nodes) for part in self.parts)
