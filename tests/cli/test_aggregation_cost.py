"""`elat exam aggregation-cost` on the real engines, with networks of three layers."""

from __future__ import annotations

import pytest

from elat.latency.protocol import PROTOCOLS
from elat.reports.aggregation import COSTS, read_aggregation_costs

from .conftest import HASTY

WORDS = ("exam", "aggregation-cost", "--shape", "3x4x6")


@pytest.fixture(autouse=True)
def hasty(empty_home, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)


@pytest.mark.slow
def test_both_engines_are_measured_once_into_one_file(elat, tmp_path):
    words = (
        *WORDS,
        "--device",
        "local-ort",
        "--device",
        "local-tflite",
        "--out",
        tmp_path / "out",
    )
    first = elat(*words, "--json")
    assert first.code == 0, first.err
    assert [found["device"] for found in first.json["devices"]] == ["local-ort", "local-tflite"]
    assert {found["origin"] for found in first.json["devices"]} == {"measured"}
    assert all(
        network["whole"] for found in first.json["devices"] for network in found["networks"]
    )
    written = (tmp_path / "out" / COSTS).read_bytes()
    again = elat(*words)
    assert again.code == 0, again.err
    assert "time of all layers (measured on local-tflite" in again.out
    assert "sparse4 concat" in again.out
    assert (tmp_path / "out" / COSTS).read_bytes() == written
    assert len(read_aggregation_costs(tmp_path / "out").devices) == 2
    report = elat("report", tmp_path / "out", "--out", tmp_path / "report")
    assert report.code == 0, report.err
    assert (tmp_path / "report" / "figures" / "aggregation_cost.pdf").exists()
    assert (tmp_path / "report" / "tables" / "aggregation_cost.csv").exists()


def test_a_shape_that_is_none_is_refused_before_anything_is_measured(elat, empty_home):
    said = elat("exam", "aggregation-cost", "--shape", "64by12")
    assert said.code == 2
    assert "LAYERSxWIDTHxRESOLUTION" in said.error
    assert not empty_home.exists()
