"""Latency tables of once-for-all (Cai et al. 2020), one file a resolution of the images."""

from __future__ import annotations

import re

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError, ConfigError
from ..graph.ir import Activation
from ..operators import Operator
from ..operators.conv import Conv, Norm
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from ..operators.mbconv import MBConv
from . import importers
from .base import Imported, Importer, Row, Statistic
from .keyed_yaml import IMAGE, SIZE, entries_of, image, looks_keyed
from .parsing import cautions

_LAYER = re.compile(f"(Conv|Conv_1|Conv_2|AvgPool2D)-input:{IMAGE}-output:{IMAGE}", re.ASCII)
_LOGITS = re.compile(f"Logits-input:1x1x{SIZE}-output:{SIZE}", re.ASCII)
_BLOCK = re.compile(
    f"expanded_conv-input:{IMAGE}-output:{IMAGE}"
    f"-expand:{SIZE}-kernel:{SIZE}-stride:{SIZE}-idskip:([01])-se:([01])-hs:([01])",
    re.ASCII,
)


_STEM_KERNEL = 3


@importers.register("ofa-table")
class OfaTable(Importer):
    """YAML of `key: {count, mean, std}`; `expand` is the width in the middle of a block.

    The grammar leaves out what its network, the MobileNetV3 of once-for-all, fixes: `Conv` is its
    3x3 stem, `Conv_1` the 1x1 convolution ahead of the pooling, `Conv_2` the one behind it, which
    has no batch norm; all three end in h-swish.
    """

    def recognises(self, data: bytes) -> bool:
        return looks_keyed(data) and (b"-se:" in data or b"std:" in data)

    def read(self, data: bytes) -> Imported:
        rows = [
            Row(
                name=key,
                value=entry["mean"],
                statistic=Statistic.MEAN,
                count=int(entry["count"]),
                reported={"std": entry["std"]},
                operator=operator_of_key(key),
                flags=cautions(entry["mean"], Statistic.MEAN),
            )
            for key, entry in entries_of(data, ("count", "mean", "std"))
        ]
        unnamed = sum(row.operator is None for row in rows)
        note = f"{unnamed} keys describe blocks that no operator of elat says; they stay unnamed."
        return Imported(
            kind="ofa-table",
            tool="once-for-all",
            variant="keys with the width of expansion, squeeze-and-excite and h-swish",
            unit="ms",
            unit_source="definition of the format: mean and standard deviation in ms",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts={"method": "sampled"},
            notes=(note,) if unnamed else (),
        )


def operator_of_key(key: str) -> Operator | None:
    """The operator that a key of the table names, or None where elat has none that says the same.

    Raises:
        ArtefactError: The key is of another grammar.
    """
    for grammar, operator_of in ((_BLOCK, _block), (_LAYER, _layer), (_LOGITS, _logits)):
        if found := grammar.fullmatch(key):
            try:
                return operator_of(*found.groups())
            except ConfigError:  # a kernel or a width that the operator refuses
                return None
    raise ArtefactError(f"{key}: the key is of no known grammar.")


def key_of_operator(operator: Operator) -> str | None:
    """The key that names `operator`, or None where the grammar has none for it."""
    key = _key(operator)
    # The grammar leaves out windows, norms and more: what it means decides.
    return key if key is not None and _meant_by(key) == operator else None


def _meant_by(key: str) -> Operator | None:
    try:
        return operator_of_key(key)
    except ArtefactError:
        return None


def _key(operator: Operator) -> str | None:
    if isinstance(operator, MBConv):
        return (
            f"expanded_conv-input:{image(operator.input_shapes[0])}"
            f"-output:{image(operator.output_shape)}-expand:{operator.hidden_channels}"
            f"-kernel:{operator.kernel}-stride:{operator.stride}-idskip:{int(operator.has_skip)}"
            f"-se:{int(operator.se)}-hs:{int(operator.activation is Activation.HSWISH)}"
        )
    shapes = f"-input:{image(operator.input_shapes[0])}-output:{image(operator.output_shape)}"
    if isinstance(operator, Conv):
        if operator.norm is Norm.NONE:
            return f"Conv_2{shapes}"
        return f"Conv{shapes}" if operator.kernel == _STEM_KERNEL else f"Conv_1{shapes}"
    if isinstance(operator, GlobalPool):
        return f"AvgPool2D{shapes}"
    if isinstance(operator, Linear):
        return f"Logits-input:1x1x{operator.in_features}-output:{operator.out_features}"
    return None


def _block(*groups: str) -> Operator | None:
    shapes, rest = _shapes(groups), [int(group) for group in groups[6:]]
    mid_channels, kernel, stride, skips, has_gate, has_hswish = rest
    (in_channels, resolution), _ = shapes
    block = MBConv(
        in_channels,
        shapes[1][0],
        resolution,
        kernel,
        stride,
        se=bool(has_gate),
        activation=Activation.HSWISH if has_hswish else Activation.RELU,
        mid_channels=mid_channels,
    )
    return _fitting(block, groups) if block.has_skip == bool(skips) else None


def _layer(kind: str, *groups: str) -> Operator | None:
    (in_channels, resolution), (out_channels, _) = _shapes(groups)
    hswish = Activation.HSWISH
    if kind == "AvgPool2D":
        pool = GlobalPool(in_channels, resolution)
        return pool if groups[3:] == ("1", "1", groups[2]) and groups[0] == groups[1] else None
    if kind == "Conv":
        conv = Conv(in_channels, out_channels, resolution, _STEM_KERNEL, 2, activation=hswish)
    elif kind == "Conv_1":
        conv = Conv(in_channels, out_channels, resolution, 1, activation=hswish)
    else:
        conv = Conv(in_channels, out_channels, resolution, 1, activation=hswish, norm=Norm.NONE)
    return _fitting(conv, groups)


def _logits(channels: str, classes: str) -> Operator:
    return Linear(int(channels), int(classes))


def _shapes(groups: tuple[str, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Channels and height of the input and of the output."""
    height, _, channels, out_height, _, out_channels = map(int, groups[:6])
    return (channels, height), (out_channels, out_height)


def _fitting(operator: Operator, groups: tuple[str, ...]) -> Operator | None:
    """`operator` if its square images are those of the key."""
    height, width, channels, out_height, out_width, out_channels = map(int, groups[:6])
    fits = operator.input_shapes == ((channels, height, width),)
    return (
        operator
        if fits and operator.output_shape == (out_channels, out_height, out_width)
        else None
    )
