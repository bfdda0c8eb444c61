"""ONNX Runtime's profiles and onnxruntime_perf_test's output, written by hand."""

from __future__ import annotations

import json
import statistics

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Statistic
from elat.latency.imports.ort_perf_test import OrtPerfTest, OrtPerfTestRuns
from elat.latency.imports.ort_profile import OrtProfile, warm_up_runs


def event(category, name, start, duration, **arguments):
    return {
        "cat": category,
        "pid": 1,
        "tid": 1,
        "dur": duration,
        "ts": start,
        "ph": "X",
        "name": name,
        "args": {key: str(value) for key, value in arguments.items()},
    }


def node(name, start, duration, index, kind="Conv", provider="CPUExecutionProvider"):
    return event(
        "Node",
        f"{name}_kernel_time",
        start,
        duration,
        op_name=kind,
        provider=provider,
        node_index=index,
    )


def run(start, scale=1, provider="CPUExecutionProvider"):
    """A run of 100 us with two nodes of 40 and 20 us, times `scale`."""
    return [
        node("conv", start + 1, 40 * scale, 3, provider=provider),
        node("ReorderOutput", start + 1 + 40 * scale, 20 * scale, 9, "ReorderOutput", provider),
        event("Session", "SequentialExecutor::Execute", start, 90 * scale),
        event("Session", "model_run", start, 100 * scale),
    ]


LOADED = event("Session", "session_initialization", 0, 500)
STEADY = [run(1000 + 200 * n) for n in range(12)]


def text(*runs):
    """The events as ONNX Runtime writes them, one a line."""
    lines = [json.dumps(entry) for part in ([LOADED], *runs) for entry in part]
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def read(*runs):
    importer = OrtProfile()
    assert importer.recognises(text(*runs))
    return importer.read(text(*runs))


