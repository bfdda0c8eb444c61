"""Steps of a model file as the operators that a runtime executes.

What runtimes fuse is taken as one: a batch norm folded into the convolution before it, a bias, an
activation that only one operation feeds, a gate's two layers with the product behind them. It is
taken alike for every runtime.
"""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ArtefactError, ConfigError, UnsupportedOperatorError
from ..graph.ir import Activation, Pooling
from ..operators import Operator
from ..operators.activate import Activate
from ..operators.add import Add
from ..operators.batch_norm import BatchNorm
from ..operators.channel_pad import ChannelPad
from ..operators.channel_shuffle import ChannelShuffle
from ..operators.channel_slice import ChannelSlice
from ..operators.concat import Concat
from ..operators.conv import Conv, Norm
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from ..operators.pool import Pool
from . import steps as does
from .activations import fused_activation, written_out
from .gates import squeeze_excite
from .padding import with_whole_windows
from .program import Part, Program
from .steps import Step, Steps, UnknownStepError, Window

_SHOWN = 20
_TFLITE = b"TFL3"

_Read = tuple[Operator, list[Step]]


def read_program(path: Path) -> Program:
    """The operators of the ONNX or TFLite file at `path`, one image at a time.

    Raises:
        ArtefactError: It is no whole model.
        ConfigError: Sizes other than the batch are open, or precisions are mixed.
        UnsupportedOperatorError: Some nodes are no operators that are known; all are listed.
        UnavailableError: The package that reads TFLite files is not installed.
    """
    return _Reader(with_whole_windows(_steps(path)), path).program()


def _steps(path: Path) -> Steps:
    if not path.is_file():
        raise ArtefactError(f"{path} does not exist.")
    with path.open("rb") as file:
        is_tflite = file.read(8)[4:] == _TFLITE
    if is_tflite or path.suffix == ".tflite":
        from .tflite_steps import tflite_steps

        return tflite_steps(path)
    from .onnx_steps import onnx_steps

    return onnx_steps(path)


class _Reader:
    def __init__(self, graph: Steps, path: Path) -> None:
        self._graph = graph
        self._path = path
        self._done: set[Step] = set()
        self._free: list[str] = list(graph.free)
        self._parts: list[Part] = []

    def program(self) -> Program:
        unknown: list[str] = []
        for step in self._graph.steps:
            if step in self._done:
                continue
            try:
                self._take(step)
            except (UnknownStepError, ConfigError) as reason:
                unknown.append(f"{step.names[-1]} ({step.kind}): {reason}")
        if unknown:
            raise self._refusal(unknown)
        graph = self._graph
        return Program(tuple(self._parts), tuple(self._free), graph.precision, graph.outputs)

    def _refusal(self, unknown: list[str]) -> UnsupportedOperatorError:
        more = f"; and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        return UnsupportedOperatorError(
            f"{self._path}: {len(unknown)} nodes are no operators that latencies are known of: "
            f"{'; '.join(unknown[:_SHOWN])}{more}. Known: {', '.join(self._graph.known)}, and "
            f"free {', '.join(self._graph.known_free)}. Measure the file itself: elat profile "
            "FILE --device DEVICE."
        )

    def _take(self, step: Step) -> None:
        if isinstance(step.does, does.Free):
            self._done.add(step)
            self._free += step.names
            return
        operator, members = _read(self._graph, step)
        self._done.update(members)
        inside = {member.writes for member in members}
        reads = [name for member in members for name in member.reads if name not in inside]
        names = tuple(name for member in members for name in member.names)
        part = Part(operator, names, tuple(dict.fromkeys(reads)), members[-1].writes)
        self._parts.append(part)


def _read(graph: Steps, step: Step) -> _Read:
    """The operator that begins with `step`, and the steps that it is."""
    match step.does:
        case does.Convolution():
            return _convolution(graph, step, step.does)
        case does.Layer():
            return _layer(graph, step, step.does)
        case does.Mean():
            return _mean(graph, step)
        case does.Pooled():
            return _pooled(graph, step, step.does)
        case does.Sum():
            return _sum(graph, step)
        case does.Norm():
            activation, behind = fused_activation(graph, step)
            return BatchNorm(*graph.image(step.reads[0]), activation), [step, *behind]
        case does.Unknown(reason):
            raise UnknownStepError(reason)
        case _:
            return _moved(graph, step)


