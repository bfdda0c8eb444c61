"""Executed operators, of which only the kind is told, laid beside a TFLite model's in order.

XNNPACK calls its operators by names of its own, and runs them in the order in which TFLite hands
nodes over. The best alignment of both sequences is found by dynamic programming (Needleman and
Wunsch 1970): kinds that fit gain, operators left out or put in cost, and a convolution is hardly
ever left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from .model_file import ModelFile, kinds
from .raw import RawNode

_UNARY = "ABS CEIL ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC NEG RELU RELU6 RSQRT SQRT"
_BINARY = "ADD DIV MAXIMUM MINIMUM MUL SQUARED_DIFFERENCE SUB"
_MOVES = (
    "CONCATENATION EXPAND_DIMS RESHAPE SLICE SPLIT SQUEEZE STRIDED_SLICE TRANSPOSE UNPACK PACK"
)

# Kinds of TFLite that an operator of XNNPACK may run, by the beginning of its name.
_RUNS: dict[str, frozenset[str]] = {
    name: kinds(text)
    for name, text in {
        "Add": "ADD",
        "Average Pooling": "AVERAGE_POOL_2D MEAN",
        "Batch Matrix Multiply": "BATCH_MATMUL FULLY_CONNECTED",
        "Clamp": "RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1",
        "Concatenate": "CONCATENATION PACK",
        "Constant Pad": "PAD PADV2",
        "Convert": "DEQUANTIZE QUANTIZE CAST",
        "Convolution": "CONV_2D DEPTHWISE_CONV_2D",
        "Copy": _MOVES,
        "Deconvolution": "TRANSPOSE_CONV",
        "Divide": "DIV",
        "Dynamic Fully Connected": "FULLY_CONNECTED BATCH_MATMUL",
        "Even Split": "SPLIT",
        "Fully Connected": "CONV_2D FULLY_CONNECTED BATCH_MATMUL",
        "Global Average Pooling": "AVERAGE_POOL_2D MEAN",
        "HardSwish": "HARD_SWISH",
        "Invalid Unary Op": f"{_UNARY} {_BINARY}",
        "Max Pooling": "MAX_POOL_2D",
        "Maximum": "MAXIMUM",
        "Mean": "MEAN AVERAGE_POOL_2D SUM",
        "Minimum": "MINIMUM",
        "Multiply": "MUL",
        "PReLU": "PRELU",
        "Resize Bilinear": "RESIZE_BILINEAR",
        "Sigmoid": "LOGISTIC",
        "Slice": "SLICE SPLIT STRIDED_SLICE UNPACK",
        "Softmax": "SOFTMAX",
        "Squared Difference": "SQUARED_DIFFERENCE",
        "Static Reshape": "EXPAND_DIMS RESHAPE SQUEEZE",
        "Subtract": "SUB",
        "Sum": "SUM MEAN",
        "Tanh": "TANH",
        "Transpose": "TRANSPOSE",
    }.items()
}
_MOVEMENTS = ("Copy", "Static Reshape", "Transpose")
_TAILS = ("Clamp", "Copy", "Static Reshape", "Transpose")
_COMPUTE = kinds("BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV")
_OFTEN_FUSED = kinds("PAD PADV2 RELU RELU6 RESHAPE SQUEEZE EXPAND_DIMS QUANTIZE")

_CERTAIN, _COMPUTES, _FITS, _MAY_FIT = 1000.0, 10.0, 4.0, 1.0
_LEAVE_OUT, _LEAVE_OUT_FUSED, _LEAVE_OUT_COMPUTE = -3.0, -1.0, -20.0
_PUT_IN = -2.0
_DIAGONAL, _SKIP, _EXTRA = 0, 1, 2


def is_movement(kind: str) -> bool:
    """Whether an operator of XNNPACK of this kind computes nothing."""
    return kind.startswith(_MOVEMENTS)


def align(model: ModelFile, executed: Sequence[RawNode]) -> tuple[int | None, ...]:
    """The number of the model's node that each of `executed` runs, or None.

    An operator that XNNPACK adds behind another as a part of it (the limits of an activation) runs
    the same node. What is all that a delegate runs at once is left out, with the nodes that it is.
    """
    pinned = {node.original for node in executed if node.original is not None}
    is_open = _open(model, executed)
    numbers = [i for i in _execution_order(model, pinned) if i in is_open]
    places = [index for index, node in enumerate(executed) if node.delegated is None]
    steps = _steps(model, numbers, [executed[index] for index in places], pinned)
    found: list[int | None] = [None] * len(executed)
    row, column = len(numbers), len(places)
    while row or column:
        step = steps[row, column]
        if step == _DIAGONAL:
            found[places[column - 1]] = numbers[row - 1]
        row, column = row - (step != _EXTRA), column - (step != _SKIP)
    for index in range(1, len(found)):
        before = found[index - 1]
        if found[index] is None and before is not None:
            is_tail = _is_tail(executed[index].kind, model.nodes[before].kind)
            found[index] = before if is_tail else None
    return tuple(found)


def is_whole(model: ModelFile, executed: Sequence[RawNode], aligned: Sequence[int | None]) -> bool:
    """Whether every convolution and product of the model has found the operator that runs it.

    And the other way round. Where one has not, the operators are named or counted in a way that is
    not known here, and which is which cannot be told.
    """
    left = _open(model, executed) - {node for node in aligned if node is not None}
    alone = [
        node
        for node, number in zip(executed, aligned, strict=True)
        if number is None and node.delegated is None and _only_computes(node.kind)
    ]
    return not alone and not any(model.nodes[node].kind in _COMPUTE for node in left)


def _open(model: ModelFile, executed: Sequence[RawNode]) -> set[int]:
    """The numbers of the nodes that are executed, without those that delegates run at once."""
    told = {number for node in executed for number in node.delegated or ()}
    return {i for i in range(len(model.nodes)) if i not in told and not model.is_constant(i)}


def _steps(
    model: ModelFile, numbers: Sequence[int], executed: Sequence[RawNode], pinned: set[int]
) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """The best last step into each pair of prefixes: match, leave out, or put in."""
    steps = np.zeros((len(numbers) + 1, len(executed) + 1), np.int8)
    steps[0, 1:], steps[1:, 0] = _EXTRA, _SKIP
    above = [_PUT_IN * column for column in range(len(executed) + 1)]
    for row, number in enumerate(numbers, start=1):
        kind = model.nodes[number].kind
        skip = _left_out(kind)
        current = [above[0] + skip]
        for column, node in enumerate(executed, start=1):
            choices = (
                above[column - 1] + _gain(number, kind, node, pinned),
                above[column] + skip,
                current[-1] + _PUT_IN,
            )
            best = max(choices)
            steps[row, column] = choices.index(best)
            current.append(best)
        above = current
    return steps


def _execution_order(model: ModelFile, pinned: set[int]) -> list[int]:
    """The order in which TFLite runs the nodes: `pinned` by itself, the others in a delegate.

    It takes by turns all that can run now of one kind, in the model's order, then of the other,
    so that a delegate is called as seldom as may be.
    """
    there = {*model.constants, *(given.name for given in model.inputs)}
    left, order = list(range(len(model.nodes))), []
    while left:
        turn = None
        for node in list(left):
            if not there.issuperset(model.nodes[node].inputs):
                continue
            turn = node in pinned if turn is None else turn
            if (node in pinned) is turn:
                there.update(model.nodes[node].outputs)
                order.append(node)
                left.remove(node)
        if turn is None:
            # A variable, or whatever else nothing writes: the model's order is all there is.
            return order + left
    return order


def _gain(number: int, kind: str, node: RawNode, pinned: set[int]) -> float:
    if node.original is not None or number in pinned:
        return _CERTAIN if node.original == number else -_CERTAIN
    return _fit(kind, node.kind)


@cache
def _fit(kind: str, name: str) -> float:
    """What it gains that XNNPACK's operator `name` runs a node of `kind`."""
    runs = _kinds_run_by(name)
    if runs is None:
        return _MAY_FIT if kind not in _COMPUTE else -_CERTAIN
    if kind not in runs:
        return -_CERTAIN
    if name.startswith("Invalid"):
        return _MAY_FIT
    return _COMPUTES if kind in _COMPUTE else _FITS


def _left_out(kind: str) -> float:
    if kind in _COMPUTE:
        return _LEAVE_OUT_COMPUTE
    return _LEAVE_OUT_FUSED if kind in _OFTEN_FUSED else _LEAVE_OUT


def _kinds_run_by(name: str) -> frozenset[str] | None:
    fitting = [known for known in _RUNS if name.startswith(known)]
    return _RUNS[max(fitting, key=len)] if fitting else None


def _only_computes(name: str) -> bool:
    """Whether XNNPACK's operator `name` runs nothing but convolutions and products."""
    runs = _kinds_run_by(name)
    return runs is not None and runs <= _COMPUTE


def _is_tail(name: str, kind: str) -> bool:
    """Whether XNNPACK's operator `name` may be the end of what runs a node of `kind`."""
    runs = _kinds_run_by(name)
    is_limit = name.startswith("Clamp")
    return is_limit or (name.startswith(_TAILS) and runs is not None and kind in runs)