class TestProfile:
    def test_runs_and_nodes_are_raw_samples(self):
        slow = run(5000, 2)
        found = read(*STEADY, slow)
        network, conv, reorder = found.rows
        assert network.samples == (0.1,) * 11 + (0.2,)
        assert conv.samples == (0.04,) * 11 + (0.08,)
        assert (conv.name, conv.value, conv.count) == ("conv", 0.04, 12)
        assert conv.facts == {
            "level": "operator",
            "type": "Conv",
            "provider": "CPUExecutionProvider",
            "index": "3",
        }
        assert reorder.facts["layout"] is True
        assert found.unit == "us"

    def test_slow_first_runs_are_warm_up(self):
        found = read(run(0, 9), run(1000, 2), *(run(2000 + 200 * n) for n in range(12)))
        assert found.rows[0].samples == (0.1,) * 12
        assert found.facts == {"runs": 14, "warm_up_runs": 2}
        assert "first 2 of 14 runs" in found.notes[0]

    @pytest.mark.parametrize(
        ("durations", "cold"),
        [
            ([5], 0),
            ([5, 5], 1),
            ([9, 9, 9, 5, 5, 5], 3),
            ([9, 9, 9, 9, 5, 5], 3),
            ([9, 5, 9, 5, 5, 5], 1),
            ([5] * 10, 1),
        ],
    )
    def test_warm_up_is_at_least_one_run_and_at_most_half(self, durations, cold):
        assert warm_up_runs(durations) == cold

    def test_events_are_sorted_by_start_whatever_their_order(self):
        backwards = [list(reversed(part)) for part in reversed(STEADY)]
        assert read(*backwards).rows == read(*STEADY).rows

    def test_a_run_that_the_cap_on_events_cut_is_dropped(self):
        found = read(*STEADY, run(9000)[:1])
        assert found.rows == read(*STEADY).rows
        assert "1 events belong to no whole run" in found.notes[1]

    def test_a_run_with_other_nodes_is_dropped(self):
        found = read(*STEADY, [*run(9000)[1:]])
        assert found.rows == read(*STEADY).rows
        assert "1 runs had other nodes" in found.notes[1]

    def test_nodes_of_a_subgraph_are_told_from_the_node_that_holds_them(self):
        looped = [
            [
                node("loop", start, 60, 1, "Loop"),
                node("inner", start + 5, 10, 0),
                node("inner", start + 20, 12, 0),
                event("Session", "model_run", start, 80),
            ]
            for start in range(1000, 4000, 200)
        ]
        _, loop, inner = read(*looped).rows
        assert (loop.value, loop.facts["level"]) == (0.06, "operator")
        assert (inner.value, inner.facts["level"]) == (0.022, "subgraph")
        assert inner.facts["inside"] == "loop"

    def test_nodes_of_a_gpu_are_launches_and_its_kernels_a_level(self):
        runs = [
            [
                event("Kernel", "sgemm", start + 10, 30, op_name="Conv"),
                *run(start, provider="CUDAExecutionProvider"),
            ]
            for start in range(1000, 4000, 200)
        ]
        network, conv, reorder, kernel = read(*runs).rows
        assert Flag.HOST_TIMING in conv.flags & reorder.flags
        assert Flag.HOST_TIMING not in network.flags | kernel.flags
        assert (kernel.value, kernel.facts["level"]) == (0.03, "kernel")

    @pytest.mark.parametrize("name", ['a "quoted" node', "C:\\net\\conv"])
    def test_names_that_are_not_escaped_are_read(self, name):
        raw = text(*STEADY).replace(b'"conv_kernel_time"', f'"{name}_kernel_time"'.encode())
        assert [row.name for row in OrtProfile().read(raw).rows] == [
            "model_run",
            name,
            "ReorderOutput",
        ]

    def test_fences_of_older_versions_are_no_nodes(self):
        fenced = [[event("Node", "conv_fence_before", part[0]["ts"], 1), *part] for part in STEADY]
        assert read(*fenced).rows == read(*STEADY).rows

    def test_short_nodes_are_quantised(self):
        assert Flag.QUANTISED in read(*STEADY).rows[1].flags
        assert Flag.QUANTISED not in read(*(run(n * 9000, 9) for n in range(12))).rows[1].flags

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"dur": -1}, "dur of event 1"),
            ({"dur": 1.5}, "dur of event 1"),
            ({"dur": "40"}, "dur of event 1"),
            ({"ts": True}, "ts of event 1"),
            ({"cat": "Other"}, "event 1 has the category 'Other'"),
            ({"ph": "B"}, "event 1 .* the phase 'B'"),
            ({"args": []}, "'args' of event 1"),
            ({"name": 3}, "'name' of event 1"),
        ],
    )
    def test_damaged_events_are_refused_by_their_place(self, change, message):
        first = [STEADY[0][0] | change, *STEADY[0][1:]]
        with pytest.raises(ArtefactError, match=message):
            OrtProfile().read(text(first))

    def test_overlapping_runs_are_refused(self):
        with pytest.raises(ArtefactError, match="one run at a time"):
            read(run(1000), run(1050))

    @pytest.mark.parametrize("data", [b"[]", b"{}", b"[1]", b"[" * 100_000, text()])
    def test_what_holds_no_run_is_refused(self, data):
        with pytest.raises(ArtefactError):
            OrtProfile().read(data)

    @pytest.mark.parametrize("end", range(0, len(text(*STEADY)), 487))
    def test_a_profile_cut_short_is_refused(self, end):
        with pytest.raises(ArtefactError):
            OrtProfile().read(text(*STEADY)[:end])


NEW = """Session creation time cost: 0.25 s
First inference time cost: 196 ms
Total inference time cost: 9.75 s
Total inference requests: 100
Average inference time cost total: 97.5 ms
Total inference run time: 9.8 s
Avg CPU usage: 100 %
Avg CPU usage: 100 %
Runs:100
Min Latency: 0.0625 s
Max Latency: 0.125 s
P50 Latency: 0.09375 s
P90 Latency: 0.1 s
P99 Latency: 0.11 s
P999 Latency: 0.125 s
"""
OLD = """Total time cost:8
Total iterations:4
Average time cost:2000 ms
Total run time:8.1 s
Min Latency is 1.5sec
Max Latency is 2.5sec
P50 Latency is 1.75sec
P90 Latency is 2.5sec
P999 Latency is 2.5sec
"""


