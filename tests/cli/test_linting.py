"""`elat table --lint`: what it prints, and its exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.operators import Operator
from elat.latency.protocol import PROTOCOLS
from elat.latency.table import LatencyTable, write_table
from elat.search.spaces import find_space

from .conftest import HASTY

CONDITION = Condition(
    "a-board", "tflite", "2.20", Precision.FP32, 1, 1, Method.BLOCK, options=(("xnnpack", True),)
)


def entries(space: str = "proxyless-tiny") -> dict[Operator, Entry]:
    """What a cost model without noise gives, said to have a spread of a per cent."""

    def entry(operator: Operator) -> Entry:
        mean_ms = 0.01 + operator.macs / 1e7 + operator.traffic_elements / 2e6
        return Entry(5, mean_ms, 0.01 * mean_ms)

    return {operator: entry(operator) for operator in find_space(space).all_operators()}


def written(path: Path, found: dict[Operator, Entry]) -> Path:
    write_table(LatencyTable(CONDITION, "measured", found), path)
    return path


def test_a_clean_table(elat: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "table.yaml", entries())
    said = elat("table", "--lint", path, "--space", "proxyless-tiny", "--json")
    assert said.code == 0
    assert said.json == {
        "file": str(path),
        "kind": "latency-table",
        "space": "proxyless-tiny",
        "against": None,
        "tables": 1,
        "rows": len(entries()),
        "findings": [],
        "counts": {"error": 0, "warning": 0},
    }
    assert "0 errors, 0 warnings" in elat("table", "--lint", path).err


QUIET = """
schema: 1
id: quiet
kind: simulated
description: A simulated device without noise.
runtime: {name: simulated, options: {launch_noise: 0.0, sample_noise: 0.0}}
"""


def test_a_measured_simulation_without_noise_is_clean(
    elat: Any, tmp_path: Path, tiny: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)
    card, table = tmp_path / "quiet.yaml", tmp_path / "table.yaml"
    card.write_text(QUIET)
    assert elat("measure", "--device", card, "--space", tiny).code == 0
    made = elat("table", "--device", card, "--space", tiny, "--out", table)
    assert made.code == 0
    assert "warning" not in made.err
    said = elat("table", "--lint", table, "--space", tiny, "--json")
    assert (said.code, said.json["findings"]) == (0, [])


def test_an_error_gives_exit_code_8_and_the_document_all_the_same(
    elat: Any, tmp_path: Path
) -> None:
    path = written(tmp_path / "table.yaml", entries())
    said = elat("table", "--lint", path, "--space", "proxyless_mobile", "--json")
    assert said.code == 8
    (finding,) = said.json["findings"]
    assert (finding["rule"], finding["severity"]) == ("coverage", "error")
    assert finding["row_count"] == len(finding["rows"]) == 18
    assert said.error.endswith("has 1 error; see the findings.")


def test_warnings_alone_give_exit_code_0(elat: Any, tmp_path: Path) -> None:
    few = {operator: replace(entry, count=2) for operator, entry in entries().items()}
    path = written(tmp_path / "table.parquet", few)
    said = elat("table", "--lint", path)
    assert said.code == 0
    assert "0 errors, 1 warning" in said.out
    assert "spread" in said.out


def test_rows_copied_from_another_file_are_found(elat: Any, tmp_path: Path) -> None:
    source = written(tmp_path / "source.yaml", entries())
    half = {
        operator: entry if index % 2 else replace(entry, mean_ms=1.1 * entry.mean_ms + 0.001)
        for index, (operator, entry) in enumerate(entries().items())
    }
    copy = written(tmp_path / "copy.yaml", half)
    said = elat("table", "--lint", copy, "--against", source, "--json")
    assert said.code == 8
    rules = {finding["rule"] for finding in said.json["findings"]}
    assert rules == {"copies"}
    assert said.json["findings"][0]["row_count"] == len(half) // 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "A table is made with --device DEVICE --space SPACE --out FILE"),
        (("--space", "proxyless-tiny"), "is checked with --lint FILE"),
        (("--lint", "t.yaml", "--device", "local-ort"), "--lint checks a file"),
        (("--lint", "t.yaml", "--out", "u.yaml"), "--lint checks a file"),
        (("--against", "t.yaml"), "--against and --unit go with --lint"),
        (("--lint", "t.yaml", "--unit", "min"), "Unknown unit 'min'"),
    ],
)
def test_options_that_do_not_go_together(
    elat: Any, arguments: tuple[str, ...], message: str
) -> None:
    said = elat("table", *arguments)
    assert said.code == 2
    assert message in said.error


def test_a_missing_file_and_an_unknown_space(elat: Any, tmp_path: Path) -> None:
    assert elat("table", "--lint", tmp_path / "gone.yaml").code == 7
    path = written(tmp_path / "table.yaml", entries())
    said = elat("table", "--lint", path, "--space", "nowhere")
    assert said.code == 2
    assert "Unknown space or network 'nowhere'" in said.error
