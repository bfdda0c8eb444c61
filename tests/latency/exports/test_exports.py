"""Every format of `elat export`, read back by something else than what wrote it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pyperf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, ConfigError, ElatError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.exports import Source, exporters
from elat.latency.exports.json_lines import read_records
from elat.latency.graph.ir import Activation
from elat.latency.imports import importers
from elat.latency.launch import Launch
from elat.latency.measurement import ORIGINS
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.serial import from_json, to_json
from elat.latency.protocol import REFERENCE, SCREEN
from elat.latency.sample import Sample
from elat.latency.store import Record, open_store
from elat.latency.table import LatencyTable

CONDITION = Condition(
    "box", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, (("spin", False),)
)
BLOCK, GATED = MBConv(24, 40, 56, 5, 2, 3), MBConv(8, 8, 14, 3, 1, se=True, mid_channels=20)
STEM, POOL, HEAD = Conv(3, 32, 224, 3, 2), GlobalPool(1280, 7), Linear(1280, 1000)
ENTRIES = {
    BLOCK: Entry(7, 1.25, 0.5),
    GATED: Entry(7, 0.1 + 0.2, 0.1),
    STEM: Entry(9, 4.0, 0.0),
    POOL: Entry(3, 0.25, 0.125),
    HEAD: Entry(5, 0.5, 0.25),
}
TABLE = LatencyTable(CONDITION, "imported", ENTRIES)

counts = st.integers(1, 10_000)
times_ns = st.integers(1, 2**62)
samples = st.builds(Sample, counts, times_ns, times_ns, st.integers(0, 99))
documents = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.lists(st.integers(), max_size=3),
    max_size=4,
)  # fmt: skip
positive = st.floats(0, 1e12)
launches = st.builds(
    Launch,
    worker=st.text(max_size=12),
    order=st.integers(0, 99),
    started_utc=st.datetimes().map(lambda when: when.isoformat() + "+00:00"),
    init_ms=positive,
    first_call_ms=positive,
    warmup_calls=st.integers(0, 99),
    is_warm=st.booleans(),
    output_error=positive,
    samples=st.lists(samples, min_size=1, max_size=4).map(tuple),
    sentinel=st.lists(samples, max_size=4).map(tuple),
)
blocks = st.builds(
    MBConv,
    in_channels=st.integers(1, 64),
    out_channels=st.integers(1, 64),
    resolution=st.integers(1, 64),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    expand=st.integers(1, 6),
    se=st.booleans(),
    activation=st.sampled_from([Activation.RELU, Activation.RELU6, Activation.HSWISH]),
    mid_channels=st.none() | st.integers(1, 300),
)
convs = st.builds(
    Conv,
    in_channels=st.integers(1, 64),
    out_channels=st.integers(1, 64),
    resolution=st.integers(1, 64),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 3]),
    activation=st.sampled_from([Activation.RELU6, Activation.HSWISH]),
    norm=st.sampled_from(Norm),
)
pools = st.builds(GlobalPool, st.integers(1, 4), st.integers(1, 9))
heads = st.builds(Linear, st.integers(1, 4), st.integers(1, 9), bias=st.booleans())
records = st.builds(
    Record,
    operator=blocks,
    condition=st.just(CONDITION),
    launch=launches,
    state=documents,
    origin=st.sampled_from(ORIGINS),
    protocol=st.sampled_from([SCREEN, REFERENCE, replace(SCREEN, slice_ms=0.1)]),
    environment=documents,
)
entries = st.dictionaries(
    blocks | convs | pools | heads,
    st.builds(Entry, counts, st.floats(1e-6, 1e6), st.floats(0, 1e6)),
    min_size=1,
    max_size=12,
)


def exported(kind, source):
    return exporters[kind]().export(source)


@pytest.mark.parametrize("kind", sorted(exporters))
def test_the_same_source_gives_the_same_bytes(kind):
    launch = Launch("w", 0, "2026-01-01T00:00:00+00:00", 1, 1, 1, True, 0, (Sample(1, 9, 8, 0),))
    made = [
        exported(kind, Source.of_table(TABLE, [Record(BLOCK, CONDITION, launch, {}, "imported")]))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert made[0].data


@given(entries=entries)
@settings(deadline=None, max_examples=30)
def test_csv_and_parquet_hold_every_number_to_the_bit(entries):
    source = Source(CONDITION, "measured", entries)
    read = list(csv.DictReader(io.StringIO(exported("csv", source).data.decode())))
    typed = pq.read_table(io.BytesIO(exported("parquet", source).data))
    for rows in (read, typed.to_pylist()):
        found = {
            from_json(json.loads(row["operator"])): Entry(
                int(row["count"]), float(row["mean_ms"]), float(row["std_ms"])
            )
            for row in rows
        }
        assert found == entries
        assert {(row["device"], row["method"], row["origin"]) for row in rows} == {
            ("box", "block", "measured")
        }
    assert Condition.from_json(json.loads(typed.schema.metadata[b"condition"])) == CONDITION


@given(found=st.lists(records, min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_json_lines_lose_no_field_of_a_launch(found):
    data = exported("jsonl", Source(CONDITION, "measured", ENTRIES, tuple(found))).data
    assert len(data.decode().splitlines()) >= len(found)
    assert list(read_records(data)) == found


@given(found=st.lists(records, min_size=1, max_size=5))
@settings(deadline=None, max_examples=8)
def test_a_store_filled_from_json_lines_exports_the_same_lines(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    data = exported("jsonl", Source(CONDITION, "measured", ENTRIES, tuple(found))).data
    with open_store(folder / "copy.db") as copy:
        copy.record_launches(read_records(data))
        again = Source(CONDITION, "measured", ENTRIES, tuple(copy.records(CONDITION)))
    assert exported("jsonl", again).data == data


@pytest.mark.parametrize("line", [b"{}", b"[]", b"{", b'{"operator": {"kind": "mbconv"}}'])
def test_lines_that_are_no_launches_are_refused(line):
    with pytest.raises(ArtefactError, match="Line 1 is no launch"):
        list(read_records(line))


def test_lines_of_a_table_are_its_rows():
    rows = [
        json.loads(line)
        for line in exported("jsonl", Source.of_table(TABLE)).data.split(b"\n")[:-1]
    ]
    assert {from_json(row["operator"]): row["mean_ms"] for row in rows} == dict(TABLE)


class TestKeyedYaml:
    @pytest.mark.parametrize(
        ("kind", "importer"), [("proxyless", "proxyless-table"), ("ofa", "ofa-table")]
    )
    @given(entries=entries)
    @settings(deadline=None, max_examples=30)
    def test_what_is_written_reads_back_and_the_rest_is_named(self, kind, importer, entries):
        source = Source(CONDITION, "measured", entries)
        try:
            made = exported(kind, source)
        except ConfigError as error:
            assert "can say none" in str(error)
            return
        rows = importers[importer]().read(made.data).rows
        assert len(rows) == made.count
        known: set[Operator] = set()
        for row in rows:
            assert row.operator is not None
            parts = row.operator.parts if isinstance(row.operator, Chain) else (row.operator,)
            known.update(parts)
            assert row.value == sum(entries[part].mean_ms for part in parts)
            assert row.count == min(entries[part].count for part in parts)
            std_ms = sum(entries[part].std_ms for part in parts)
            assert row.reported["std"] == pytest.approx(std_ms, rel=1e-12, abs=1e-160)
        left_out = {
            part
            for operator in made.left_out
            for part in (operator.parts if isinstance(operator, Chain) else (operator,))
        }
        assert known | left_out == set(entries)
        assert not known & left_out

    def test_proxyless_joins_the_pooling_and_the_classifier(self):
        made = exported("proxyless", Source.of_table(TABLE))
        assert made.left_out == (GATED,)
        assert (
            b"Logits-input:7x7x1280-output:1000:\n  count: 3\n  mean: 0.75\n  var: 0.140625\n"
            in made.data
        )
        assert made.count == 3

    def test_ofa_says_gates_and_middle_widths(self):
        made = exported("ofa", Source(CONDITION, "measured", {GATED_RELU: Entry(2, 1.0, 0.5)}))
        assert made.data.decode() == (
            "expanded_conv-input:14x14x8-output:14x14x8-expand:20-kernel:3-stride:1-idskip:1"
            "-se:1-hs:0:\n  count: 2\n  mean: 1.0\n  std: 0.5\n"
        )

    def test_a_table_without_a_word_for_it_is_refused(self):
        with pytest.raises(ConfigError, match="can say none of the 1 operators, MBConv"):
            exported("proxyless", Source(CONDITION, "measured", {GATED: Entry(2, 1.0, 0.5)}))


GATED_RELU = replace(GATED, activation=Activation.RELU)


class TestPyperf:
    def suite(self, factor):
        """Three launches of five samples of two operators."""
        found = [
            Record(
                operator,
                CONDITION,
                Launch(
                    f"w{number}", 0, "2026-01-02T03:04:05.678901+00:00", 1.0, 1.0, 3, True, 0.0,
                    tuple(Sample(10, 0, factor * (10_000 + number + i), 0) for i in range(5)),
                ),
                {},
                "measured",
            )
            for operator in (BLOCK, STEM)
            for number in range(3)
        ]  # fmt: skip
        return exported("pyperf", Source(CONDITION, "measured", ENTRIES, tuple(found)))

    def test_pyperf_reads_values_in_seconds(self):
        made = self.suite(1)
        suite = pyperf.BenchmarkSuite.loads(made.data.decode())
        assert set(suite.get_benchmark_names()) == {str(BLOCK), str(STEM)}
        assert set(made.left_out) == {GATED, POOL, HEAD}
        benchmark = suite.get_benchmark(str(BLOCK))
        assert benchmark.get_nrun() == 3
        assert benchmark.get_values()[0] == pytest.approx(1e-6, rel=1e-12)
        assert json.loads(benchmark.get_metadata()["operator"]) == to_json(BLOCK)

    def test_our_importer_reads_what_pyperf_rewrote(self, tmp_path):
        suite = pyperf.BenchmarkSuite.loads(self.suite(1).data.decode())
        suite.dump(str(tmp_path / "suite.json"))
        rows = importers["pyperf"]().read((tmp_path / "suite.json").read_bytes()).rows
        assert [(row.name, row.count) for row in rows] == [(str(BLOCK), 15), (str(STEM), 15)]
        assert rows[0].value == pytest.approx(1.0003e-3, rel=1e-12)

    def test_compare_to_finds_what_doubled(self, tmp_path):
        for name, factor in (("a", 1), ("b", 2)):
            (tmp_path / f"{name}.json").write_bytes(self.suite(factor).data)
        said = subprocess.run(
            [sys.executable, "-m", "pyperf", "compare_to", "a.json", "b.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "2.00x slower" in said.stdout
        assert "ERROR" not in said.stdout + said.stderr

    def test_a_table_has_no_samples_to_compare(self):
        with pytest.raises(ConfigError, match="pyperf compares nothing else"):
            exported("pyperf", Source.of_table(TABLE))


def test_exporters_raise_nothing_but_what_they_document():
    for kind in exporters:
        for source in (
            Source.of_table(TABLE),
            Source(CONDITION, "measured", {POOL: ENTRIES[POOL]}),
        ):
            try:
                assert exported(kind, source).count >= 1
            except ElatError as error:
                assert isinstance(error, ConfigError)