class TestPerfTest:
    def test_the_newer_wording(self):
        found = OrtPerfTest().read(NEW.encode())
        (row,) = found.rows
        assert (row.value, row.statistic, row.count) == (93.75, Statistic.MEDIAN, 100)
        assert row.reported == pytest.approx(
            {"mean": 97.5, "min": 62.5, "max": 125, "p90": 100, "p99": 110}
        )
        assert found.facts == {"session_creation_ms": 250, "first_inference_ms": 196}
        assert "p99.9" in found.notes[0]

    def test_the_older_wording(self):
        found = OrtPerfTest().read(OLD.encode())
        (row,) = found.rows
        assert (row.value, row.count) == (1750, 4)
        assert row.reported == {"mean": 2000, "min": 1500, "max": 2500}
        assert row.flags == {Flag.LOW_N}
        assert "p90, p99.9" in found.notes[0]

    def test_without_a_number_of_runs_no_percentile_counts(self):
        (row,) = OrtPerfTest().read(OLD.replace("Total iterations:4\n", "").encode()).rows
        assert (row.value, row.statistic, row.count) == (2000, Statistic.MEAN, None)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("0.09375 s", "nan s", "p50 in the line"),
            ("0.09375 s", "-1 s", "p50 in the line"),
            ("P50 Latency", "PS0 Latency", "no P50"),
            ("P50 Latency: 0.09375 s", "P50 Latency: 9 s", "not between min and max"),
            ("Runs:100", "Runs:101", "100, 101 runs"),
            ("P50 Latency: 0.09375 s\n", "P50 Latency: 0.09 s\nP50 Latency: 0.1 s\n", "twice"),
        ],
    )
    def test_damaged_logs_are_refused(self, old, new, message):
        with pytest.raises(ArtefactError, match=message):
            OrtPerfTest().read(NEW.replace(old, new).encode())


RUNS = [0.5, 0.25, 0.75]


def result_file(*launches, model="net"):
    return "".join(
        f"{model},{seconds},4096,96,{number}\n"
        for launch in launches
        for number, seconds in enumerate(launch)
    )


class TestRuns:
    def test_runs_are_raw_samples(self):
        data = result_file(RUNS) + "\nP50 Latency: 0.5 s\nP90 Latency: 0.75 s\n"
        assert OrtPerfTestRuns().recognises(data.encode())
        assert not OrtPerfTest().recognises(data.encode())
        (row,) = OrtPerfTestRuns().read(data.encode()).rows
        assert (row.name, row.value, row.samples) == ("net", 500, (500, 250, 750))
        assert row.reported == {"p50": 500}
        assert row.facts == {"launches": 1, "peak_memory_bytes": 4096}

    def test_a_number_of_run_that_starts_again_is_a_new_launch(self):
        data = result_file(RUNS, RUNS[:2]) + result_file([2.0], model="a,b")
        net, other = OrtPerfTestRuns().read(data.encode()).rows
        assert net.facts["runs_of_launches"] == ("3", "2")
        assert net.value == 1000 * statistics.median(RUNS + RUNS[:2])
        assert (other.name, other.value, other.statistic) == ("a,b", 2000, Statistic.SINGLE)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("net,0.25,4096,96,1\n", "", "run 2 of 'net' does not follow"),
            ("0.25", "-0.25", "the time in line 2"),
            ("0.25", "inf", "the time in line 2"),
            ("4096,96,1", "4096,96", "line 2 is"),
        ],
    )
    def test_damaged_files_are_refused(self, old, new, message):
        with pytest.raises(ArtefactError, match=message):
            OrtPerfTestRuns().read(result_file(RUNS).replace(old, new).encode())
