"""What every registered importer and exporter promises."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from elat.core.artefact import sha256_of
from elat.core.errors import ArtefactError, ConfigError
from elat.latency.imports import Imported, importers
from elat.latency.imports.base import UnitlessImporter
from elat.latency.imports.detect import detect
from elat.latency.imports.serial import from_json, to_json

from ..latency.imports.seeds import seeds

KINDS = sorted(importers)
SEEDS = [
    pytest.param(kind, data, id=f"{kind}-{number}")
    for kind in KINDS
    for number, data in enumerate(seeds()[kind])
]
NOTHING = {
    "empty": b"",
    "spaces": b" \n\t\r\n",
    "garbage": np.random.default_rng(0).bytes(4096),
    "zeros": bytes(4096),
    "lists": b"[" * 100_000,
    "objects": b'{"benchmarks":' * 20_000,
    "sequences": b"- " * 20_000,
    "mappings": b"Conv-input:1: " * 5_000,
}


def read(kind: str, data: bytes) -> Imported:
    importer = importers[kind]()
    if isinstance(importer, UnitlessImporter):
        return importer.read_as(data, "ms")
    return importer.read(data)


@pytest.mark.parametrize(("kind", "data"), SEEDS)
class TestSeeds:
    def test_one_importer_alone_recognises_it(self, kind, data):
        assert [name for name in importers if importers[name]().recognises(data)] == [kind]
        name, importer = detect(data)
        assert (name, type(importer)) == (kind, importers[kind])

    def test_it_says_what_it_is_and_where_its_unit_comes_from(self, kind, data):
        imported = read(kind, data)
        assert imported.kind == kind
        assert imported.tool and imported.variant and imported.unit_source
        assert imported.unit in ("ns", "us", "ms", "s", "cycles") or " and " in imported.unit
        assert imported.origin in ("imported", "simulated")
        assert imported.sha256 == sha256_of(data)
        assert imported.resolution is None or imported.resolution > 0

    def test_rows_are_finite_numbers_of_what_is_named(self, kind, data):
        rows = read(kind, data).rows
        assert rows
        for row in rows:
            assert row.name
            for number in (row.value, *row.samples, *row.reported.values()):
                assert math.isfinite(number) and number >= 0
            assert row.count is None or row.count >= 1

    def test_it_reads_the_same_twice_and_from_the_store(self, kind, data):
        imported = read(kind, data)
        assert read(kind, data) == imported
        assert from_json(json.loads(json.dumps(to_json(imported)))) == imported

    def test_every_shorter_file_is_refused_or_read_whole(self, kind, data):
        """A file that was cut short never crashes, and never says more than the whole one."""
        names = {row.name for row in read(kind, data).rows}
        for end in sorted({len(data) * part // 16 for part in range(16)} | {len(data) - 1}):
            try:
                if importers[kind]().recognises(data[:end]):
                    assert len(read(kind, data[:end]).rows) <= len(names)
            except ArtefactError as error:
                assert str(error)


@pytest.mark.parametrize("data", NOTHING.values(), ids=NOTHING)
def test_nothing_is_refused_with_a_sentence(data):
    with pytest.raises(ArtefactError, match=r"\w"):
        detect(data)[1].read(data)
    for name in importers:
        if importers[name]().recognises(data):
            with pytest.raises(ArtefactError, match=r"\w"):
                read(name, data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_importer_explains_itself(kind):
    assert importers[kind].__doc__


@pytest.mark.parametrize("kind", [k for k in KINDS if issubclass(importers[k], UnitlessImporter)])
def test_a_unit_that_is_not_said_is_asked_for(kind):
    importer, data = importers[kind](), seeds()[kind][0]
    assert isinstance(importer, UnitlessImporter)
    with pytest.raises(ConfigError, match="--unit ms FILE"):
        importer.read(data)
    small, large = (importer.read_as(data, unit).rows for unit in ("us", "s"))
    for one, other in zip(small, large, strict=True):
        assert other.value == pytest.approx(one.value * 1e6, rel=1e-12)
