"""Which of a model's nodes each executed node stands for.

Runtimes fuse: a convolution runs its activation and the sum behind it, and nodes that only prepare
its input. Two sources tell what was fused, as the runtime allows. Where the executed nodes have
tensors (ONNX Runtime), an executed node stands for what lies between the tensors it reads and
those it writes; tensors that the runtime renamed are found again on the way, in order of
execution. Where they have only a kind (LiteRT), both sequences are aligned (`alignment.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .alignment import align, is_movement, is_whole
from .model_file import NAME_TAG, ModelFile, kinds
from .raw import RawNode

_TAG = re.compile(re.escape(NAME_TAG).replace(r"\{\}", r"(\d+)"))
# Nodes in the blocked layout are named after the tensor that they write, and those that became
# convolutions after what they were.
_BLOCKED = re.compile(r"(.+?)(_bn|_mul)?_nchwc(_token_\d+)?")
_REORDERS = frozenset({"ReorderInput", "ReorderOutput"})
_REVIEWS = frozenset({"Reshape", "Transpose"})
# What prepares an input is run by its reader, everything else by the writer of its input.
_PREPARES = kinds(
    "Cast DequantizeLinear Pad Reshape Squeeze Transpose Unsqueeze "
    "DEQUANTIZE EXPAND_DIMS PAD PADV2 RESHAPE SQUEEZE TRANSPOSE"
)
# What a node of another kind may run behind its own work.
_FOLLOWS = kinds(
    "Add BatchNormalization Clip Elu Gelu HardSigmoid HardSwish Identity LeakyRelu Mul PRelu"
    " QuantizeLinear Relu Sigmoid Softplus Sum Tanh"
)
# What may be done by not doing it: a tensor is read, or written, where it lies.
_VIEWS = kinds(
    "Concat Flatten Identity Pad Reshape Squeeze Unsqueeze"
    " CONCATENATION EXPAND_DIMS PAD PADV2 RESHAPE SQUEEZE"
)
# What reads no more than it writes.
_PICKS = kinds("Gather Slice Split EMBEDDING_LOOKUP GATHER SLICE SPLIT SPLIT_V STRIDED_SLICE")


@dataclass(frozen=True)
class Cover:
    """What one executed node stands for.

    Attributes:
        nodes: Numbers of the model's nodes, rising.
        owned: Those of them that count as its own. A node that several executed ones make up
            together is owned by one of them, so that nothing is counted twice.
        is_layout: Whether it only changes layout, and the runtime put it in.
    """

    nodes: tuple[int, ...]
    owned: tuple[int, ...]
    is_layout: bool


def covers(model: ModelFile, executed: Sequence[RawNode]) -> tuple[Cover, ...]:
    """What each of `executed` stands for, in their order.

    Every node of the model that is not constant is owned by one of them at most, and by exactly
    one if any that it is connected to is. Where kinds and counts leave open which is which, only
    what is told by number counts.
    """
    by_tensors = all(node.outputs for node in executed)
    found = _ByTensors(model, executed) if by_tensors else _ByKinds(model, executed)
    if found.is_whole:
        _adopt(model, found.owner)
    owned: list[list[int]] = [[] for _ in executed]
    for node, owner in sorted(found.owner.items()):
        owned[owner].append(node)
    return tuple(
        Cover(tuple(sorted({*own, *found.shared[index]})), tuple(own), found.is_layout[index])
        for index, own in enumerate(owned)
    )


def model_name(model: ModelFile, name: str) -> str:
    """`name` of an executed node with the model's names in place of tags."""
    return _TAG.sub(lambda match: model.nodes[int(match[1])].name, name)


