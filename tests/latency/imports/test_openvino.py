"""OpenVINO's benchmark_app: reports, counters and output, written by hand."""

from __future__ import annotations

import json

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Statistic
from elat.latency.imports.openvino_counters import OpenvinoCounters
from elat.latency.imports.openvino_log import OpenvinoLog
from elat.latency.imports.openvino_report import OpenvinoReport

RESULTS = {
    "read model time (ms)": "10.50",
    "compile model time (ms)": "34.25",
    "first inference time (ms)": "2.03",
    "total execution time (ms)": "2000.00",
    "total number of iterations": "1000",
    "latency (ms)": "1.75",
    "avg latency": "2.00",
    "min latency": "1.50",
    "max latency": "4.25",
    "throughput": "500.00",
}
OPTIONS = {"-m": "net.onnx", "-d": "CPU", "-infer_precision": "f32"}
SETUP = {"topology": "net", "target device": "CPU", "API": "sync", "batch size": "1"}


def report(results=RESULTS, options=OPTIONS):
    document = {
        "cmd_options": options,
        "configuration_setup": SETUP | {"inference_only": True},
        "execution_results": results,
    }
    return json.dumps(document).encode()


def report_csv(results=RESULTS, options=OPTIONS):
    sections = zip(
        ("Command line parameters", "Configuration setup", "Execution results"),
        (options, SETUP, results),
        strict=True,
    )
    return "\n".join(
        "\n".join([title, *(f"{key};{value}" for key, value in pairs.items()), ""])
        for title, pairs in sections
    ).encode()


class TestReport:
    @pytest.mark.parametrize("write", [report, report_csv])
    def test_latency_is_the_median(self, write):
        assert OpenvinoReport().recognises(write())
        found = OpenvinoReport().read(write())
        (row,) = found.rows
        assert (row.value, row.statistic, row.count) == (1.75, Statistic.MEDIAN, 1000)
        assert row.reported == {"mean": 2, "min": 1.5, "max": 4.25}
        assert row.flags == {Flag.QUANTISED}
        assert found.facts["mean_of_total_ms"] == 2
        assert found.facts["infer_precision"] == "f32"
        assert not found.notes

    def test_another_percentile_leaves_the_mean(self):
        results = {key: value for key, value in RESULTS.items() if key != "latency (ms)"}
        (row,) = (
            OpenvinoReport().read(report(results | {"latency (90 percentile) (ms)": "3.00"})).rows
        )
        assert (row.value, row.statistic) == (2, Statistic.MEAN)
        assert row.reported == {"min": 1.5, "max": 4.25, "p90": 3}

    def test_counters_while_timing_are_noted(self):
        counted = OpenvinoReport().read(report(options={"-report_type": "average_counters"}))
        assert "counters were on" in counted.notes[0]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"latency (ms)": "-1"}, r"latency \(ms\)"),
            ({"latency (ms)": "nan"}, r"latency \(ms\)"),
            ({"latency (ms)": "9.00"}, "not between min and max"),
            ({"latency (ms)": None}, "no median"),
            ({"total number of iterations": "many"}, "total number of iterations"),
            ({"total number of iterations": "0"}, "total number of iterations"),
        ],
    )
    @pytest.mark.parametrize("write", [report, report_csv])
    def test_damaged_reports_are_refused(self, write, change, message):
        with pytest.raises(ArtefactError, match=message):
            OpenvinoReport().read(write({k: v for k, v in (RESULTS | change).items() if v}))

    def test_a_report_cut_short_is_refused(self):
        text = report_csv()
        for end in (40, 200, text.index(b"total number")):
            with pytest.raises(ArtefactError):
                OpenvinoReport().read(text[:end])


HEADER = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"
COUNTERS = f"""{HEADER}
x;Status.NOT_RUN;Parameter;unknown_I8;0.000;0.000
a;b;Status.EXECUTED;Convolution;brgconv_avx512_bf16;0.250;0.240
r;Status.EXECUTED;Reorder;jit_uni_f32;0.125;0.125
relu;Status.OPTIMIZED_OUT;Clamp;undef;0.000;0.000
Total;;;;0.375;0.365
"""


def nodes(*entries):
    keys = ("name", "status", "node_type", "exec_type", "real_time", "cpu_time")
    return [dict(zip(keys, entry, strict=True)) for entry in entries]


def average(listed, total):
    performance = {"nodes": listed, "total_real_time": total, "total_cpu_time": total}
    return json.dumps({"report_type": "average", "avg_performance": performance}).encode()


X = ("x", "Status.NOT_RUN", "Parameter", "unknown_I8", "0.000", "0.000")
A = ("a", "Status.EXECUTED", "Convolution", "brgconv_avx512_bf16", "0.250", "0.240")


