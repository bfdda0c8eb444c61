"""What the keys of published tables say of the operator behind them."""

from __future__ import annotations

import re

from ..imports.base import Fact

# Cai et al. 2019 and once-for-all: expanded_conv-input:HxWxC-output:HxWxC-expand:E-kernel:K-...
_COLONS = re.compile(r"-([a-z]+):([0-9x]+)")
# FasterSeg: BasicResidual2x_H128_W256_Cin32_Cout48_stride1_dilation1
_JOINED = re.compile(r"_([A-Za-z]+)(\d+)(?=_|$)")
# NAS-Bench-201: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|
_CELL = re.compile(r"\|(?:[a-z0-9_]+~\d\|)+(?:\+\|(?:[a-z0-9_]+~\d\|)+)*")
_EDGE = re.compile(r"([a-z0-9_]+)~\d")
# FBNet: the number of the operator of each layer
_LAYERS = re.compile(r"\d(?: \d)+")
_JOINED_KEYS = {"H", "W", "Cin", "Cout", "kernel", "stride", "dilation", "expand", "groups"}
_KNOWN = {"Cin": "in_channels", "Cout": "out_channels"}


def attributes_of(name: str) -> dict[str, Fact]:
    """`kind`, channels, `pixels` of the input and the other numbers in `name`; empty if none."""
    if found := _COLONS.findall(name):
        return _from_images(name[: name.index(f"-{found[0][0]}:")], dict(found))
    pairs = _JOINED.findall(name)
    if len(pairs) < 2 or not all(key in _JOINED_KEYS for key, _ in pairs):
        return {}
    numbers = {_KNOWN.get(key, key): int(value) for key, value in pairs}
    if "H" in numbers and "W" in numbers:
        numbers["pixels"] = numbers.pop("H") * numbers.pop("W")
    return {"kind": name[: name.index(f"_{''.join(pairs[0])}")], **numbers}


def _from_images(kind: str, found: dict[str, str]) -> dict[str, Fact]:
    said: dict[str, Fact] = {"kind": kind}
    for end, channels in (("input", "in_channels"), ("output", "out_channels")):
        sides = [int(side) for side in found.pop(end, "").split("x") if side]
        if sides:
            said[channels] = sides[-1]
        if end == "input" and len(sides) == 3:
            said["pixels"] = sides[0] * sides[1]
    return said | {key: int(value) for key, value in found.items() if value.isdigit()}


def choices_of(name: str) -> tuple[str, ...]:
    """The operators chosen in a network of NAS-Bench-201 or FBNet, place by place; else none."""
    if _CELL.fullmatch(name):
        return tuple(_EDGE.findall(name))
    return tuple(name.split()) if _LAYERS.fullmatch(name) else ()