def moved_bytes(model: ModelFile, nodes: Sequence[int]) -> int | None:
    """Bytes that `nodes` together read from others and write for others; None if not known.

    No more than must be moved: nodes that only say how a tensor is seen move none, and those that
    pick a part of one read that part.
    """
    kinds_of = {model.nodes[node].kind for node in nodes}
    if nodes and kinds_of <= _VIEWS:
        return 0
    inside = set(nodes)
    written = {name for node in nodes for name in model.nodes[node].outputs}
    read = {name for node in nodes for name in model.nodes[node].inputs} - written
    outputs = set(model.outputs)
    left = {
        name
        for name in written
        if name in outputs or not inside.issuperset(model.consumers.get(name, ()))
    }
    if not nodes or not (read | left) <= model.tensor_bytes.keys():
        return None
    written_bytes = sum(model.tensor_bytes[name] for name in left)
    if kinds_of <= _PICKS:
        return 2 * written_bytes
    return written_bytes + sum(model.tensor_bytes[name] for name in read)


def macs(model: ModelFile, nodes: Sequence[int]) -> int | None:
    """Multiply-adds of `nodes` together; None if one's are not known."""
    counts = [model.nodes[node].macs for node in nodes]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class _ByTensors:
    """Covers of executed nodes that tell which tensors they read and write."""

    def __init__(self, model: ModelFile, executed: Sequence[RawNode]) -> None:
        self.owner: dict[int, int] = {}
        self.is_whole = True
        self.shared: list[set[int]] = [set() for _ in executed]
        self.is_layout = tuple(_is_layout(model, node) for node in executed)
        self._model = model
        self._alias: dict[str, str] = {}
        self._pinned = {number for node in executed for number in _pins(model, node)}
        for node, is_layout in zip(executed, self.is_layout, strict=True):
            is_end = node.outputs[0] in model.producers
            if is_layout and is_end and node.inputs[0] not in model.producers:
                self._alias[node.inputs[0]] = node.outputs[0]
        self._ends = {self._tensor(name) for node in executed for name in node.outputs}
        for index, node in enumerate(executed):
            if self.is_layout[index]:
                self._alias.setdefault(node.outputs[0], self._tensor(node.inputs[0]))
            else:
                self._cover(index, node)

    def _tensor(self, name: str) -> str:
        """The model's tensor that the runtime calls `name`, if it is known already."""
        while name in self._alias and self._alias[name] != name:
            name = self._alias[name]
        return name

    def _cover(self, index: int, node: RawNode) -> None:
        reads = {self._tensor(name) for name in node.inputs}
        writes = [self._tensor(name) for name in node.outputs]
        starts = [self._model.producers[name] for name in writes if name in self._model.producers]
        pins = _pins(self._model, node)
        mine = set(self._between([*pins, *starts], reads, set(pins)))
        prepares = any(self._model.nodes[pin].kind in _PREPARES for pin in pins)
        if not starts and not prepares:
            mine = self._grown(mine) if mine else self._first_reader(reads)
        self.owner.update(dict.fromkeys(mine, index))
        if not mine:
            self.shared[index] = self._made_up_by(starts, reads)
        self._name_output(node, mine | self.shared[index])

    def _between(self, starts: list[int], reads: set[str], own: set[int]) -> Iterator[int]:
        """The nodes from `starts` back to the tensors `reads`, none that is another's."""
        waiting, seen = list(starts), set()
        while waiting:
            node = waiting.pop()
            is_taken = node in self.owner or (node in self._pinned and node not in own)
            if node in seen or is_taken or self._model.is_constant(node):
                continue
            seen.add(node)
            yield node
            waiting += [
                self._model.producers[name]
                for name in self._model.nodes[node].inputs
                if name not in reads and name in self._model.producers
            ]

    def _grown(self, mine: set[int]) -> set[int]:
        """`mine` with what follows and can only run there."""
        grown = set(mine)
        ends = [name for node in mine for name in self._model.nodes[node].outputs]
        while ends:
            readers = self._model.consumers.get(ends.pop(), ())
            if len(readers) == 1 and readers[0] not in grown and self._follows(readers[0], grown):
                grown.add(readers[0])
                ends += self._model.nodes[readers[0]].outputs
        return grown

    def _first_reader(self, reads: set[str]) -> set[int]:
        """The one node that reads one of `reads` and could be executed now, if there is one."""
        for name in sorted(reads):
            readers = self._model.consumers.get(name, ())
            if len(readers) == 1 and self._follows(readers[0], set()):
                return set(readers)
        return set()

    def _follows(self, node: int, before: set[int]) -> bool:
        """Whether `node` is nobody else's, and all that it reads is there after `before`."""
        found = self._model.nodes[node]
        if node in self.owner or node in self._pinned:
            return False
        if before and found.kind not in _FOLLOWS:
            return False
        is_end = before and any(name in self._ends for name in found.outputs)
        makers = [
            self._model.producers[name] for name in found.inputs if name in self._model.producers
        ]
        return not is_end and all(
            maker in before or maker in self.owner or self._model.is_constant(maker)
            for maker in makers
        )

    def _made_up_by(self, starts: list[int], reads: set[str]) -> set[int]:
        """The nodes of which this is a part, where it owns none: of its output, else its input."""
        found = {node for node in starts if node in self.owner}
        if found:
            return found
        makers = {self._model.producers[name] for name in reads if name in self._model.producers}
        return {max(makers)} if makers else set()

    def _name_output(self, node: RawNode, mine: set[int]) -> None:
        """Take the first output, if the runtime renamed it, for what `mine` writes last."""
        name = self._tensor(node.outputs[0])
        if name not in self._model.producers and mine:
            self._alias[name] = self._model.nodes[max(mine)].outputs[0]