class TestCounters:
    def test_layers_and_the_precision_really_used(self):
        assert OpenvinoCounters().recognises(COUNTERS.encode())
        found = OpenvinoCounters().read(COUNTERS.encode())
        assert [(row.name, row.value) for row in found.rows] == [
            ("x", 0),
            ("a;b", 0.25),
            ("r", 0.125),
            ("relu", 0),
        ]
        assert found.rows[1].facts["precision"] == "bf16"
        assert found.rows[2].facts["layout"] is True
        assert "precision" not in found.rows[0].facts
        assert [Flag.QUANTISED in row.flags for row in found.rows] == [False, False, True, False]

    def test_average_json_of_the_whole_network(self):
        found = OpenvinoCounters().read(average(nodes(X, A), "0.250"))
        assert [row.value for row in found.rows] == [0, 0.25]
        assert not found.notes

    def test_the_first_node_alone_is_said_to_be_a_fault_of_the_tool(self):
        found = OpenvinoCounters().read(average(nodes(X), "0.000"))
        assert found.facts == {"is_incomplete": True}
        assert "first node alone" in found.notes[0]

    def test_detailed_counters_are_samples(self):
        runs = [{"nodes": nodes(X, (*A[:4], f"0.{n}00", "0.100"))} for n in (1, 2, 2, 3, 9)]
        data = json.dumps({"report_type": "detailed", "detailed_performance": runs}).encode()
        assert OpenvinoCounters().recognises(data)
        _, conv = OpenvinoCounters().read(data).rows
        assert conv.samples == (0.1, 0.2, 0.2, 0.3, 0.9)
        assert (conv.value, conv.statistic) == (0.2, Statistic.MEDIAN)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("0.250;0.240", "0.750;0.240", "together and the file says 0.375 ms"),
            ("0.250;0.240", "-0.250;0.240", "layer 'a;b'"),
            ("0.250;0.240", "nan;0.240", "layer 'a;b'"),
            ("Status.EXECUTED;Conv", "Status.DONE;Conv", "status 'Status.DONE'"),
            ("Status.EXECUTED;Conv", "Status.NOT_RUN;Conv", "although it is NOT_RUN"),
            ("Total;;;;0.375;0.365\n", "", "cut short"),
            ("(ms);cpu", "(us);cpu", "header"),
        ],
    )
    def test_damaged_counters_are_refused(self, old, new, message):
        with pytest.raises(ArtefactError, match=message):
            OpenvinoCounters().read(COUNTERS.replace(old, new).encode())

    def test_inferences_of_different_layers_are_refused(self):
        runs = [{"nodes": nodes(X, A)}, {"nodes": nodes(A)}]
        data = json.dumps({"report_type": "detailed", "detailed_performance": runs}).encode()
        with pytest.raises(ArtefactError, match="inference 1 has other layers"):
            OpenvinoCounters().read(data)


LOG = """[Step 2/11] Loading OpenVINO Runtime
[ INFO ] OpenVINO:
[ INFO ] Build ................................. 2026.4.1-22982-e213a147257-releases/2026/4
[Step 8/11] Querying optimal runtime parameters
[ INFO ]   INFERENCE_NUM_THREADS: 2
[ INFO ]   PERF_COUNT: NO
[Step 11/11] Dumping statistics report
[ INFO ] Count:            20 iterations
[ INFO ] Duration:         3.61 ms
[ INFO ] Latency:
[ INFO ]    Median:        250.00 us
[ INFO ]    Average:       312.50 us
[ INFO ]    Min:           125.00 us
[ INFO ]    Max:           500.00 us
[ INFO ] Throughput:   5537.85 FPS
"""


class TestLog:
    def test_microseconds_as_printed(self):
        assert OpenvinoLog().recognises(LOG.encode())
        found = OpenvinoLog().read(LOG.encode())
        (row,) = found.rows
        assert (row.value, row.statistic, row.count) == (0.25, Statistic.MEDIAN, 20)
        assert row.reported == {"mean": 0.3125, "min": 0.125, "max": 0.5}
        assert found.tool == "OpenVINO benchmark_app 2026.4.1"
        assert found.facts == {"threads": "2"}
        assert (found.unit, found.resolution) == ("us", pytest.approx(1e-5))
        assert not found.notes

    def test_milliseconds_as_printed(self):
        found = OpenvinoLog().read(LOG.replace(" us", " ms").encode())
        assert found.rows[0].value == 250
        assert found.resolution == 0.01

    def test_another_percentile(self):
        (row,) = OpenvinoLog().read(LOG.replace("Median:  ", "90 percentile: ").encode()).rows
        assert (row.value, row.statistic) == (0.3125, Statistic.MEAN)
        assert row.reported["p90"] == 0.25

    def test_counters_while_timing_are_noted(self):
        assert OpenvinoLog().read(LOG.replace("COUNT: NO", "COUNT: YES").encode()).notes

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("250.00 us", "250.00 ticks", "in ticks"),
            ("250.00 us", "nan us", "Median"),
            ("Median", "Medium", "no median"),
            ("250.00 us", "600.00 us", "not between min and max"),
            ("Count:  ", "Number: ", "0 times how many iterations"),
            ("Max:  ", "Min:  ", "Min twice"),
        ],
    )
    def test_damaged_logs_are_refused(self, old, new, message):
        with pytest.raises(ArtefactError, match=message):
            OpenvinoLog().read(LOG.replace(old, new).encode())
