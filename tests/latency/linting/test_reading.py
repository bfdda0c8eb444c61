"""Files become tables to lint, also those that their readers refuse for a value."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from elat.core.errors import ArtefactError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.linting import Severity, lint
from elat.latency.linting.reading import LintedFile, read_file
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.table import LatencyTable, write_table

from .conftest import LAUNCHES, SPREAD, clean_view

CONDITION = Condition(
    "a-board", "tflite", "2.20", Precision.FP32, 1, 1, Method.BLOCK, options=(("xnnpack", True),)
)
PROXYLESS = """\
Logits-input:7x7x1280-output:1000:
  count: 982
  mean: 2.5
  var: 0.25
expanded_conv-input:28x28x40-output:28x28x40-expand:6-kernel:5-stride:1-idskip:1:
  count: 100
  mean: {mean}
  var: 0.25
"""


def own_table() -> LatencyTable:
    entries = {
        row.operators[0]: Entry(LAUNCHES, row.value, SPREAD * row.value)
        for row in clean_view().rows
    }
    return LatencyTable(CONDITION, "measured", entries)


def rules(read: LintedFile) -> set[str]:
    return {finding.rule for finding in (*read.findings, *lint(read.views))}


@pytest.mark.parametrize("name", ["table.yaml", "table.parquet"])
def test_our_own_table_is_clean(tmp_path: Path, name: str) -> None:
    table = own_table()
    write_table(table, tmp_path / name)
    read = read_file(tmp_path / name)
    assert read.kind == "latency-table"
    assert [row.operators[0] for row in read.views[0].rows] == list(table)
    assert read.views[0].facts["device"] == "a-board"
    assert rules(read) == set()


def test_an_edited_table_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    write_table(own_table(), path)
    head, mean, tail = path.read_text().partition("mean: ")
    path.write_text(f"{head}{mean}-{tail}")
    read = read_file(path)
    assert rules(read) == {"file", "value"}
    assert read.findings[0].severity is Severity.ERROR
    assert len(read.views[0].rows) == len(own_table())


def test_a_table_cut_short_is_refused_or_told(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    write_table(own_table(), path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    read = read_file(path)
    assert "cut short" in read.findings[0].found
    path.write_text("\n".join(lines[:6]))
    with pytest.raises(ArtefactError, match="no latency table, or was cut short"):
        read_file(path)


def test_a_key_of_two_operators_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "mobile.yaml"
    path.write_text(PROXYLESS.format(mean=3.5))
    read = read_file(path)
    logits, block = read.views[0].rows
    assert logits.operators == (GlobalPool(1280, 7), Linear(1280, 1000))
    assert block.operators == (MBConv(40, 40, 28, 5, 1, 6),)
    assert (block.count, block.std) == (100, 0.5)
    assert read.findings == ()


@pytest.mark.parametrize("mean", ["-3.5", ".nan", ".inf", "0.0"])
def test_values_that_the_importer_refuses_are_found(tmp_path: Path, mean: str) -> None:
    path = tmp_path / "mobile.yaml"
    path.write_text(PROXYLESS.format(mean=mean))
    assert rules(read_file(path)) == {"value"}


@pytest.mark.parametrize(("mean", "value"), [(".5", 0.5), ("3.5", 3.5)])
def test_values_beside_a_refused_one_are_those_of_the_file(
    tmp_path: Path, mean: str, value: float
) -> None:
    path = tmp_path / "mobile.yaml"
    path.write_text(PROXYLESS.format(mean=mean).replace("mean: 2.5", "mean: -.inf"))
    logits, block = read_file(path).views[0].rows
    assert (logits.value, block.value) == (-inf, value)


def test_a_count_without_end_is_told_as_one_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "mobile.yaml"
    path.write_text(PROXYLESS.format(mean=3.5).replace("count: 100", "count: 1e999"))
    read = read_file(path)
    assert [row.count for row in read.views[0].rows] == [982, None]
    assert rules(read) == {"file", "spread"}


def test_a_count_without_end_behind_a_wrong_value_of_our_own_table_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "table.yaml"
    write_table(own_table(), path)
    first, second = (
        path.read_text().replace("mean: ", "mean: -", 1).rsplit(f"count: {LAUNCHES}", 1)
    )
    path.write_text(f"{first}count: .inf{second}")
    with pytest.raises(ArtefactError, match=r"table\.yaml"):
        read_file(path)


def test_a_series_from_zero_on_has_no_ratio(tmp_path: Path) -> None:
    path = tmp_path / "lookup.csv"
    path.write_text("key,latency_ms\nconv_kernel0_stride1,1.0\nconv_kernel3_stride1,1.0\n")
    assert "flat" in rules(read_file(path))


def test_a_key_that_stands_twice_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mobile.yaml"
    path.write_text(PROXYLESS.format(mean=3.5) * 2)
    read = read_file(path)
    assert rules(read) == {"file"}
    assert "stands twice" in read.findings[0].found


def test_a_negative_value_of_a_csv_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lookup.csv"
    path.write_text("key,latency_us\na,250\nb,-3\n")
    read = read_file(path)
    assert [row.value for row in read.views[0].rows] == [0.25, pytest.approx(-0.003)]
    assert rules(read) == {"value", "spread"}


@pytest.mark.parametrize("content", ["", "kind: latency-table\n", "hello: [", "{}"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(content)
    with pytest.raises(ArtefactError, match=r"file\.yaml"):
        read_file(path)
    with pytest.raises(ArtefactError, match="does not exist"):
        read_file(tmp_path / "gone.yaml")
