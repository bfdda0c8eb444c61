"""Tables: exact files, loud gaps, one condition and one origin."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import (
    ArtefactError,
    ConfigError,
    MeasurementError,
    MissingOperatorError,
)
from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.measurement import Measurement
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.sum import Sum
from elat.latency.operators.zero import Zero
from elat.latency.sample import Sample
from elat.latency.table import Entry, LatencyTable, check_device, read_table, write_table

CONDITION = Condition(
    "local-ort",
    "onnxruntime",
    "1.24",
    Precision.FP32,
    1,
    1,
    Method.BLOCK,
    options=(("graph", "all"), ("spinning", False)),
)
SMALL = LatencyTable(
    CONDITION,
    "measured",
    {
        MBConv(16, 24, 14, 3): Entry(5, 1e-05, 2.5e-07),
        MBConv(16, 24, 14, 3, expand=3): Entry(5, 0.5, 0.0),
        Conv(3, 16, 28, 3, 2): Entry(3, 0.1 + 0.2, 0.01),
    },
)
GOLDEN = """\
entries:
- {kind: conv, in_channels: 3, out_channels: 16, resolution: 28, kernel: 3, stride: 2, groups: 1, \
activation: relu6, count: 3, mean: 0.30000000000000004, std: 0.01}
- {kind: mbconv, in_channels: 16, out_channels: 24, resolution: 14, kernel: 3, stride: 1, \
expand: 3, se: false, activation: relu6, count: 5, mean: 0.5, std: 0.0}
- {kind: mbconv, in_channels: 16, out_channels: 24, resolution: 14, kernel: 3, stride: 1, \
expand: 6, se: false, activation: relu6, count: 5, mean: 1.0e-05, std: 2.5e-07}
"""

operators = st.one_of(
    st.builds(
        MBConv,
        st.integers(1, 320),
        st.integers(1, 320),
        st.integers(1, 224),
        st.sampled_from([3, 5, 7]),
        st.sampled_from([1, 2]),
        st.integers(1, 6),
        st.booleans(),
        st.sampled_from(["none", "relu", "relu6", "hswish"]),
    ),
    st.builds(GlobalPool, st.integers(1, 1280), st.integers(1, 56)),
    # Its field `count` has the name of a column.
    st.builds(Sum, st.integers(2, 6), st.integers(1, 1280), st.integers(1, 56)),
)
entries = st.builds(
    Entry,
    st.integers(1, 10**6),
    st.floats(1e-300, 1e300, exclude_min=True),
    st.floats(0, 1e300),
)
tables = st.builds(
    LatencyTable,
    st.just(CONDITION),
    st.sampled_from(["measured", "imported", "simulated"]),
    st.dictionaries(operators, entries, min_size=1, max_size=6),
)


def measurement(
    operator: Operator,
    *launch_ms: float,
    condition: Condition = CONDITION,
    origin: str = "measured",
) -> Measurement:
    launches = tuple(
        Launch(f"w{i}", 0, "2026-01-01T00:00:00", 1.0, 1.0, 3, True, 0.0, (
            Sample(1, round(ms * 1e6), round(ms * 1e6), 0),
        ))
        for i, ms in enumerate(launch_ms)
    )  # fmt: skip
    return Measurement(operator, condition, launches, {}, {}, origin)


@pytest.mark.parametrize("suffix", [".yaml", ".parquet"])
@given(table=tables)
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_files_keep_every_bit(tmp_path: Path, suffix: str, table: LatencyTable) -> None:
    path = tmp_path / f"table{suffix}"
    write_table(table, path)
    found = read_table(path)
    assert found == table
    assert (found.condition, found.origin) == (table.condition, table.origin)
    assert list(found.entries.items()) == list(table.entries.items())


@given(table=tables, seed=st.randoms())
@settings(deadline=None, max_examples=25)
def test_order_of_entries_does_not_matter(table: LatencyTable, seed: object) -> None:
    items = list(table.entries.items())
    seed.shuffle(items)  # type: ignore[attr-defined]
    again = LatencyTable(table.condition, table.origin, dict(items))
    assert list(again) == list(table)
    assert again.sha256 == table.sha256


def test_yaml_is_readable_by_people(tmp_path: Path) -> None:
    write_table(SMALL, tmp_path / "table.yaml")
    text = (tmp_path / "table.yaml").read_text()
    header, _, rows = text.partition("entries:\n")
    assert "entries:\n" + rows == GOLDEN
    lines = header.splitlines()
    assert lines[0].startswith("# Latency of operators on local-ort (onnxruntime 1.24")
    assert {"schema: 1", "kind: latency-table", "unit: ms", "origin: measured"} <= set(lines)
    assert any(line.startswith("granularity: one operator") for line in lines)


@pytest.mark.parametrize("suffix", [".yaml", ".parquet"])
def test_a_file_cut_short_anywhere_is_refused_in_a_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    write_table(SMALL, path)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        with pytest.raises(ArtefactError) as caught:
            read_table(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mean: 0.5", "mean: 0.4"),
        ("kernel: 3, stride: 1, expand: 3", "kernel: 4, stride: 1, expand: 3"),
        ("kind: mbconv", "kind: nonsense"),
        ("mean: 0.5", "mean: -0.5"),
        ("mean: 0.5, std: 0.0", "mean: 0.5"),
        ("mean: 0.5", "mean: .nan"),
        ("mean: 0.5", f"mean: 1{'0' * 400}"),
        ("count: 5", "count: .inf"),
        ("batch: 1", "batch: .inf"),
        ("origin: measured", "origin: simulated"),
        ("unit: ms", "unit: us"),
        ("schema: 1", "schema: 99"),
        ("threads: 1", "threads: 2"),
        ("kind: latency-table", "kind: latency-model"),
        ("runtime: onnxruntime", "bogus: onnxruntime"),
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "table.yaml"
    write_table(SMALL, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ArtefactError):
        read_table(path)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("none.yaml", "none.parquet"):
        with pytest.raises(ArtefactError, match="does not exist"):
            read_table(tmp_path / name)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "other.yaml").write_text("- 1\n")
    for name in ("other.parquet", "other.yaml"):
        with pytest.raises(ArtefactError):
            read_table(tmp_path / name)
    with pytest.raises(ConfigError, match="neither"):
        write_table(SMALL, tmp_path / "table.csv")
    with pytest.raises(ConfigError, match="neither"):
        read_table(tmp_path / "table.csv")


def test_a_missing_operator_names_the_nearest_and_the_repair() -> None:
    known: dict[Operator, Entry] = {
        MBConv(16, 24, 14, kernel, expand=expand): Entry(1, 1.0, 0.0)
        for kernel in (3, 5, 7)
        for expand in (1, 3, 6)
    }
    table = LatencyTable(CONDITION, "measured", known)
    with pytest.raises(MissingOperatorError) as caught:
        table[MBConv(16, 24, 14, 5, expand=5)]
    message = str(caught.value)
    assert "MBConv 16→24 14² k5 s1 e5 is not in the table for local-ort" in message
    assert "MBConv 16→24 14² k5 s1 e6; " in message
    assert message.count("→") == 4
    assert "elat measure --device local-ort --space" in message
    with pytest.raises(MissingOperatorError, match="knows no conv, only: mbconv"):
        table[Conv(3, 16, 28, 3)]
    with pytest.raises(MissingOperatorError):
        table.get(Conv(3, 16, 28, 3), 0.0)


def test_free_operators_cost_nothing_and_are_no_entries() -> None:
    assert SMALL[Zero(24, 14)] == 0.0
    assert Zero(24, 14) in SMALL
    assert Zero(24, 14) not in list(SMALL)
    assert len(SMALL) == 3
    for odd in (Zero(24, 14), Chain((MBConv(16, 24, 14, 3),))):
        with pytest.raises(ConfigError):
            LatencyTable(CONDITION, "measured", {odd: Entry(1, 1.0, 0.0)})


def test_a_table_is_immutable() -> None:
    with pytest.raises(TypeError):
        SMALL.entries[MBConv(16, 24, 14, 3)] = Entry(1, 1.0, 0.0)  # type: ignore[index]
    with pytest.raises(TypeError):
        SMALL[MBConv(16, 24, 14, 3)] = 1.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("count", "mean", "std"),
    [(0, 1.0, 0.0), (1, 0.0, 0.0), (1, -1.0, 0.0), (1, math.nan, 0.0), (1, 1.0, math.inf)],
)
def test_impossible_entries_are_refused(count: int, mean: float, std: float) -> None:
    with pytest.raises(MeasurementError):
        Entry(count, mean, std)


def test_measurements_become_a_table() -> None:
    a, b = MBConv(16, 24, 14, 3), Conv(3, 16, 28, 3, 2)
    found = [measurement(a, 1.0, 1.1, 1.2), measurement(b, 0.5)]
    table = LatencyTable.from_measurements(found)
    assert table.condition == CONDITION
    assert table.origin == "measured"
    assert table.entry(a) == Entry(3, found[0].latency_ms, found[0].std_ms)
    assert table[b] == pytest.approx(0.5, rel=1e-12)


def test_several_measurements_of_one_operator_are_pooled() -> None:
    operator = MBConv(16, 24, 14, 3)
    first, second = measurement(operator, 1.0, 1.2), measurement(operator, 2.0)
    entry = LatencyTable.from_measurements([first, second]).entry(operator)
    mean = (2 * first.latency_ms + second.latency_ms) / 3
    assert entry.count == 3
    assert entry.mean_ms == pytest.approx(mean, rel=1e-12)
    assert entry.std_ms > 0.4


def test_mixed_measurements_are_refused() -> None:
    a, b = MBConv(16, 24, 14, 3), Conv(3, 16, 28, 3, 2)
    other = replace(CONDITION, device="local-tflite")
    with pytest.raises(ConfigError, match="2 conditions"):
        LatencyTable.from_measurements([measurement(a, 1.0), measurement(b, 1.0, condition=other)])
    with pytest.raises(ConfigError, match="imported and measured"):
        LatencyTable.from_measurements(
            [measurement(a, 1.0), measurement(b, 1.0, origin="imported")]
        )
    with pytest.raises(ConfigError, match="elat measure"):
        LatencyTable.from_measurements([])
    with pytest.raises(ConfigError, match="elat measure"):
        LatencyTable.of(CONDITION, {}, [])
    with pytest.raises(ConfigError, match="Origin"):
        LatencyTable(CONDITION, "guessed", {a: Entry(1, 1.0, 0.0)})


def test_a_table_of_another_device_is_refused_with_the_repair() -> None:
    check_device(CONDITION, "local-ort")
    with pytest.raises(ArtefactError, match="elat measure --device local-tflite"):
        check_device(CONDITION, "local-tflite")


def test_only_keeps_the_chosen_entries() -> None:
    chosen = [MBConv(16, 24, 14, 3)]
    assert list(SMALL.only(chosen)) == chosen
    with pytest.raises(MissingOperatorError):
        SMALL.only([MBConv(16, 24, 28, 3)])


def test_hash_tells_tables_apart() -> None:
    entries = dict(SMALL.entries)
    assert LatencyTable(CONDITION, "imported", entries) != SMALL
    assert LatencyTable(replace(CONDITION, threads=2), "measured", entries) != SMALL
    assert hash(LatencyTable(CONDITION, "measured", entries)) == hash(SMALL)
