"""YAML tables whose keys describe operators, `key: {count, mean, ...}`, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from ...core.errors import ArtefactError
from ..operators import Shape
from .parsing import decimal, latency, shown, text_of

_KEY = re.compile(rb"^\W{0,2}(?:expanded_conv|Conv|Conv_\d|Logits|AvgPool2D)-input:\d", re.M)
SIZE = r"([1-9]\d{0,5})"
"""A width, a side or a count in a key."""

IMAGE = f"{SIZE}x{SIZE}x{SIZE}"
"""An image in a key: height, width, channels."""

_FRAME = (
    yaml.StreamStartEvent,
    yaml.StreamEndEvent,
    yaml.DocumentStartEvent,
    yaml.DocumentEndEvent,
)
_WHOLE = re.compile(r"[1-9]\d*", re.ASCII)


def image(shape: Shape) -> str:
    """A shape (channels, height, width) as keys spell it; a vector is an image of one pixel."""
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    return f"{height}x{width}x{channels}"


def looks_keyed(data: bytes) -> bool:
    """Whether lines of `data` begin with keys of ProxylessNAS or of once-for-all."""
    return _KEY.search(data) is not None


def entries_of(data: bytes, fields: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Every key of a table with the numbers of its `fields`, in the order of the file.

    Numbers are at least 0, `count` is a whole one of at least 1.

    Raises:
        ArtefactError: The YAML is damaged, a key stands twice, or a field is missing, unknown or
            no such number.
    """
    seen: set[str] = set()
    for key, found in texts_of(data):
        if key in seen:
            raise ArtefactError(f"the key {shown(key)} stands twice.")
        seen.add(key)
        if sorted(name for name, _ in found) != sorted(fields):
            raise ArtefactError(
                f"{key} should have {', '.join(fields)}, once each; found "
                f"{', '.join(name for name, _ in found) or 'nothing'}."
            )
        yield key, {name: _value(key, name, text) for name, text in found}
    if not seen:
        raise ArtefactError("the table has no entries.")


def texts_of(data: bytes) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every key of a table with its fields as they are written, whatever they are.

    Raises:
        ArtefactError: The YAML is damaged, or no mapping of mappings of plain scalars.
    """
    yield from _mappings(_events(data))


def _events(data: bytes) -> Iterator[yaml.Event]:
    """The events of the one document in `data`, streamed: composing deep nesting would crash."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text_of(data), Loader=loader):
            if not isinstance(event, _FRAME):
                yield event
    except (yaml.YAMLError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ArtefactError(f"it is no whole YAML document ({first}).") from error


def _mappings(events: Iterator[yaml.Event]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The keys of a mapping of mappings of plain scalars, and what each holds."""
    _expect(next(events, None), yaml.MappingStartEvent, "a mapping of keys")
    while not isinstance(event := next(events, None), yaml.MappingEndEvent):
        key = _expect(event, yaml.ScalarEvent, "a key").value
        _expect(next(events, None), yaml.MappingStartEvent, f"the fields of {shown(key)}")
        found: list[tuple[str, str]] = []
        while not isinstance(event := next(events, None), yaml.MappingEndEvent):
            name = _expect(event, yaml.ScalarEvent, f"a field of {shown(key)}").value
            value = _expect(next(events, None), yaml.ScalarEvent, f"{name} of {shown(key)}")
            found.append((name, value.value))
        yield key, found
    if next(events, None) is not None:
        raise ArtefactError("the file should hold one YAML document, found another behind it.")


def _expect(event: yaml.Event | None, kind: type[yaml.Event], what: str) -> Any:
    if not isinstance(event, kind):
        found = "the end of the file" if event is None else type(event).__name__
        raise ArtefactError(f"{what} should stand where {found} was found.")
    return event


def _value(key: str, name: str, text: str) -> float:
    what = f"{name} of {key}"
    if name == "count" and not _WHOLE.fullmatch(text):
        raise ArtefactError(f"{what} should be a whole number of at least 1, found {shown(text)}.")
    return latency(decimal(text, what), what)
