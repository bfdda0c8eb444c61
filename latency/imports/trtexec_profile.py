"""Times of every layer, as TensorRT's trtexec writes them with `--exportProfile`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import head_of
from .parsing import decimal, json_of, latency, member, shown, text_of, whole
from .rows import judged, of_runs, printed_step

REFORMAT = "Reformatting CopyNode for "
MEAN_TOLERANCE = 1e-4
STEP_LAYERS = 8
_DEEPEST_GROUP = 4

_HEAD = re.compile(rb'\[\s*\{\s*"count"\s*:')
_COUNT = re.compile(r'\s*\[\s*\{\s*"count"\s*:\s*(\d{1,18})\s*\}', re.ASCII)
_NAME = re.compile(r'\s*,\s*\{\s*"name"\s*:\s*"')
_TIMES = re.compile(
    r'", "timeMs" : ([^,{}]+), "averageMs" : ([^,{}]+)(?:, "medianMs" : ([^,{}]+))?'
    r', "percentage" : ([^,{}]+?)\s*\}'
)
_KEYS = {"name", "timeMs", "averageMs", "percentage"}
_END = re.compile(r"\s*\]\s*")


@dataclass(frozen=True)
class _Layer:
    """One layer; times in milliseconds, of one inference but for `total_ms`."""

    name: str
    total_ms: float
    mean_ms: float
    median_ms: float | None


@importers.register("trtexec-profile")
class TrtexecProfile(Importer):
    """The median (before 8.4 the mean) of every layer, in the order of execution."""

    def recognises(self, data: bytes) -> bool:
        return _HEAD.match(head_of(data)) is not None

    def read(self, data: bytes) -> Imported:
        runs, layers, notes = _read_layers(data)
        _check(runs, layers)
        has_median = layers[0].median_ms is not None
        resolution = _resolution(layers, runs)
        return Imported(
            kind="trtexec-profile",
            tool=f"trtexec (TensorRT {'8.4 or later' if has_median else 'before 8.4'})",
            variant=f"a profile of layers {'with' if has_median else 'without'} medians",
            unit="ms",
            unit_source="the names of its keys end in Ms",
            resolution=resolution,
            rows=tuple(_row(index, layer, runs, resolution) for index, layer in enumerate(layers)),
            sha256=sha256_of(data),
            facts={"inferences": runs, "interval": "device compute"},
            notes=tuple(notes),
        )


def fused_parts(name: str) -> tuple[str, ...]:
    """The operators that TensorRT fused into the layer `name`; a single one if it fused none.

    A copy that only changes the format of a tensor has none. `PWN(...)`, a point-wise group, is
    taken apart; `{ForeignNode[a...b]}`, a range that TensorRT does not list, stays whole.
    """
    if name.startswith(REFORMAT):
        return ()
    parts = _split(name)
    for _ in range(_DEEPEST_GROUP):
        parts = [
            inner
            for part in parts
            for inner in (_split(part[4:-1]) if part.startswith("PWN(") else [part])
        ]
    return tuple(parts)


def _split(name: str) -> list[str]:
    """`name` at each plus sign that stands outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(name):
        if character in "({[":
            depth += 1
        elif character in ")}]":
            depth = max(0, depth - 1)
        elif depth == 0 and name.startswith(" + ", index):
            parts.append(name[start:index].strip())
            start = index + 3
    return [*parts, name[start:].strip()]


def _read_layers(data: bytes) -> tuple[int, list[_Layer], list[str]]:
    """The number of inferences, the layers, and what had to be repaired to read them."""
    try:
        document = json_of(data)
    except ArtefactError as strict:
        return _tolerantly(text_of(data), strict)
    if not isinstance(document, list) or len(document) < 2:
        raise ArtefactError(f"the profile is {shown(document)}; it should list layers.")
    runs = whole(member(document[0], "count", int, "the first entry"), "count")
    return runs, [_layer(entry, index) for index, entry in enumerate(document[1:])], []


