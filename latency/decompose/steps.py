"""Nodes of a model file in words that no file format owns, and the graph that they make.

Images are channels first here, whatever the file says: `(1, C, H, W)`; other shapes are as they
are in the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..graph.ir import Activation, Pooling
from ..precision import Precision

G = TypeVar("G")
N = TypeVar("N")
Shape = tuple[int, ...]
Edges = tuple[int, int, int, int]
"""Rows and columns of padding: top, left, bottom, right."""


class UnknownStepError(Exception):
    """Why one node is no operator that is known."""


@dataclass(frozen=True)
class Window:
    """A square window that slides over an image; `dilation` is how far its taps are apart."""

    kernel: int
    stride: int
    edges: Edges
    dilation: int = 1


@dataclass(frozen=True)
class Convolution:
    """With `groups` of channels apart: 1 is dense."""

    window: Window
    groups: int
    has_bias: bool
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Layer:
    """A product of a vector with a constant matrix."""

    in_features: int
    out_features: int
    has_bias: bool
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Norm:
    """A factor and a summand a channel.

    Attributes:
        folds: Whether runtimes make it part of a convolution before it.
    """

    folds: bool
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Mean:
    """Over height and width."""


@dataclass(frozen=True)
class Pooled:
    """The maximum or mean of a window; `counts_padding` is of means."""

    window: Window
    pooling: Pooling
    counts_padding: bool


@dataclass(frozen=True, eq=False)
class Sum:
    """Of two tensors, or of one and a constant, which is None where it is not known."""

    constant: NDArray[Any] | None = None
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Product:
    """Of two tensors, or of one and a constant, which is None where it is not known."""

    constant: NDArray[Any] | None = None


@dataclass(frozen=True)
class Joined:
    """Channels of several images, one behind the other."""


@dataclass(frozen=True)
class Cut:
    """A run of channels from `begin`."""

    begin: int


@dataclass(frozen=True)
class Padding:
    """Constants around an image: channels, rows and columns before and after.

    Attributes:
        is_zero: Whether they are 0, else they are what no maximum is.
    """

    before: tuple[int, int, int]
    after: tuple[int, int, int]
    is_zero: bool = True


@dataclass(frozen=True)
class Shuffled:
    """Channels group by group, one of each in turn: what lies between two reshapes."""

    channels: int
    resolution: int
    groups: int


@dataclass(frozen=True)
class Activated:
    """An activation in a node of its own."""

    activation: Activation


@dataclass(frozen=True)
class Free:
    """Executes nothing, or as good as nothing."""


@dataclass(frozen=True)
class Unknown:
    """Nothing that the format's reader can say in these words."""

    reason: str


Does = (
    Convolution | Layer | Norm | Mean | Pooled | Sum | Product | Joined | Cut | Padding | Shuffled
    | Activated | Free | Unknown
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """One node of the file, or a few that are never executed apart.

    Attributes:
        names: Of the nodes, in the file's order.
        kind: As the format calls the last of them.
        reads: Tensors that follow from the model's inputs, in order.
        writes: The one that others read.
    """

    names: tuple[str, ...]
    kind: str
    does: Does
    reads: tuple[str, ...]
    writes: str


@dataclass(frozen=True, eq=False)
class Steps:
    """All that a file executes, in its order.

    Attributes:
        shapes: Of the tensors, where they are known.
        outputs: Tensors that the model returns.
        free: Names of nodes that compute constants, or nothing at all.
        known: Kinds of node that may be operators, as the format calls them.
        known_free: Kinds that cost nothing.
    """

    steps: tuple[Step, ...]
    shapes: Mapping[str, Shape]
    outputs: frozenset[str]
    free: tuple[str, ...]
    precision: Precision
    known: tuple[str, ...]
    known_free: tuple[str, ...]
    readers: Mapping[str, Sequence[Step]] = field(init=False)

    def __post_init__(self) -> None:
        readers: dict[str, list[Step]] = defaultdict(list)
        for step in self.steps:
            for name in dict.fromkeys(step.reads):
                readers[name].append(step)
        object.__setattr__(self, "readers", dict(readers))

    def only_reader(self, step: Step) -> Step | None:
        """The one step that reads the output of `step`; None if the model returns it."""
        readers = self.readers.get(step.writes, ())
        return readers[0] if len(readers) == 1 and step.writes not in self.outputs else None

    def image(self, name: str) -> tuple[int, int]:
        """Channels and side of a square image.

        Raises:
            UnknownStepError: It is none.
        """
        shape = self.shapes.get(name)
        if shape is None:
            raise UnknownStepError(f"the shape of {name} does not follow from the file")
        if len(shape) != 4 or shape[2] != shape[3]:
            raise UnknownStepError(f"{name} is no square image but {'x'.join(map(str, shape))}")
        return shape[1], shape[2]


def told(
    kind: str,
    free: Collection[str],
    readers: Mapping[str, Callable[[G, N], Does]],
    graph: G,
    node: N,
) -> Does:
    """What `node` does, by the readers of its format; unknown where none can say."""
    if kind in free:
        return Free()
    read = readers.get(kind)
    if read is None:
        return Unknown("no operator does that")
    try:
        return read(graph, node)
    except UnknownStepError as reason:
        return Unknown(str(reason))


def same_edges(side: int, out_side: int, reach: int, stride: int, *, is_lower: bool) -> Edges:
    """Padding that makes `out_side` of `side` pixels, the odd one first or, usually, last."""
    total = max((out_side - 1) * stride + reach - side, 0)
    first, last = total // 2, total - total // 2
    return (last, last, first, first) if is_lower else (first, first, last, last)


def is_affine(window: Window, groups: int, channels: Sequence[int], *, has_bias: bool) -> bool:
    """Whether a convolution is a factor and a summand a channel: depthwise, of one pixel.

    Args:
        window: What it slides.
        groups: Of its channels.
        channels: Of the output, and how many of the input one of them reads.
        has_bias: Whether it adds one.
    """
    is_point = (window.kernel, window.stride, any(window.edges)) == (1, 1, False)
    return is_point and has_bias and 1 < groups == channels[0] and channels[1] == 1


def is_quantised(layers: Iterable[bool]) -> bool:
    """Whether the layers of a file are quantised, given that of each.

    Raises:
        ConfigError: Some are and some are not.
    """
    found = list(layers)
    if any(found) and not all(found):
        raise ConfigError(
            f"{sum(found)} of {len(found)} layers are quantised; latencies are known of networks "
            "in one precision."
        )
    return any(found)
