"""litert-benchmark's JSON and output, written by hand."""

from __future__ import annotations

import json

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Statistic
from elat.latency.imports.litert_benchmark import LitertBenchmark, LitertBenchmarkLog

LATENCY = {
    "init_ms": 3.1,
    "warmup_avg_ms": 2.5,
    "num_warmup_runs": 20,
    "avg_ms": 2.5,
    "min_ms": 2.25,
    "max_ms": 4.5,
    "median_ms": 2.38,
    "std_ms": 0.1,
    "p5_ms": 2.25,
    "p95_ms": 2.75,
    "num_runs": 200,
}


def document(latency=LATENCY, **changes):
    head = {"model": "net.tflite", "accelerators": ["CPU"], "fully_accelerated": True}
    return json.dumps(head | {"num_threads": 1} | changes | {"latency": latency}).encode()


LOG = """2026-11-22 13:14:25 INFO benchmark_litert_model: Model:           net.tflite
2026-11-22 13:14:25 INFO benchmark_litert_model: Accelerators:    CPU, GPU
2026-11-22 13:14:25 INFO benchmark_litert_model: Num threads:     4

========================================
 BENCHMARK RESULTS
========================================
Model initialization:  3.10 ms
Warmup (first):        6.60 ms
Warmup (avg):          2.50 ms (20 runs)
Inference (avg):       2.50 ms (200 runs)
Inference (min):       2.25 ms
Inference (max):       4.50 ms
Inference (median):    2.38 ms
Inference (std):       0.10 ms
Inference (p5):        2.25 ms
Inference (p95):       2.75 ms
Throughput:            594.65 MB/s
Fully accelerated:     True
========================================
"""


class TestJson:
    def test_the_median_in_steps_of_a_hundredth(self):
        assert LitertBenchmark().recognises(document())
        found = LitertBenchmark().read(document())
        (row,) = found.rows
        assert (row.value, row.statistic, row.count) == (2.38, Statistic.MEDIAN, 200)
        assert row.reported == {
            "mean": 2.5,
            "min": 2.25,
            "max": 4.5,
            "std": 0.1,
            "p5": 2.25,
            "p95": 2.75,
        }
        assert not row.flags
        assert found.resolution == 0.01
        assert found.facts["accelerators"] == ("CPU",)
        assert found.facts["num_warmup_runs"] == 20

    def test_short_latencies_are_quantised(self):
        short = LitertBenchmark().read(document(LATENCY | {"median_ms": 1.99})).rows[0]
        assert short.flags == {Flag.QUANTISED}

    def test_a_network_that_accelerators_run_in_part_is_flagged(self):
        partial = LitertBenchmark().read(document(fully_accelerated=False)).rows[0]
        assert partial.flags == {Flag.PARTIAL_DELEGATION}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"median_ms": -1}, "median_ms"),
            ({"median_ms": "2"}, "median_ms"),
            ({"median_ms": float("nan")}, "median_ms|JSON"),
            ({"num_runs": 0}, "num_runs"),
            ({"median_us": 3}, "median_us; no known version"),
        ],
    )
    def test_damaged_files_are_refused(self, change, message):
        with pytest.raises(ArtefactError, match=message):
            LitertBenchmark().read(document(LATENCY | change))

    def test_a_file_without_a_median_is_refused(self):
        with pytest.raises(ArtefactError, match="no median"):
            LitertBenchmark().read(document({"num_runs": 3, "avg_ms": 1.0}))


class TestLog:
    def test_it_says_what_the_json_says(self):
        assert LitertBenchmarkLog().recognises(LOG.encode())
        found = LitertBenchmarkLog().read(LOG.encode())
        assert found.rows == LitertBenchmark().read(document()).rows
        assert found.facts == {
            "model": "net.tflite",
            "accelerators": ("CPU", "GPU"),
            "threads": 4,
            "num_warmup_runs": 20,
        }

    def test_microseconds_as_printed(self):
        found = LitertBenchmarkLog().read(LOG.replace(" ms", " us").encode())
        assert found.rows[0].value == pytest.approx(0.00238)
        assert found.resolution == pytest.approx(1e-5)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("2.38 ms", "2.38 us", "ms, us"),
            ("2.38 ms", "nan ms", r"Inference \(median\)"),
            ("Inference (median)", "Inference (mode)", "no median"),
            ("(200 runs)", "", "of how many runs"),
            ("Inference (p5)", "Inference (min)", "twice"),
        ],
    )
    def test_damaged_logs_are_refused(self, old, new, message):
        with pytest.raises(ArtefactError, match=message):
            LitertBenchmarkLog().read(LOG.replace(old, new).encode())
