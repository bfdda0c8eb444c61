"""What ONNX Runtime executes of a graph in fp32 on x86: its NCHWc layout pass, as own rules.

The pass (`NchwcTransformer` in ONNX Runtime's sources, for CPUs with 512-bit vectors) puts image
tensors in blocks of 16 channels where it can: convolutions whose groups fill blocks or are
depthwise, pools and sums of such. What has no blocked form (a slice, a pad, a clip after a sum, a
pool of channels that fill no blocks) reads a plain copy, which a ReorderOutput writes. A sum is
added by the convolution that gives one of its inputs, if nothing else reads that.

The rules are those of 1.32.0, against whose optimised graphs the tests hold them. They need no
ONNX Runtime, so that features do not depend on what is installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..graph import ir
from ..graph.ir import Value
from .layout_steps import Step, parts_of_swish, steps_of, uses_of

CHECKED_VERSION = "1.32.0"
"""The ONNX Runtime whose graphs the rules were compared with."""

BLOCK = 16
_ALIGNED = 4
"""Channels of which plain tensors must have a multiple to be changed into blocks."""

_POOLS = frozenset({"MaxPool", "AveragePool"})
_AFTER_SUM = frozenset({"Relu", "Clip", "Sigmoid", "HardSigmoid"})
_IN_PLACE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "HardSwish"})


@dataclass(frozen=True, slots=True)
class RunNode:
    """One operation that runs; elements, not bytes, channels filled up to blocks where they are.

    Attributes:
        op: Its name in ONNX Runtime's graph: of ONNX, `ReorderInput` or `ReorderOutput`.
        is_blocked: Whether what it computes lies in blocks of 16 channels.
        activation: The name of the function fused into it; empty for none.
        adds: Whether a convolution adds another tensor to what it computes.
        macs: Multiply-adds.
        read: Elements of the tensors read, `weights` of constants, `written` of the output.
        channels: Of the (first) input; `out_channels` and `out_side` of the output.
        group_channels: Input channels that one output channel reads, for convolutions.
    """

    op: str
    is_blocked: bool
    activation: str = ""
    adds: bool = False
    macs: int = 0
    read: int = 0
    weights: int = 0
    written: int = 0
    channels: int = 1
    out_channels: int = 1
    side: int = 1
    out_side: int = 1
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    group_channels: int = 1


def run_nodes(graph: ir.Graph) -> tuple[RunNode, ...]:
    """What ONNX Runtime executes of `graph`; changes of layout come last."""
    steps = steps_of(graph)
    inputs = {value.name for value in graph.inputs}
    layout = _Layout(inputs, graph.output.name, uses_of(steps, graph.output))
    for step in steps:
        layout.place(step)
    return layout.nodes()


@dataclass(eq=False)
class _Placed:
    """A step with the layout it got; `added` is what the convolution adds to its result."""

    step: Step
    is_blocked: bool
    activation: str
    added: Value | None = None


@dataclass
class _Blocked:
    """A tensor in blocks: what writes it, and how many read it, and of these how many plain."""

    maker: _Placed
    uses: int
    plain_uses: int
    value: Value


@dataclass
class _Layout:
    """The pass over the steps in order, with what it knows of the tensors so far."""

    inputs: set[str]
    output: str
    uses: dict[str, int]
    placed: list[_Placed] = field(default_factory=list)
    blocked: dict[str, _Blocked] = field(default_factory=dict)
    reordered: dict[str, Value] = field(default_factory=dict)

    def place(self, step: Step) -> None:
        """Decide where `step` works."""
        match step.op:
            case "Conv":
                done = self._conv(step)
            case "MaxPool" | "AveragePool":
                done = self._pool(step)
            case _ if not self._is_free_of_plain(step):
                done = False
            case "GlobalAveragePool":
                done = self._pool(step)
            case "Add" | "Mul":
                done = self._binary(step)
            case "Concat":
                done = self._concat(step)
            case "BatchNormalization":
                done = self._read_blocked(step) and self._make(step)
            case op if op in _IN_PLACE:
                done = self._activation(step)
            case _:
                done = False
        if not done and step.op == "HardSwish":
            self._swish(step)
        elif not done:
            self.placed.append(_Placed(step, False, step.activation))

    def nodes(self) -> tuple[RunNode, ...]:
        """All that runs, once every step is placed."""
        self._add_plain()
        outputs = [b.value for b in self.blocked.values() if b.plain_uses > 0]
        return (
            *(_run_node(placed) for placed in self.placed),
            *(_reorder(value, "ReorderInput") for value in self.reordered.values()),
            *(_reorder(value, "ReorderOutput") for value in outputs),
        )

    def _add_plain(self) -> None:
        """Let plain convolutions do sums and what follows these, if nothing else reads those."""
        plain = [placed for placed in self.placed if not placed.is_blocked]
        readers = {value.name: placed for placed in plain for value in placed.step.reads}
        for placed in plain:
            if placed.step.op != "Conv" or placed.activation:
                continue
            total = self._only_reader(placed, readers)
            if total is None or total.step.op != "Add" or total not in self.placed:
                continue
            placed.added = next(v for v in total.step.reads if v.name != placed.step.writes.name)
            self._absorb(placed, total)
            last = self._only_reader(placed, readers)
            if last is not None and last.step.op in _AFTER_SUM:
                placed.activation = last.step.op
                self._absorb(placed, last)

    def _only_reader(self, placed: _Placed, readers: dict[str, _Placed]) -> _Placed | None:
        name = placed.step.writes.name
        return readers.get(name) if self.uses[name] == 1 else None

    def _absorb(self, placed: _Placed, reader: _Placed) -> None:
        placed.step = replace(placed.step, writes=reader.step.writes)
        self.placed.remove(reader)

    def _is_free_of_plain(self, step: Step) -> bool:
        return all(v.name in self.blocked or v.name in self.inputs for v in step.reads)

    def _conv(self, step: Step) -> bool:
        channels, out = step.reads[0].shape[1], step.writes.shape[1]
        groups = _groups(step)
        if groups == 1 and channels < BLOCK:
            return self._make(step)
        if groups == 1 and channels % _ALIGNED:
            return False
        if groups > 1 and not _has_blocked_groups(channels, out, groups):
            return False
        self._take(step.reads[0])
        return self._make(step)

    def _pool(self, step: Step) -> bool:
        if step.reads[0].shape[1] % BLOCK:
            return False
        self._take(step.reads[0])
        return self._make(step)

    def _binary(self, step: Step) -> bool:
        found = [self.blocked.get(value.name) for value in step.reads]
        if None in found or len({value.shape for value in step.reads}) > 1:
            return False
        for value in step.reads:
            self._take(value)
        if step.op == "Add":
            for made, other in zip(found, reversed(step.reads), strict=True):
                if made is not None and self._adds(made, other):
                    self._grow(step, made)
                    return True
        return self._make(step)

    def _adds(self, made: _Blocked, other: Value) -> bool:
        maker = made.maker
        if not _is_fusible(made) or maker.added is not None:
            return False
        maker.added = other
        return True

    def _concat(self, step: Step) -> bool:
        if any(v.name not in self.blocked or v.shape[1] % BLOCK for v in step.reads):
            return False
        for value in step.reads:
            self._take(value)
        return self._make(step)

    def _activation(self, step: Step) -> bool:
        made = self.blocked.get(step.reads[0].name)
        if made is None:
            return False
        is_swish = step.op == "HardSwish"
        fuses = _is_fusible(made) and not (is_swish and step.writes.name == self.output)
        if is_swish and not fuses:
            return False
        self._take(step.reads[0])
        if not fuses:
            return self._make(step)
        made.maker.activation = step.op
        self._grow(step, made)
        return True

    def _swish(self, step: Step) -> None:
        """A HardSwish that no convolution has taken."""
        gate, product = parts_of_swish(step)
        self.uses[gate.writes.name] = 1
        if (made := self.blocked.get(gate.reads[0].name)) is not None:
            made.uses += 1
            made.plain_uses += 1
        self.place(gate)
        self.place(product)

    def _read_blocked(self, step: Step) -> bool:
        if step.reads[0].name not in self.blocked:
            return False
        self._take(step.reads[0])
        return True

    def _take(self, value: Value) -> None:
        """Read `value` in blocks, if need be after a ReorderInput that all such readers share."""
        if value.name in self.blocked:
            self.blocked[value.name].plain_uses -= 1
        else:
            self.reordered[value.name] = value

    def _make(self, step: Step) -> bool:
        placed = _Placed(step, True, step.activation)
        self.placed.append(placed)
        self._note(step, placed)
        return True

    def _grow(self, step: Step, made: _Blocked) -> None:
        """Let the convolution behind `made` do `step`, too."""
        self._note(step, made.maker)

    def _note(self, step: Step, maker: _Placed) -> None:
        uses = self.uses[step.writes.name]
        self.blocked[step.writes.name] = _Blocked(maker, uses, uses, step.writes)


def _groups(step: Step) -> int:
    return step.node.groups if isinstance(step.node, ir.Conv) else 1


def _has_blocked_groups(channels: int, out: int, groups: int) -> bool:
    """Whether a convolution of several groups runs in blocks: depthwise, or of whole blocks."""
    if out % _ALIGNED:
        return False
    is_depthwise = channels == out == groups
    return is_depthwise or not (channels // groups % BLOCK or out // groups % BLOCK)


def _is_fusible(made: _Blocked) -> bool:
    """Whether the convolution that writes the tensor can do what its only reader does, too."""
    maker = made.maker
    is_conv = maker.step.op in ("Conv", "BatchNormalization")
    return is_conv and made.uses == 1 and not maker.activation


def _filled(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _elements(value: Value, *, is_blocked: bool) -> int:
    if not is_blocked:
        return value.elements
    return value.elements // value.shape[1] * _filled(value.shape[1])


def _reorder(value: Value, op: str) -> RunNode:
    """The change of `value` into blocks, or out of them."""
    is_input = op == "ReorderInput"
    channels, filled = value.shape[1], _filled(value.shape[1])
    return RunNode(
        op,
        is_input,
        read=_elements(value, is_blocked=not is_input),
        written=_elements(value, is_blocked=is_input),
        channels=channels if is_input else filled,
        out_channels=filled if is_input else channels,
        side=value.shape[-1],
        out_side=value.shape[-1],
    )


def _run_node(placed: _Placed) -> RunNode:
    step, is_blocked = placed.step, placed.is_blocked
    source, output = step.reads[0], step.writes
    is_direct = step.op == "Conv" and _groups(step) == 1 and source.shape[1] < BLOCK
    reads = [_elements(v, is_blocked=is_blocked and not is_direct) for v in step.reads]
    if placed.added is not None:
        reads.append(_elements(placed.added, is_blocked=is_blocked))
    channels, out = source.shape[1], output.shape[1]
    found = RunNode(
        step.op,
        is_blocked,
        placed.activation,
        placed.added is not None,
        read=output.elements if step.op == "Slice" else sum(reads),
        written=_elements(output, is_blocked=is_blocked),
        channels=_filled(channels) if is_blocked and not is_direct else channels,
        out_channels=_filled(out) if is_blocked else out,
        side=source.shape[-1] if len(source.shape) > 2 else 1,
        out_side=output.shape[-1] if len(output.shape) > 2 else 1,
    )
    return _with_window(found, step)


def _with_window(found: RunNode, step: Step) -> RunNode:
    """`found` with the window and the constants of the node that `step` is of."""
    node = step.node
    if step.op == "Conv" and isinstance(node, ir.Conv):
        window = replace(
            found,
            kernel=int(node.weight.shape[2]),
            stride=node.stride,
            dilation=node.dilation,
            groups=found.channels if _is_depthwise(step) else node.groups,
        )
        return _with_weights(window)
    if step.op == "BatchNormalization" and found.is_blocked:
        return _with_weights(replace(found, op="Conv", groups=found.channels))
    if step.op == "BatchNormalization":
        return replace(found, weights=4 * found.channels)
    if step.op == "Gemm":
        products = found.channels * found.out_channels
        return replace(found, macs=products, weights=products + found.out_channels)
    if step.op in _POOLS and isinstance(node, ir.Pool):
        return replace(found, kernel=node.kernel, stride=node.stride)
    return found


def _with_weights(found: RunNode) -> RunNode:
    """A convolution with its multiply-adds and constants, by its channels as they are run."""
    each = found.channels // found.groups
    window = each * found.kernel**2
    return replace(
        found,
        group_channels=each,
        macs=found.written * window,
        weights=found.out_channels * (window + 1),
    )


def _is_depthwise(step: Step) -> bool:
    groups = _groups(step)
    return groups > 1 and groups == step.reads[0].shape[1] == step.writes.shape[1]