class _ByKinds:
    """Covers of executed nodes that tell only what they are, in the model's order."""

    def __init__(self, model: ModelFile, executed: Sequence[RawNode]) -> None:
        aligned: Sequence[int | None] = align(model, executed)
        self.is_whole = is_whole(model, executed, aligned)
        if not self.is_whole:
            aligned = [node.original for node in executed]
        self.owner: dict[int, int] = {}
        self.shared: list[set[int]] = [set() for _ in executed]
        for index, node in enumerate(aligned):
            if node is not None:
                self.owner.setdefault(node, index)
                self.shared[index].add(node)
            for part in executed[index].delegated or ():
                self.owner.setdefault(part, index)
                self.shared[index].add(part)
        self.is_layout = tuple(
            self.is_whole and node is None and is_movement(raw.kind)
            for node, raw in zip(aligned, executed, strict=True)
        )


def _is_layout(model: ModelFile, node: RawNode) -> bool:
    """Whether the runtime put `node` in and it only changes how a tensor lies in memory."""
    if node.kind in _REORDERS:
        return True
    maker = model.producers.get(node.outputs[0])
    is_of_model = maker is not None and model.nodes[maker].kind == node.kind
    return node.kind in _REVIEWS and not is_of_model and not _pins(model, node)


def _pins(model: ModelFile, node: RawNode) -> list[int]:
    """The nodes of the model that the name of an executed one tells."""
    if (blocked := _BLOCKED.fullmatch(node.name)) and blocked[1] in model.producers:
        return [model.producers[blocked[1]]]
    return [int(tag) for tag in _TAG.findall(node.name)]


def _adopt(model: ModelFile, owner: dict[int, int]) -> None:
    """Give each node that nobody owns to the owner of a neighbour, until nothing changes."""
    orphans = [i for i in range(len(model.nodes)) if i not in owner and not model.is_constant(i)]
    has_changed = True
    while orphans and has_changed:
        has_changed = False
        for node in list(orphans):
            adopter = _adopter(model, node, owner)
            if adopter is not None:
                owner[node] = adopter
                orphans.remove(node)
                has_changed = True


def _adopter(model: ModelFile, node: int, owner: dict[int, int]) -> int | None:
    """The executed node that most likely runs `node`: the last of its writers, or its reader."""
    found = model.nodes[node]
    makers = [model.producers[n] for n in found.inputs if n in model.producers]
    readers = [r for n in found.outputs for r in model.consumers.get(n, ())]
    writers = [owner[m] for m in makers if m in owner]
    takers = [owner[r] for r in readers if r in owner]
    choices = (takers[:1], writers) if found.kind in _PREPARES else (writers, takers[:1])
    return next((max(choice) for choice in choices if choice), None)