def _moved(graph: Steps, step: Step) -> _Read:
    """What moves or maps single elements."""
    match step.does:
        case does.Joined():
            images = [graph.image(name) for name in step.reads]
            return Concat(tuple(channels for channels, _ in images), images[0][1]), [step]
        case does.Shuffled(channels, resolution, groups):
            return ChannelShuffle(channels, resolution, groups), [step]
        case does.Cut(begin):
            channels, side = graph.image(step.reads[0])
            out, out_side = graph.image(step.writes)
            if out_side != side:
                raise UnknownStepError("it takes no run of channels")
            return ChannelSlice(channels, side, begin, begin + out), [step]
        case does.Padding(before, (behind, *edges), is_zero):
            channels, side = graph.image(step.reads[0])
            if any((*before, *edges)) or not is_zero:
                raise UnknownStepError("it adds no channels behind the image's")
            return ChannelPad(channels, channels + behind, side), [step]
        case does.Activated(activation):
            return Activate(*_vector_or_image(graph, step.reads[0]), activation), [step]
        case _:
            raise UnknownStepError("no operator does that")


def _convolution(graph: Steps, step: Step, conv: does.Convolution) -> _Read:
    channels, side = graph.image(step.reads[0])
    out, out_side = graph.image(step.writes)
    steps, window = [step], conv.window
    norm = graph.only_reader(step) if conv.activation is Activation.NONE else None
    if norm is not None and isinstance(norm.does, does.Norm) and norm.does.folds:
        steps.append(norm)
    activation, behind = fused_activation(graph, steps[-1])
    operator = Conv(
        channels, out, side, window.kernel, window.stride, conv.groups, activation,
        # A folded batch norm is a bias, and is what convolutions of networks have.
        Norm.BATCH if conv.has_bias or len(steps) > 1 else Norm.NONE,
        _padding(window, side, out_side),
        window.dilation,
    )  # fmt: skip
    return operator, [*steps, *behind]


def _padding(window: Window, side: int, out_side: int) -> int | None:
    """Zeros on every side; None for as many as keep the size at stride 1.

    TensorFlow's uneven padding of strided windows makes the same output of as much work.
    """
    if len(set(window.edges)) == 1:
        return window.edges[0]
    half, reach = window.dilation * (window.kernel // 2), window.dilation * (window.kernel - 1)
    if (side + 2 * half - reach - 1) // window.stride + 1 == out_side:
        return None
    raise UnknownStepError(f"padding {list(window.edges)} differs between sides")


def _layer(graph: Steps, step: Step, layer: does.Layer) -> _Read:
    steps, has_bias = [step], layer.has_bias
    bias = graph.only_reader(step) if layer.activation is Activation.NONE else None
    is_bias = bias is not None and isinstance(bias.does, does.Sum) and len(bias.reads) == 1
    if bias is not None and is_bias and not has_bias:
        steps.append(bias)
        has_bias = True
    activation, behind = fused_activation(graph, steps[-1])
    return Linear(layer.in_features, layer.out_features, activation, has_bias), [*steps, *behind]


def _mean(graph: Steps, step: Step) -> _Read:
    channels, side = graph.image(step.reads[0])
    return squeeze_excite(graph, step, channels, side) or (GlobalPool(channels, side), [step])


def _pooled(graph: Steps, step: Step, pool: does.Pooled) -> _Read:
    channels, side = graph.image(step.reads[0])
    _, out_side = graph.image(step.writes)
    kernel, stride = pool.window.kernel, pool.window.stride
    is_average = pool.pooling is Pooling.AVERAGE
    if is_average and kernel == side and out_side == 1:
        return _mean(graph, step)
    counts = pool.counts_padding or not is_average or kernel < 3
    operator = Pool(channels, side, kernel, stride, pool.pooling, counts)
    if operator.out_resolution != out_side:
        raise UnknownStepError(f"it pads otherwise: {side} pixels become {out_side}")
    return operator, [step]


def _sum(graph: Steps, step: Step) -> _Read:
    activation, written = written_out(graph, step)
    if written:
        return Activate(*_vector_or_image(graph, step.reads[0]), activation), written
    shapes = {graph.shapes.get(name) for name in step.reads}
    if len(step.reads) != 2 or len(shapes) != 1:
        raise UnknownStepError("it adds no two images of one shape")
    channels, side = graph.image(step.reads[0])
    activation, behind = fused_activation(graph, step)
    return Add(channels, side, activation), [step, *behind]


def _vector_or_image(graph: Steps, name: str) -> tuple[int, int]:
    shape = graph.shapes.get(name) or ()
    return (shape[1], 1) if len(shape) == 2 else graph.image(name)
