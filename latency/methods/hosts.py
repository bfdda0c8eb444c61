"""The cheap neighbours between which operators are timed."""

from __future__ import annotations

from ...core.errors import UnsupportedOperatorError
from ..operators import Operator
from ..operators.base import Shape
from ..operators.chain import Chain
from ..operators.conv import Conv
from ..operators.global_pool import GlobalPool

NARROW = 4
"""Channels of the input of every host: few, so that the convolution behind it is cheap."""


def neck(shape: Shape) -> Conv:
    """The 1x1 convolution from a narrow input to `shape`."""
    return Conv(NARROW, shape[0], shape[1], 1)


def bare_host(shape: Shape) -> Chain:
    """The host of `shape` that holds no operator: a neck and a global average pool."""
    return Chain((neck(shape), GlobalPool(shape[0], shape[1])))


def distinct_inputs(operator: Operator) -> tuple[Shape, ...]:
    """The distinct shapes that `operator` reads: images of one size, each behind a neck.

    Raises:
        UnsupportedOperatorError: They are no images, or of several sizes.
    """
    shapes = tuple(dict.fromkeys(operator.input_shapes))
    if any(len(shape) != 3 for shape in shapes):
        raise UnsupportedOperatorError(
            f"{operator} does not read images, so that no neighbours can host it; measure it with "
            "method: block in the device card."
        )
    if len({shape[1:] for shape in shapes}) > 1:
        raise UnsupportedOperatorError(
            f"{operator} reads images of several sizes, so that no neighbours can host it; "
            "measure it with method: block in the device card."
        )
    return shapes
