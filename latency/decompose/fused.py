"""Parts of a program joined where a device's runtime was found to execute them as one.

Without rules a program stays as it was read: activations, biases and batch norms are with what
they follow, sums and gates apart. An operator that was measured together with its activation holds
what the two cost whether or not they are fused, and is not taken apart. What is joined is
predicted as its first operator: what the second one reads besides is left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from ..fusion.pairs import ADD
from ..fusion.rules import FusionRules
from ..graph.ir import Activation
from ..models.executed import primitives
from ..operators import Operator
from ..operators.activate import Activate
from ..operators.activations import ACTIVATIONS
from ..operators.add import Add
from ..operators.conv import Conv
from ..operators.linear import Linear
from .program import Part, Program

_CARRIED = frozenset(ACTIVATIONS) - {Activation.NONE}
"""Activations that a convolution or layer may have."""


def with_fusion(program: Program, rules: FusionRules | None) -> Program:
    """`program` with parts joined that `rules` say are executed as one; as it is without rules."""
    return program if rules is None else _Joiner(program, rules).joined()


@dataclass(frozen=True)
class _Placed:
    """A part, and the primitives at its end that are executed as one; none if that is full."""

    part: Part
    last: tuple[str, ...]


class _Joiner:
    def __init__(self, program: Program, rules: FusionRules) -> None:
        self._program = program
        self._rules = rules
        self._readers: dict[str, list[Part]] = defaultdict(list)
        for part in program.parts:
            for name in dict.fromkeys(part.reads):
                self._readers[name].append(part)

    def joined(self) -> Program:
        """Each part is joined to one before it as soon as it comes, and so are chains of three."""
        made: dict[str, _Placed] = {}
        for part in self._program.parts:
            first, placed = self._joined_to_one(part, made)
            if first is not None:
                del made[first.part.writes]
            made[part.writes] = placed
        return replace(self._program, parts=tuple(placed.part for placed in made.values()))

    def _joined_to_one(
        self, part: Part, made: dict[str, _Placed]
    ) -> tuple[_Placed | None, _Placed]:
        """What `part` is executed with, and both; None and `part` by itself else.

        Of two convolutions that are summed it is the later one: the other's output must be there.
        """
        for first in reversed([placed for name, placed in made.items() if name in part.reads]):
            if self._readers[first.part.writes] != [part] or self._is_output(first.part):
                continue
            if (both := self._both(first, part)) is not None:
                return first, both
        return None, _Placed(part, _kind(part.operator))

    def _is_output(self, part: Part) -> bool:
        return part.writes in self._program.outputs

    def _both(self, first: _Placed, second: Part) -> _Placed | None:
        """`first` and `second` as one part; None where they are not known to be fused."""
        if not first.last:
            return None
        operator, last = first.part.operator, first.last
        for name in _primitives(second.operator):
            if not self._rules.fuses(last, name, assumed=False):
                return None
            last = (*last, name)
        activation = getattr(second.operator, "activation", Activation.NONE)
        if isinstance(operator, Conv | Linear) and activation in _CARRIED:
            operator = replace(operator, activation=activation)
        is_open = last[-1] == ADD
        others = (name for name in second.reads if name != first.part.writes)
        reads = tuple(dict.fromkeys((*first.part.reads, *others)))
        nodes = (*first.part.nodes, *second.nodes)
        return _Placed(Part(operator, nodes, reads, second.writes), last if is_open else ())


def _kind(operator: Operator) -> tuple[str, ...]:
    """The primitive that something may be fused into; none where there is none."""
    if isinstance(operator, Conv | Linear) and operator.activation is Activation.NONE:
        return (primitives(operator)[0].kind,)
    return ()


def _primitives(operator: Operator) -> tuple[str, ...]:
    """What may be fused into a primitive before it, in order.

    A sum's activation is one more; what is no sum or activation is never fused into another.
    """
    match operator:
        case Add(activation=Activation.NONE):
            return (ADD,)
        case Add(activation=activation):
            return (ADD, activation.value)
        case Activate(activation=activation):
            return (activation.value,)
        case _:
            return ("",)
