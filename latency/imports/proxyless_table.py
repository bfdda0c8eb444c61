"""Tables in the format of ProxylessNAS's latency table for phones (Cai et al. 2019, 3.3)."""

from __future__ import annotations

import re
from math import sqrt

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError, ElatError
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.conv import Conv
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from ..operators.mbconv import MBConv
from . import importers
from .base import Imported, Importer, Row, Statistic
from .keyed_yaml import IMAGE, SIZE, entries_of, image, looks_keyed
from .parsing import cautions

_CONV = re.compile(f"(Conv|Conv_1)-input:{IMAGE}-output:{IMAGE}", re.ASCII)
_LOGITS = re.compile(f"Logits-input:{IMAGE}-output:{SIZE}", re.ASCII)
_BLOCK = re.compile(
    f"expanded_conv-input:{IMAGE}-output:{IMAGE}"
    f"-expand:{SIZE}-kernel:{SIZE}-stride:{SIZE}-idskip:([01])",
    re.ASCII,
)
# The grammar leaves the windows of the two plain convolutions out.
_KERNELS = {"Conv": 3, "Conv_1": 1}


@importers.register("proxyless-table")
class ProxylessTable(Importer):
    """YAML of `key: {count, mean, var}`; a key names one operator, `expand` the ratio of widths.

    Images are height x width x channels. The key `Logits` stands for the pooling and the
    classifier behind it together.
    """

    def recognises(self, data: bytes) -> bool:
        return looks_keyed(data) and b"-se:" not in data and b"std:" not in data

    def read(self, data: bytes) -> Imported:
        rows = [
            Row(
                name=key,
                value=entry["mean"],
                statistic=Statistic.MEAN,
                count=int(entry["count"]),
                reported={"std": sqrt(entry["var"])},
                operator=operator_of_key(key),
                flags=cautions(entry["mean"], Statistic.MEAN),
            )
            for key, entry in entries_of(data, ("count", "mean", "var"))
        ]
        return Imported(
            kind="proxyless-table",
            tool="ProxylessNAS",
            variant="keys with the ratio of expansion; count, mean and variance",
            unit="ms",
            unit_source="definition of the format: mean in ms, variance in ms²",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts={"method": "sampled"},
        )


def operator_of_key(key: str) -> Operator:
    """The operator that a key of the table names; a chain of two for `Logits`.

    Raises:
        ArtefactError: The key is of another grammar, or contradicts itself.
    """
    try:
        return _operator(key)
    except ArtefactError as error:
        raise ArtefactError(f"{key}: {error}") from None
    except ElatError as error:
        raise ArtefactError(f"{key} names no operator: {error}") from error


def key_of_operator(operator: Operator) -> str | None:
    """The key that names `operator`, or None where the grammar has none for it."""
    key = _key(operator)
    try:
        # The grammar leaves out activations, windows and more: what it means decides.
        return key if key is not None and operator_of_key(key) == operator else None
    except ArtefactError:
        return None


def _key(operator: Operator) -> str | None:
    if isinstance(operator, MBConv):
        return (
            f"expanded_conv-input:{image(operator.input_shapes[0])}"
            f"-output:{image(operator.output_shape)}-expand:{operator.expand}"
            f"-kernel:{operator.kernel}-stride:{operator.stride}-idskip:{int(operator.has_skip)}"
        )
    if isinstance(operator, Conv):
        names = [name for name, kernel in _KERNELS.items() if kernel == operator.kernel]
        shapes = image(operator.input_shapes[0]), image(operator.output_shape)
        return f"{names[0]}-input:{shapes[0]}-output:{shapes[1]}" if names else None
    if isinstance(operator, Chain):
        return f"Logits-input:{image(operator.input_shapes[0])}-output:{operator.output_shape[0]}"
    return None


def _operator(key: str) -> Operator:
    if found := _BLOCK.fullmatch(key):
        height, width, channels, out_height, out_width, out_channels = map(int, found.groups()[:6])
        expand, kernel, stride, skips = map(int, found.groups()[6:])
        block = MBConv(channels, out_channels, height, kernel, stride, expand)
        is_consistent = block.has_skip == bool(skips)
        operator: Operator = block
    elif found := _CONV.fullmatch(key):
        height, width, channels, out_height, out_width, out_channels = map(int, found.groups()[1:])
        kernel, stride = _KERNELS[found.group(1)], max(1, height // out_height)
        operator = Conv(channels, out_channels, height, kernel, stride)
        is_consistent = True
    elif found := _LOGITS.fullmatch(key):
        height, width, channels, classes = map(int, found.groups())
        if height != width:
            raise ArtefactError("images that are not square are no operator of elat")
        return Chain((GlobalPool(channels, height), Linear(channels, classes)))
    else:
        raise ArtefactError("the key is of no known grammar")
    is_square = height == width and out_height == out_width
    if not (is_consistent and is_square) or operator.output_shape[1] != out_height:
        raise ArtefactError(f"the key contradicts itself as {operator}")
    return operator