def _layer(entry: object, index: int) -> _Layer:
    name = member(entry, "name", str, f"layer {index}")
    if not isinstance(entry, dict) or entry.keys() - {"medianMs"} != _KEYS:
        raise ArtefactError(f"layer {name!r} has other keys than {', '.join(sorted(_KEYS))}.")
    times = {
        key: latency(entry[key], f"{key} of layer {name!r}") for key in entry.keys() - {"name"}
    }
    return _Layer(name, times["timeMs"], times["averageMs"], times.get("medianMs"))


def _tolerantly(text: str, strict: ArtefactError) -> tuple[int, list[_Layer], list[str]]:
    """Read a profile whose names hold quotes or backslashes, which trtexec does not escape."""
    found = _COUNT.match(text)
    if not found:
        raise strict
    layers = list(_scan(text, found.end(), strict))
    if not layers:
        raise strict
    note = "Names of layers are not escaped as JSON asks; they were read up to the times."
    return whole(int(found[1]), "count"), layers, [note]


def _scan(text: str, place: int, strict: ArtefactError) -> Iterator[_Layer]:
    """The layers in `text` from `place` to its end, each a name up to its times."""
    while not _END.fullmatch(text, place):
        opening = _NAME.match(text, place)
        closing = text.find('", "timeMs" : ', opening.end()) if opening else -1
        times = _TIMES.match(text, closing) if closing >= 0 else None
        # Each layer is one line: what runs over its end is another damage than a missing escape.
        if opening is None or times is None or "\n" in text[opening.end() : closing]:
            raise ArtefactError(f"{strict} Nor does character {place} begin a layer.") from strict
        name = text[opening.end() : closing]
        total, mean, median, _ = times.groups()
        yield _Layer(
            name,
            _printed(total, f"timeMs of layer {name!r}"),
            _printed(mean, f"averageMs of layer {name!r}"),
            None if median is None else _printed(median, f"medianMs of layer {name!r}"),
        )
        place = times.end()


def _printed(text: str, what: str) -> float:
    return latency(decimal(text, what), what)


def _check(runs: int, layers: list[_Layer]) -> None:
    """Refuse layers whose mean is not their total over the inferences, or medians in some only."""
    for layer in layers:
        if abs(layer.mean_ms * runs - layer.total_ms) > MEAN_TOLERANCE * layer.total_ms:
            raise ArtefactError(
                f"layer {layer.name!r} took {layer.total_ms:g} ms in {runs} inferences, which is "
                f"no mean of {layer.mean_ms:g} ms: the file is damaged."
            )
        if (layer.median_ms is None) != (layers[0].median_ms is None):
            raise ArtefactError(f"layer {layer.name!r} differs from the first in having a median.")


def _resolution(layers: list[_Layer], runs: int) -> float | None:
    """Step of the values in ms: the digits printed, or the GPU's clock where it shows.

    Times of single inferences are whole ticks; if enough different ones have a common divisor,
    that is the tick.
    """
    values = [layer.mean_ms if layer.median_ms is None else layer.median_ms for layer in layers]
    printed = printed_step(values)
    ticks = {round(value * 1e6) for value in values if value > 0}
    if printed is None or len(ticks) < STEP_LAYERS or (layers[0].median_ms is None and runs > 1):
        return printed
    return max(printed, gcd(*ticks) / 1e6)


def _row(index: int, layer: _Layer, runs: int, resolution: float | None) -> Row:
    facts: dict[str, Fact] = {"index": index}
    if parts := fused_parts(layer.name):
        facts["fused"] = parts
    else:
        facts["layout"] = True
    is_mean = layer.median_ms is None
    value = layer.mean_ms if layer.median_ms is None else layer.median_ms
    return judged(
        layer.name,
        value,
        of_runs(runs, Statistic.MEAN if is_mean else Statistic.MEDIAN),
        count=runs,
        # A layer of 0 is one that does nothing, by TensorRT's own account.
        resolution=resolution if value > 0 else None,
        reported={"mean": layer.mean_ms, "total": layer.total_ms},
        facts=facts,
    )
