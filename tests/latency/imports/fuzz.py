"""Mutated files of every kind: refused with a sentence, or read as a second reader reads them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from elat.core.artefact import canonical_json
from elat.core.errors import ArtefactError
from elat.latency.imports import Imported
from elat.latency.imports.base import UnitlessImporter
from elat.latency.imports.detect import detect
from elat.latency.imports.serial import to_json

from .oracles import ORACLES
from .seeds import seeds

RELATIVE = 1e-9
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
WORD = re.compile(rb"[A-Za-z_]{2,}")
# What breaks readers: numbers that are none, or too large; brackets; bytes that are no text.
TOKENS = (
    *b"NaN Infinity -1 1e999 1e-999 1e18 0x10 1_000 0 -0.0 .5 5. 1,5 null true [] {}".split(),
    *(b"9" * 400, b"[" * 50, b'{"a":' * 50),
    *(b"\x00", b"\xff\xfe", b"\xc3\xa9", b"\xe2\x80\xa8", b"\\u0000", b"\\ud800"),
    *(b"\r", b"\n", b"\t", b" ", b"\\", b'"', b"'", b'""', b"#", b";", b":", b","),
    *(b"&a", b"*a", b"<<", b"---\n", b"!!python/none"),
)


def mutants(kind: str, count: int, seed: int) -> Iterator[bytes]:
    """`count` mutants of the seeds of `kind`, the same for the same `seed`."""
    rng = np.random.default_rng([seed, *kind.encode()])
    variants = seeds()[kind]
    for number in range(count):
        data = variants[number % len(variants)]
        for _ in range(int(rng.integers(1, 4))):
            mutate = _MUTATORS[int(rng.integers(len(_MUTATORS)))]
            data = mutate(data, rng)
        yield data


def judge(data: bytes) -> str | None:
    """The kind as which `data` is accepted, or None where it is refused.

    Raises:
        AssertionError: It is accepted, and an oracle reads it differently.
    """
    try:
        name, importer = detect(data)
        imported = (
            importer.read_as(data, "ms")
            if isinstance(importer, UnitlessImporter)
            else importer.read(data)
        )
    except ArtefactError as error:
        assert str(error), "a refusal says why"
        return None
    check(imported, name)
    expected = ORACLES[name](data)
    found = [(row.name, row.value) for row in imported.rows]
    assert len(found) == len(expected), f"{name}: {found} for {expected}"
    for (row, value), (other, second) in zip(found, expected, strict=True):
        is_close = math.isclose(value, second, rel_tol=RELATIVE, abs_tol=1e-300)
        assert row == other and is_close, f"{name}: {row!r} {value}, {other!r} {second}"
    return name


def check(imported: Imported, kind: str) -> None:
    """What every import promises, and that the store and `--json` can write it."""
    assert canonical_json(to_json(imported)).encode()
    assert imported.kind == kind
    assert imported.rows and imported.unit and imported.unit_source and imported.tool
    for row in imported.rows:
        numbers = [row.value, *row.samples, *row.reported.values()]
        assert all(math.isfinite(number) and number >= 0 for number in numbers), row
        assert row.count is None or row.count >= 1, row


def campaign(kind: str, count: int, seed: int) -> Counter[str]:
    """Judge `count` mutants of `kind`: how many were accepted, and how many refused.

    Raises:
        AssertionError: A mutant fails; the message holds it.
    """
    outcomes: Counter[str] = Counter()
    for number, data in enumerate(mutants(kind, count, seed)):
        try:
            outcomes["refused" if judge(data) is None else "accepted"] += 1
        except Exception as error:
            raise AssertionError(f"mutant {number} of {kind} ({seed=}): {data!r}") from error
    return outcomes


def _span(data: bytes, rng: np.random.Generator, most: int = 24) -> tuple[int, int]:
    start = int(rng.integers(0, len(data) + 1))
    return start, min(len(data), start + int(rng.integers(1, most)))


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    if not data:
        return data
    place = int(rng.integers(len(data)))
    changed = data[place] ^ (1 << int(rng.integers(8)))
    return data[:place] + bytes([changed]) + data[place + 1 :]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng, 6)
    return data[:start] + rng.bytes(int(rng.integers(0, 6))) + data[end:]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _drop(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng, 80)
    return data[:end] + data[start:end] + data[end:]


def _token(data: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(data) + 1))
    return data[:place] + TOKENS[int(rng.integers(len(TOKENS)))] + data[place:]


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    """Another number in the place of one: near it, of another size, or none at all."""
    found = list(NUMBER.finditer(data))
    if not found:
        return _flip(data, rng)
    match = found[int(rng.integers(len(found)))]
    choice = int(rng.integers(4))
    if choice == 0:
        new = TOKENS[int(rng.integers(len(TOKENS)))]
    elif choice == 1:
        new = str(int(rng.integers(0, 1000))).encode()
    elif choice == 2:
        new = repr(float(rng.lognormal(0, 4))).encode()
    else:
        new = found[int(rng.integers(len(found)))][0]
    return data[: match.start()] + new + data[match.end() :]


def _word(data: bytes, rng: np.random.Generator) -> bytes:
    """A word of the file in the place of another, which swaps keys, names and units."""
    found = list(WORD.finditer(data))
    if not found:
        return _noise(data, rng)
    match, other = (found[int(rng.integers(len(found)))] for _ in range(2))
    return data[: match.start()] + other[0] + data[match.end() :]


def _line(data: bytes, rng: np.random.Generator) -> bytes:
    """A line dropped, doubled, moved, or ended as Windows does."""
    lines = data.split(b"\n")
    place, other = (int(rng.integers(len(lines))) for _ in range(2))
    choice = int(rng.integers(4))
    if choice == 0:
        del lines[place]
    elif choice == 1:
        lines.insert(other, lines[place])
    elif choice == 2:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        return data.replace(b"\n", b"\r\n")
    return b"\n".join(lines)


def _node(data: bytes, rng: np.random.Generator) -> bytes:
    """A node of a JSON document dropped, doubled, or exchanged for another; else a word."""
    if data[:1] not in b"[{":
        return _word(data, rng)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _word(data, rng)
    places = list(_places(document))
    if not places:
        return _word(data, rng)
    (holder, key), (other, source) = (places[int(rng.integers(len(places)))] for _ in range(2))
    value = other[source]
    choice = int(rng.integers(3))
    if choice == 0:
        del holder[key]
    elif choice == 1 and isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(value)))
    else:
        holder[key] = json.loads(json.dumps(value))
    return json.dumps(document).encode()


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON document that holds something: its holder and its key."""
    keys = document if isinstance(document, dict) else range(len(document))
    for key in list(keys):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from _places(document[key])


_MUTATORS = (
    *(_flip, _noise, _cut, _drop, _repeat, _token, _word, _line, _node),
    *(_number, _number, _number),
)
