"""Mobile blocks found in a program: what was measured as one block is best predicted as one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from ...core.errors import ConfigError
from ..graph.ir import Activation
from ..operators.add import Add
from ..operators.conv import Conv, Norm
from ..operators.mbconv import MBConv
from ..operators.squeeze_excite import SqueezeExcite
from .program import Part, Program


def with_blocks(program: Program) -> Program:
    """`program` with every mobile block as one part, where it is exactly an `MBConv`."""
    return _Finder(program).found()


class _Finder:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._maker = {part.writes: part for part in program.parts}
        self._readers: dict[str, list[Part]] = defaultdict(list)
        for part in program.parts:
            for name in part.reads:
                self._readers[name].append(part)

    def found(self) -> Program:
        taken: dict[int, Part | None] = {}
        for part in self._program.parts:
            block = self._block_around(part)
            if block is None:
                continue
            whole, members = block
            if any(id(member) in taken for member in members):
                continue
            taken.update(dict.fromkeys(map(id, members), None))
            taken[id(members[-1])] = whole
        parts = [taken.get(id(part), part) for part in self._program.parts]
        return replace(self._program, parts=tuple(p for p in parts if p is not None))

    def _block_around(self, depth: Part) -> tuple[Part, list[Part]] | None:
        """The block whose depthwise convolution is `depth`, and its parts in order."""
        conv = depth.operator
        if not (isinstance(conv, Conv) and _is_depthwise(conv)):
            return None
        members = [depth]
        first = self._maker.get(depth.reads[0])
        if first is not None and self._is_expansion(first, conv):
            members.insert(0, first)
        behind = self._next(members[-1])
        gate = behind.operator if behind is not None else None
        if isinstance(gate, SqueezeExcite) and behind is not None:
            members.append(behind)
            behind = self._next(behind)
        if behind is None or not _is_projection(behind):
            return None
        members.append(behind)
        return self._whole(members, conv, gate if isinstance(gate, SqueezeExcite) else None)

    def _whole(
        self, members: list[Part], depth: Conv, gate: SqueezeExcite | None
    ) -> tuple[Part, list[Part]] | None:
        start, project = members[0].operator, members[-1].operator
        if not (isinstance(start, Conv) and isinstance(project, Conv)):
            return None
        hidden = depth.in_channels
        try:
            block = MBConv(
                start.in_channels, project.out_channels, start.resolution, depth.kernel,
                depth.stride, max(1, min(6, round(hidden / start.in_channels))),
                gate is not None, depth.activation,
                None if hidden % start.in_channels == 0 else hidden,
            )  # fmt: skip
        except ConfigError:
            return None
        is_same = block.hidden_channels == hidden and (
            gate is None
            or (
                (gate.squeeze_channels == block.squeeze_channels)
                and gate.gate is Activation.HSIGMOID
            )
        )
        has_first = (hidden != start.in_channels) == (members[0].operator is not depth)
        if not is_same or not has_first:
            return None
        reads, last = members[0].reads, self._next(members[-1])
        if block.has_skip:
            if last is None or not self._is_skip(last, reads[0]):
                return None
            members.append(last)
        nodes = tuple(node for member in members for node in member.nodes)
        return Part(block, nodes, reads, members[-1].writes), members

    def _next(self, part: Part) -> Part | None:
        """The part that alone reads what `part` writes."""
        readers = self._readers[part.writes]
        is_inside = len(readers) == 1 and part.writes not in self._program.outputs
        return readers[0] if is_inside else None

    def _is_expansion(self, first: Part, depth: Conv) -> bool:
        conv = first.operator
        return (
            isinstance(conv, Conv)
            and self._next(first) is not None
            and (conv.kernel, conv.stride, conv.groups) == (1, 1, 1)
            and conv.activation is depth.activation
            and conv.norm is Norm.BATCH
            and conv.in_channels < conv.out_channels
        )

    def _is_skip(self, part: Part, start: str) -> bool:
        add = part.operator
        return isinstance(add, Add) and add.activation is Activation.NONE and start in part.reads


def _is_depthwise(conv: Conv) -> bool:
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.padding is None
        and conv.dilation == 1
        and conv.norm is Norm.BATCH
    )


def _is_projection(part: Part) -> bool:
    conv = part.operator
    return (
        isinstance(conv, Conv)
        and (conv.kernel, conv.stride, conv.groups) == (1, 1, 1)
        and conv.activation is Activation.NONE
        and conv.norm is Norm.BATCH
    )
