"""Features of what is executed: of each loop's shape, weighted by the time it is likely to take.

Engines run image tensors in blocks of 16 channels (8 on narrower vectors): ONNX Runtime's NCHWc
and XNNPACK's tiles are such. Channels are therefore told with what they are filled up to, and
where a neighbour cannot use the blocks, with the elements that change their layout in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from ..condition import Method
from ..operators import Operator
from .executed import Primitive, primitives
from .layout import BLOCK
from .layout_features import net_row, net_us

Matrix = NDArray[np.float64]

_MACS_PER_US = {"dense": 55e3, "pointwise": 50e3, "depthwise": 25e3, "grouped": 20e3}
_LINEAR_MACS_PER_US = 12e3
_BYTES_PER_US = 40e3
_NODE_US = 0.3
L1_BYTES, L2_BYTES = 1 << 15, 1 << 21
_IN_BLOCKS = frozenset({"dense", "pointwise", "add", "affine", "max_pool", "avg_pool"})
_KNOWN = 1 << 16


def nominal_us(primitive: Primitive) -> float:
    """Roughly what `primitive` takes on a desktop core in fp32, in microseconds.

    It decides how much a primitive's shape counts in its operator; its scale does not matter.
    """
    p = primitive
    macs: float = p.macs
    if p.kind in ("dense", "pointwise"):
        macs *= (filled(p.channels) if p.channels >= BLOCK else 1) * filled(p.out_channels)
    elif p.kind == "depthwise":
        macs *= filled(p.out_channels)
    return max(
        macs / _MACS_PER_US.get(p.kind, _LINEAR_MACS_PER_US), 4 * p.moved / _BYTES_PER_US
    ) + (_NODE_US)


def nominal_operator_us(operator: Operator) -> float:
    """The same for all that `operator` executes; it is not free."""
    return sum(map(nominal_us, primitives(operator)))


@dataclass(frozen=True)
class ExecutedSpace:
    """The columns of what a table's operators execute.

    Attributes:
        kinds: Kinds of primitives seen, sorted.
        element_bytes: Bytes of one tensor element at the table's precision.
        method: Where the table is of ONNX Runtime's and of differences, what these are of
            (`layout_features.py`); None elsewhere.
    """

    kinds: tuple[str, ...]
    element_bytes: int
    method: Method | None = None

    @classmethod
    def of(
        cls, operators: Sequence[Operator], element_bytes: int, method: Method | None = None
    ) -> ExecutedSpace:
        """The columns that `operators` span."""
        seen = {p.kind for operator in operators for p in primitives(operator)}
        return cls(tuple(sorted(seen)), element_bytes, method)

    def matrix(self, operators: Sequence[Operator]) -> Matrix:
        """Features of `operators`, at least one and none free, `(operators, columns)`.

        A kind of primitive that was not seen has no column.
        """
        rows = []
        for operator in operators:
            shares = _shares(operator)
            kinds = [log1p(10 * shares.get(kind, 0.0)) for kind in self.kinds]
            net = () if self.method is None else net_row(operator, self.method)
            rows.append([*_row(operator, self.element_bytes), *kinds, *net])
        return np.array(rows, np.float64)

    def nominal_us(self, operators: Sequence[Operator]) -> Matrix:
        """Roughly what `operators`, none free, take, in microseconds, `(operators,)`."""
        if self.method is None:
            return np.array([nominal_operator_us(o) for o in operators])
        return np.array([net_us(o, self.method) for o in operators])


def _shares(operator: Operator) -> dict[str, float]:
    """Share of the nominal time by kind of primitive."""
    times = [(p.kind, nominal_us(p)) for p in primitives(operator)]
    total = sum(time for _, time in times)
    shares: dict[str, float] = {}
    for kind, time in times:
        shares[kind] = shares.get(kind, 0.0) + time / total
    return shares


@lru_cache(_KNOWN)
def _row(operator: Operator, element_bytes: int) -> tuple[float, ...]:
    parts = primitives(operator)
    times = np.array([nominal_us(p) for p in parts])
    shapes = np.array([_shape(p, element_bytes) for p in parts])
    mean = (times / times.sum()) @ shapes
    return (
        log(times.sum()),
        *mean.tolist(),
        *_sizes(operator, parts, element_bytes),
        *_layout(operator, parts),
        *_tiles(parts[int(np.argmax(times))]),
    )


def _shape(p: Primitive, element_bytes: int) -> tuple[float, ...]:
    """One loop: its sides, whether channels fill blocks, and whether its data fit caches."""
    groups = max(1, p.channels // p.group_channels)
    return (
        log(p.channels),
        log(p.out_channels),
        log(p.side),
        log(p.out_side),
        log(p.kernel),
        p.stride - 1,
        p.dilation - 1,
        log(p.group_channels),
        p.channels % BLOCK == 0,
        p.out_channels % BLOCK == 0,
        p.group_channels % BLOCK == 0,
        (p.out_channels // groups) % BLOCK == 0,
        filled(p.channels),
        filled(p.out_channels),
        log1p(p.moved * element_bytes / L2_BYTES),
        log1p(p.weights * element_bytes / L2_BYTES),
        log1p(p.moved * element_bytes / L1_BYTES),
    )


def _sizes(
    operator: Operator, parts: Sequence[Primitive], element_bytes: int
) -> tuple[float, ...]:
    """The operator as a whole: work, extremes, and how many inputs and nodes."""
    macs, moved = sum(p.macs for p in parts), sum(p.moved for p in parts)
    channels = [shape[0] for shape in operator.input_shapes]
    out = operator.output_shape
    return (
        log(macs + 1e4),
        log(moved),
        log(macs / moved + 0.1),
        log(max(p.written for p in parts)),
        log(min(p.written for p in parts)),
        log(max(p.read for p in parts)),
        log1p(max(p.weights for p in parts)),
        log1p(sum(p.written for p in parts) * element_bytes / L2_BYTES),
        log(channels[0]),
        log(max(channels)),
        log(min(channels)),
        log(out[0]),
        log(out[-1] if len(out) > 1 else 1),
        len(channels),
        len(channels) > 1 and len(set(channels)) == 1,
        len(parts),
    )


def _layout(operator: Operator, parts: Sequence[Primitive]) -> tuple[float, ...]:
    """Blocks at the ends, and what changes between blocks and plain rows inside."""
    channels = [shape[0] for shape in operator.input_shapes]
    is_full = _is_full(operator)
    blocked = blocked_ends(operator, parts)
    elements = [parts[0].read, *(p.written for p in parts)]
    changed = sum(e for e, a, b in zip(elements, blocked, blocked[1:], strict=False) if a != b)
    plain = [p for p, is_in_blocks in zip(parts, blocked[1:], strict=False) if not is_in_blocks]
    macs, moved = sum(p.macs for p in parts), sum(p.moved for p in parts)
    return (
        is_full,
        channels[0] % BLOCK == 0,
        operator.output_shape[0] % BLOCK == 0,
        filled(channels[0]),
        filled(operator.output_shape[0]),
        log1p(changed),
        changed / moved,
        len(plain),
        sum(p.moved for p in plain) / moved,
        sum(p.macs for p in plain) / max(macs, 1),
    )


def _tiles(p: Primitive) -> tuple[float, ...]:
    """How well the longest loop fills register tiles (6 columns, 4 blocks), and its border."""
    blocks = -(-p.out_channels // BLOCK)
    return (
        -(-p.out_side // 6) * 6 / p.out_side,
        -(-blocks // 4) * 4 / blocks,
        p.channels < BLOCK,
        log(min(p.group_channels, 64)),
        2 * (p.kernel * p.dilation // 2) / p.out_side,
    )


def blocked_ends(operator: Operator, parts: Sequence[Primitive]) -> tuple[bool, ...]:
    """Whether each of `parts` runs in blocks; one more in front and one behind, which do."""
    is_full = _is_full(operator)
    return (True, *(_is_blocked(p, is_full) for p in parts), True)


def _is_full(operator: Operator) -> bool:
    return all(shape[0] % BLOCK == 0 for shape in operator.input_shapes)


def _is_blocked(p: Primitive, is_full: bool) -> bool:
    if p.kind == "depthwise":
        return p.channels == p.out_channels
    if p.kind == "grouped":
        groups = p.channels // p.group_channels
        return p.group_channels % BLOCK == 0 and (p.out_channels // groups) % BLOCK == 0
    if p.kind == "concat":
        return is_full
    return p.kind in _IN_BLOCKS or p.kind == "globalaveragepool"


def filled(channels: int) -> float:
    """Channels filled up to whole blocks, over channels."""
    return -(-channels // BLOCK) * BLOCK / channels
