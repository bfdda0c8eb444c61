"""What the importers of statistics harnesses and of plain tables make of their files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Quantity, Statistic, importers
from elat.latency.imports.base import UnitlessImporter

from .seeds import GOOGLE_ROW, google, seeds


def read(kind, number=0, old="", new=""):
    data = seeds()[kind][number].decode()
    assert old in data
    return importers[kind]().read(data.replace(old, new).encode())


class TestPyperf:
    def test_values_are_samples_and_warm_ups_stand_apart(self):
        imported = read("pyperf")
        row = imported.rows[0]
        assert (row.name, row.samples) == ("a", (250.0, 500.0, 125.0, 375.0))
        assert (row.value, row.statistic, row.count) == (312.5, Statistic.MEDIAN, 4)
        assert row.facts == {"loops": 4, "processes": 2}
        assert imported.notes == ("1 warm-up values were left out.",)

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ('"1.0"', '"2.0"', "this file is of '2.0'"),
            ('"second"', '"byte"', "it is no latency"),
            ('"name": "b"', '"name": "a"', "the same name"),
            ("[1e-06, 2]", "[]", "only calibrate"),
            ("[1e-06, 2]", "[-1]", "should be 0 to"),
            ("[1e-06, 2]", "[true]", "should be a number"),
        ],
    )
    def test_what_is_no_latency_is_refused(self, old, new, reason):
        with pytest.raises(ArtefactError, match=reason):
            read("pyperf", 0, old, new)


class TestGoogleBenchmark:
    def test_repetitions_are_samples_and_aggregates_are_left_out(self):
        repeated, single = read("google-benchmark").rows
        assert repeated.samples == pytest.approx((4.5e-4, 5.5e-4))
        assert (repeated.statistic, repeated.count) == (Statistic.MEDIAN, 200)
        assert (single.value, single.statistic, single.count) == (1.25, Statistic.MEAN, 100)
        assert Flag.MEAN_ONLY in single.flags

    def test_aggregates_alone_give_their_median(self):
        (row,) = read("google-benchmark", 1).rows
        assert (row.value, row.statistic, row.count) == (0.012, Statistic.MEDIAN, None)
        assert row.reported == {"mean": 0.0125, "median": 0.012, "stddev": 0.0005}

    def test_benchmarks_that_failed_are_named(self):
        failed = GOOGLE_ROW.format("BM_x", "", "iteration", '"error_occurred": true, ', 0, "ns")
        good = GOOGLE_ROW.format("BM_y", "", "iteration", "", 1, "s")
        imported = importers["google-benchmark"]().read(google(failed, good).encode())
        assert [row.name for row in imported.rows] == ["BM_y"]
        assert imported.rows[0].value == 1000
        assert imported.notes == ("'BM_x' stopped with an error.",)

    def test_facts_that_are_no_numbers_are_left_out(self):
        imported = read("google-benchmark", 0, '"num_cpus": 8', '"num_cpus": NaN')
        assert "num_cpus" not in imported.facts

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ('"run_type": "iteration", ', "", "versions of the library before 1.5"),
            ('"ms"', '"min"', "unknown unit"),
            ("4.5e+02", "NaN", "should be finite"),
            ('"iterations": 100', '"iterations": 0', "at least 1"),
        ],
    )
    def test_what_is_not_known_is_refused(self, old, new, reason):
        with pytest.raises(ArtefactError, match=reason):
            read("google-benchmark", 0, old, new)

    def test_repetitions_in_two_units_are_refused(self):
        rows = [GOOGLE_ROW.format("BM", "", "iteration", "", 1, unit) for unit in ("ns", "us")]
        with pytest.raises(ArtefactError, match="several units"):
            importers["google-benchmark"]().read(google(*rows).encode())


class TestTables:
    def test_a_launch_counts_as_its_median(self):
        first = read("launch-summaries").rows[0]
        assert first.samples == pytest.approx((6e-6, 7.5e-6, 7e-6))
        assert (first.count, first.facts["runs"]) == (3, 270)
        with pytest.raises(ArtefactError, match="do not rise"):
            read("launch-summaries", 0, "[1, 2, 3, 4, 5, 7, 8", "[1, 2, 3, 9, 5, 7, 8")

    def test_the_percentage_of_nn_meter_checks_its_lines(self):
        assert read("nn-meter", 2).rows[0].reported == {"std": 4.955}
        with pytest.raises(ArtefactError, match="no line of number, name"):
            read("nn-meter", 2, "1.653", "1.654")

    def test_kernels_of_nn_meter_keep_their_configuration(self):
        assert read("nn-meter").rows[0].facts == {"kernel": "conv-bn-relu", "HW": 13}
        assert read("nn-meter", 1).rows[0].facts == {"HW": 14, "CIN": 98, "feature_0": 10.5}

    @pytest.mark.parametrize(("unit", "scale"), [("ns", 1e-6), ("us", 1e-3), ("s", 1e3)])
    def test_the_header_names_the_unit(self, unit, scale):
        imported = read("keyed-csv", 0, "latency_ms", f"latency_{unit}")
        assert imported.unit == unit
        assert imported.rows[1].value == pytest.approx(scale)

    def test_whole_columns_are_quantised(self):
        importer = importers["device-table"]()
        assert isinstance(importer, UnitlessImporter)
        rows = importer.read_as(seeds()["device-table"][0], "ms").rows
        quantised = {row.facts["device"] for row in rows if Flag.QUANTISED in row.flags}
        assert quantised == {"pixel2"}

    def test_cycles_are_simulated(self):
        imported = read_bytes("haq-table", seeds()["haq-table"][0])
        assert (imported.quantity, imported.origin) == (Quantity.CYCLES, "simulated")
        assert imported.rows[65].facts == {"layer": 1, "weight_bits": 1, "activation_bits": 2}

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((2, 8, 7), int),
            np.zeros((0, 8, 8), int),
            np.zeros((2, 8, 8), float),
            np.array([{"a": 1}], object),
            -np.arange(64).reshape(1, 8, 8),
        ],
        ids=["shape", "empty", "floats", "objects", "falling"],
    )
    def test_other_arrays_are_refused(self, array, tmp_path):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        with pytest.raises(ArtefactError):
            read_bytes("haq-table", (tmp_path / "a.npy").read_bytes())

    def test_an_array_that_was_cut_short_is_refused(self):
        with pytest.raises(ArtefactError, match="cut short"):
            read_bytes("haq-table", seeds()["haq-table"][0][:-8])


def read_bytes(kind, data):
    return importers[kind]().read(data)


def test_huge_numbers_are_refused_as_json_has_them():
    for number in ("1" + "0" * 400, "1e400", str(10**19), "9" * 5000):
        text = json.dumps({"benchmarks": [{"runs": [{"values": [7]}]}], "version": "1.0"})
        with pytest.raises(ArtefactError):
            read_bytes("pyperf", text.replace("7", number).encode())
