"""Strict reading that importers share: what is not plainly a number or a text is refused."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

from ...core.errors import ArtefactError
from ..flags import Flag
from .base import Fact, Statistic

T = TypeVar("T")

MS_PER = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
"""Milliseconds in one of each unit of time."""

MOST = 1e18
"""Beyond which nothing is a latency: 30 years in nanoseconds. Sums and squares stay finite."""

COARSE = 0.005
"""Share of a value above which its file's resolution decides too much of it."""

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN = 40


def text_of(data: bytes) -> str:
    """`data` as text, a byte-order mark left out.

    Raises:
        ArtefactError: It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArtefactError(
            f"byte {error.start} is not UTF-8 text: the file is binary or damaged."
        ) from error


def json_of(data: bytes) -> Any:
    """The JSON document in `data`.

    Raises:
        ArtefactError: It is cut short, too deep, names a key twice in one object, or escapes half
            of a character, which no text can hold.
    """
    try:
        document = json.loads(text_of(data), object_pairs_hook=_distinct)
        if _SURROGATE.search(data):
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except RecursionError:
        raise ArtefactError("the JSON is nested too deep to be of any known tool.") from None
    except ValueError as error:
        raise ArtefactError(f"it is no whole JSON document ({error}).") from error


def json_or_none(data: bytes, *needles: bytes) -> Any:
    """The JSON document in `data` if it holds all `needles`, else None; for `recognises`."""
    if not all(needle in data for needle in needles):
        return None
    try:
        return json_of(data)
    except ArtefactError:
        return None


def csv_of(data: bytes) -> list[list[str]]:
    """The rows of the CSV in `data`; empty lines are left out.

    Raises:
        ArtefactError: It is damaged, or rows differ in their number of cells.
    """
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text_of(data), newline=""), strict=True) if row
        ]
    except csv.Error as error:
        raise ArtefactError(f"it is no whole CSV ({error}).") from error
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ArtefactError(f"row {number} has {len(row)} cells, the first {len(rows[0])}.")
    return rows


def member(data: object, key: str, kind: type[T], where: str) -> T:
    """The value of `key` in the JSON object `data`, of the type `kind`.

    Raises:
        ArtefactError: It is missing or of another type; says so of `where`.
    """
    if not isinstance(data, dict) or key not in data:
        raise ArtefactError(f"{where} has no {key!r}.")
    value = data[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ArtefactError(
            f"{key!r} of {where} should be a {kind.__name__}, found {shown(value)}."
        )
    return value


def number(value: object, what: str) -> float:
    """`value`, which is an int or a float, as a finite float.

    Raises:
        ArtefactError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArtefactError(f"{what} should be a number, found {shown(value)}.")
    try:
        result = float(value)
    except OverflowError:
        result = float("inf")
    if not isfinite(result):
        raise ArtefactError(f"{what} should be finite, found {shown(value)}.")
    return result


def latency(value: object, what: str) -> float:
    """`value` as a time or a cost of any unit: a number of 0 to `MOST`.

    Raises:
        ArtefactError: It is something else.
    """
    result = number(value, what)
    if not 0 <= result <= MOST:
        raise ArtefactError(f"{what} should be 0 to {MOST:.0e}, found {shown(value)}.")
    return result


def decimal(text: str, what: str) -> float:
    """The number that `text` spells in decimal digits.

    Raises:
        ArtefactError: It spells none (underscores, hexadecimal, `nan` are none), or overflows.
    """
    digits = text.strip(" \t")
    if not _DECIMAL.fullmatch(digits):
        raise ArtefactError(f"{what} should be a number, found {shown(text)}.")
    return number(float(digits), what)


def whole(value: object, what: str, least: int = 1) -> int:
    """`value` as a count of `least` to `MOST`.

    Raises:
        ArtefactError: It is something else.
    """
    if type(value) is not int or not least <= value <= MOST:
        raise ArtefactError(
            f"{what} should be a whole number of at least {least}, found {shown(value)}."
        )
    return value


def facts_of(data: Mapping[str, Any], names: Iterable[str]) -> dict[str, Fact]:
    """Those of `names` for which the JSON object `data` has a text, a finite number or a yes."""
    return {
        name: value
        for name in names
        if isinstance(value := data.get(name), str | int)
        or (isinstance(value, float) and isfinite(value))
    }


def shown(value: object) -> str:
    """`value` as it is quoted in messages, shortened."""
    text = (
        repr(value) if not isinstance(value, int) or abs(value) < 10**_SHOWN else "a huge number"
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def cautions(
    value: float,
    statistic: Statistic,
    resolution: float | None = None,
    samples: Sequence[float] = (),
) -> frozenset[Flag]:
    """The flags that follow from how a file gives a value.

    Args:
        value: In the unit of `resolution`.
        statistic: What it is of the runs behind it.
        resolution: Step of the file's numbers, or None.
        samples: Raw samples behind it.
    """
    raised = {
        Flag.MEAN_ONLY: statistic is Statistic.MEAN and not samples,
        Flag.QUANTISED: resolution is not None and resolution > COARSE * value,
    }
    return frozenset(flag for flag, is_raised in raised.items() if is_raised)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return found
