"""What TFLite's benchmark_model prints and writes, by hand in the forms of its versions."""

from __future__ import annotations

import math
import struct

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Level, Statistic
from elat.latency.imports.benchmark_model import BenchmarkModel
from elat.latency.imports.tflite_op_profile import TfliteOpProfile
from elat.latency.imports.tflite_protobuf import TfliteProfileProtobuf, TfliteResultProtobuf
from elat.latency.imports.tflite_stats import read_stat

WARM_UP = "count=20 first=3000 curr=1100 min=1000 max=3000 avg=1200.5 std=50"
OLD = "count=50 first=2000 curr=1000 min=900 max=2000 avg=1000.5 std=25"
NEW = f"{OLD} p5=950 median=990 p95=1400"


def log(warm_up=WARM_UP, measured=NEW, before="", after="", prefix=""):
    lines = [
        "STARTING!",
        "Graph: [net.tflite]",
        "Num threads: [2]",
        before,
        "Initialized session in 4.5ms.",
        "Running benchmark for at least 1 iterations and at least 0.5 seconds.",
        warm_up,
        "",
        "Running benchmark for at least 50 iterations and at least 1 seconds.",
        measured,
        "",
        after,
    ]
    return "\n".join(f"{prefix}{line}" for line in lines).encode()


def read(data):
    importer = BenchmarkModel()
    assert importer.recognises(data)
    return importer.read(data)


class TestStatistics:
    def test_newer_versions_print_a_median(self):
        (row,) = read(log()).rows
        assert (row.value, row.statistic, row.count) == (0.99, Statistic.MEDIAN, 50)
        assert row.reported["mean"] == 1.0005
        assert row.reported["p95"] == 1.4
        assert not row.flags

    def test_older_versions_print_a_mean_which_is_flagged(self):
        (row,) = read(log(measured=OLD)).rows
        assert (row.value, row.statistic) == (1.0005, Statistic.MEAN)
        assert row.flags == {Flag.MEAN_ONLY}
        assert "median" not in row.reported

    @pytest.mark.parametrize("prefix", ["INFO: ", "native : benchmark_tflite_model.cc:440 "])
    def test_prefixes_of_loggers_are_no_matter(self, prefix):
        assert read(log(prefix=prefix)).rows == read(log()).rows
        assert read(log(prefix=prefix).replace(b"\n", b"\r\n")).rows == read(log()).rows

    def test_values_that_are_all_the_same(self):
        (row,) = read(log(measured="count=50 curr=12(all same)")).rows
        assert (row.value, row.count) == (0.012, 50)
        assert row.reported == {"first": 0.012, "min": 0.012, "max": 0.012, "std": 0}
        assert Flag.QUANTISED in row.flags

    def test_a_single_run(self):
        (row,) = read(log(measured="count=1 curr=1234 p5=1234 median=1234 p95=1234")).rows
        assert (row.value, row.statistic, row.count) == (1.234, Statistic.SINGLE, 1)
        assert Flag.LOW_N in row.flags

    def test_six_digits_may_be_printed_with_an_exponent(self):
        text = "count=50 first=2990275 curr=1 min=2727568 max=3189954 avg=2.95034e+06 std=109798"
        assert read_stat(text, "a line").values_ms["avg"] == pytest.approx(2950.34, rel=1e-12)

    @pytest.mark.parametrize(
        "text",
        [
            "count=0",
            "count=50 first=2 curr=2",
            "count=50 first=2 curr=2 min=2 max=3 avg=nan std=0",
            "count=50 first=2 curr=2 min=2 max=3 avg=-2 std=0",
            "count=50 first=2 curr=2 min=2 max=3 avg=9 std=0",
            "count=50 first=2 curr=2 min=2 max=3 avg=2 mode=2",
            "count=50 count=50 first=2 curr=2 min=2 max=3 avg=2 std=0",
            f"count={'9' * 5000} curr=2(all same)",
        ],
    )
    def test_damaged_statistics_are_refused(self, text):
        with pytest.raises(ArtefactError, match="line 10"):
            read(log(measured=text))


class TestLog:
    def test_the_condition_is_told(self):
        found = read(
            log(
                after="Inference timings in us: Init: 4500, First inference: 3000, Warmup (avg): "
                "1200.5, Inference (avg): 1000.5\n"
                "Memory footprint delta from the start of the tool (MB): init=8.9 overall=11.5"
            )
        )
        assert found.facts == {
            "model": "net.tflite",
            "threads": 2,
            "init_ms": 4.5,
            "first_inference_ms": 3,
            "memory_init_mb": 8.9,
            "memory_overall_mb": 11.5,
        }

    def test_a_delegate_that_leaves_operators_is_flagged(self):
        line = "Replacing {} out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node, "
        whole = read(log(before=line.format(4) + "yielding 1 partitions."))
        partial = read(log(before=line.format(3) + "yielding 2 partitions."))
        assert not whole.rows[0].flags
        assert partial.rows[0].flags == {Flag.PARTIAL_DELEGATION}
        assert partial.facts["delegation"] == (
            "TfLiteXNNPackDelegate: 3 of 4 operators in 2 partitions",
        )

    @pytest.mark.parametrize(
        "line",
        [
            "Inference timings in us: Init: 4500, First inference: 3000, Warmup (avg): 1200.5, "
            "Inference (avg): 1000.5",
            "Average inference timings in us: Warmup: 1200.5, Init: 4500, no stats: 1000.5",
            "Average inference timings in us: Warmup: 1200, Init: 4500, Inference: 1000.5",
        ],
    )
    def test_a_summary_alone_is_a_mean_of_unknown_runs(self, line):
        found = BenchmarkModel().read(line.encode())
        (row,) = found.rows
        assert (row.value, row.statistic, row.count) == (1.0005, Statistic.MEAN, None)
        assert found.facts["init_ms"] == 4.5

    def test_a_summary_tells_which_stretch_is_measured(self):
        summary = "Inference timings in us: Init: 1, Inference (avg): 1000.5"
        (row,) = BenchmarkModel().read(f"{WARM_UP}\n{NEW}\n{summary}".encode()).rows
        assert row.value == 0.99

    def test_a_summary_of_other_runs_is_refused(self):
        with pytest.raises(ArtefactError, match=r"1\.0005 ms on average and the summary says 2"):
            read(log(after="Inference timings in us: Init: 1, Inference (avg): 2000"))

    @pytest.mark.parametrize("lines", range(6, 10))
    def test_a_log_cut_short_is_refused(self, lines):
        with pytest.raises(ArtefactError, match="cut short"):
            BenchmarkModel().read(b"\n".join(log().split(b"\n")[:lines]))

    def test_several_benchmarks_are_numbered(self):
        faster = NEW.replace("median=990", "median=980")
        found = read(log() + log(measured=faster))
        assert [(row.name, row.value) for row in found.rows] == [
            ("Inference 1", 0.99),
            ("Inference 2", 0.98),
        ]

    def test_performance_options_are_named(self):
        other = OLD.replace("avg=1000.5", "avg=1500.25")
        summary = (
            "==============Summary of All Runs w/ Different Performance Options==============\n"
            f"INFO:           cpu w/ 4 threads: {OLD}\n"
            f"INFO: cpu w/ 2 threads (xnnpack): {other}\n"
            "INFO:                gpu-default:  failed!\n"
        )
        alone = BenchmarkModel().read(summary.encode())
        whole = read(log(measured=OLD) + log(measured=other) + b"\n" + summary.encode())
        assert [(row.name, row.value) for row in alone.rows] == [
            ("cpu w/ 4 threads", 1.0005),
            ("cpu w/ 2 threads (xnnpack)", 1.50025),
        ]
        assert [row.value for row in whole.rows] == [row.value for row in alone.rows]
        assert whole.rows[0].facts["threads"] == 2
        assert "gpu-default" in alone.notes[0]


TEXT = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t         AllocateTensors\t    0.291\t    0.291\t100.000%\t100.000%\t   452.000\t        0\tAllocateTensors/0

Timings (microseconds): count=1 curr=291
Memory (bytes): count=0
1 nodes observed

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\tFully Connected (NC, PF32) GEMM\t    0.538\t    0.300\t  2.000%\t  2.000%\t     0.000\t        1\tDelegate/Fully Connected (NC, PF32) GEMM:1
\t                 CONV_2D\t    0.600\t    0.250\t  0.000%\t  2.000%\t     0.000\t        2\t[net/a;net/b/Relu6]:7

============================== Top by Computation Time ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t    0.600\t    0.250\t  0.000%\t  2.000%\t     0.000\t        2\t[net/a;net/b/Relu6]:7

Number of nodes executed: 2
============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]
\t                 CONV_2D\t        1\t     0.500\t    60.000%\t    60.000%\t     0.000\t        2

Timings (microseconds): count=50 first=900 curr=800 min=790 max=900 avg=800 std=10
Memory (bytes): count=0
2 nodes observed

Delegate internal: 
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                    GEMM\t    0.500\t    0.280\t100.000%\t100.000%\t     0.000\t        1\tDelegate/GEMM:0

Timings (microseconds): count=50 first=500 curr=280 min=270 max=500 avg=280 std=3
1 nodes observed
"""  # noqa: E501
CSV = """Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0, 0.11, 0.0930388, 44.8994%, 44.8994%, 0, 1, [net/conv]:0
Fully Connected (NC, PF32) GEMM, 0.1, 0.5, 0.5, 50%, 94%, 0, 1, Delegate/Fully (NC\t PF32) GEMM:1

Timings (microseconds): count=31 first=947 curr=406 min=390 max=947 avg=411.071 std=14
2 nodes observed
"""


def profile(text):
    importer = TfliteOpProfile()
    assert importer.recognises(text.encode())
    return importer.read(text.encode())


class TestTables:
    def test_rows_are_all_calls_in_a_run_at_their_level(self):
        rows = profile(TEXT).rows
        assert [(row.name, row.value, row.facts["level"]) for row in rows] == [
            ("Delegate/Fully Connected (NC, PF32) GEMM", 0.3, "operator"),
            ("net/a;net/b/Relu6", 0.5, "operator"),
            ("Delegate/GEMM", 0.28, "delegate"),
        ]
        assert rows[0].facts["type"] == "Fully Connected (NC, PF32) GEMM"
        assert {row.statistic for row in rows} == {Statistic.MEAN}
        assert {row.count for row in rows} == {50}
        assert [row.facts.get("index") for row in rows] == ["1", "7", "0"]

    def test_shares_are_recomputed(self):
        first, second, inner = profile(TEXT).rows
        assert first.facts["share"] == pytest.approx(0.3 / 0.8)
        assert second.facts["share"] == pytest.approx(0.5 / 0.8)
        assert inner.facts["share"] == 1

    def test_csv_is_split_from_the_right_and_commas_come_back(self):
        found = profile(CSV)
        assert found.variant == "CSV"
        assert [(row.name, row.value) for row in found.rows] == [
            ("net/conv", 0.0930388),
            ("Delegate/Fully (NC, PF32) GEMM", 0.5),
        ]
        assert found.rows[1].facts["type"] == "Fully Connected (NC, PF32) GEMM"

    def test_csv_without_the_start_column(self):
        bare = CSV.replace("start, ", "").replace("2D, 0,", "2D,").replace("GEMM, 0.1,", "GEMM,")
        assert [row.value for row in profile(bare).rows] == [0.0930388, 0.5]

    def test_tables_of_spaces_alone(self):
        spaced = CSV.partition("node type")[0] + (
            "   [node type]  [start]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  "
            "[Name]\n"
            "       CONV_2D    0.000    3.100     3.246  4.026%  4.026%  0.000      1   [net/a]\n"
            "  Odd type (1)    0.000    3.100     1.500  4.026%  4.026%  0.000      1   [net/b]\n"
        )
        found = profile(spaced)
        assert [(row.facts["type"], row.value) for row in found.rows] == [
            ("CONV_2D", 3.246),
            ("Odd type (1)", 1.5),
        ]
        assert "does not say how many" in found.notes[0]

    def test_subgraphs_are_a_level_of_their_own(self):
        head, _, body = CSV.partition("\n")
        graphs = ("Primary graph (name: main)", "Subgraph (index: 1, name: loop)")
        text = "\n".join([head, *(f"{graph} Run:\n{body}" for graph in graphs)])
        rows = profile(text).rows
        assert [row.facts["level"] for row in rows] == [Level.OPERATOR] * 2 + [Level.SUBGRAPH] * 2
        assert rows[2].facts["inside"] == "Subgraph (index: 1, name: loop)"

    def test_a_log_with_a_table_has_the_network_first(self):
        data = log() + b"\n" + TEXT.encode()
        assert not TfliteOpProfile().recognises(data)
        rows = read(data).rows
        assert rows[0].facts["level"] == "network"
        assert rows[1:] == profile(TEXT).rows

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("2 nodes observed", "3 nodes observed", "announces"),
            ("[avg ms]", "[avg us]", "columns"),
            ("0.300\t  2", "-0.300\t  2", "avg ms of 'Delegate/Fully"),
            ("0.300\t  2", "inf\t  2", "avg ms of 'Delegate/Fully"),
            ("\t     0.000\t        2\t[net/a", "\t[net/a", "should have 8 columns"),
        ],
    )
    def test_damaged_tables_are_refused(self, old, new, message):
        assert old in TEXT
        with pytest.raises(ArtefactError, match=message):
            profile(TEXT.replace(old, new))

    def test_the_initialisation_alone_is_no_latency(self):
        with pytest.raises(ArtefactError, match="no operator of a run"):
            profile(TEXT.partition("Operator-wise")[0])


def field(number, content):
    """A field of a protocol buffer: text, a message, a whole number or a float32."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    if isinstance(content, float):
        return varint(number << 3 | 5) + struct.pack("<f", content)
    return varint(number << 3) + varint(content)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def operator(name=b"[net/a]:3", kind=b"CONV_2D", total=35, mean=11, calls=1, order=0, count=3):
    times = field(1, 20) + field(2, 8) + field(3, mean) + field(4, 0.5)
    times += field(6, 7) + field(7, 20) + field(8, total) + field(9, count)
    body = field(1, kind) + field(2, times) + field(4, calls) + field(5, name) + field(6, order)
    return field(3, body)


def profile_message(operators, inner=b""):
    run = field(1, field(2, 0) + operators) + (
        field(2, field(1, b"XNN") + inner) if inner else b""
    )
    return field(1, b"net.tflite") + field(3, run)


class TestProtobuf:
    """The bytes are put together by hand: the reader's library has no part in them."""

    def test_operators_of_a_profile(self):
        second = operator(b"[net/b]:4", b"ADD", total=24, mean=4, calls=2, order=1, count=6)
        data = profile_message(
            second + operator(), inner=operator(b"x", b"GEMM").replace(b"\x1a", b"\x12", 1)
        )
        importer = TfliteProfileProtobuf()
        assert importer.recognises(data)
        found = importer.read(data)
        assert [row.name for row in found.rows] == ["net/a", "net/b", "x"]
        assert found.rows[0].value == pytest.approx(35 / 3 / 1000)
        assert found.rows[1].value == 0.008
        assert [row.facts["level"] for row in found.rows] == ["operator", "operator", "delegate"]
        assert found.rows[0].reported == {"first": 0.02, "min": 0.007, "max": 0.02, "std": 0.0005}
        assert found.rows[0].count == 3
        assert found.facts == {"model": "net.tflite"}

    def test_a_mean_that_is_not_the_sum_s_is_refused(self):
        with pytest.raises(ArtefactError, match="'net/a' took 350 us in 3 calls"):
            TfliteProfileProtobuf().read(profile_message(operator(total=350)))

    @pytest.mark.parametrize("end", range(1, len(profile_message(operator())), 5))
    def test_a_profile_cut_short_is_not_read(self, end):
        data = profile_message(operator())[:end]
        assert not TfliteProfileProtobuf().recognises(data)
        with pytest.raises(ArtefactError):
            TfliteProfileProtobuf().read(data)

    def test_a_result(self):
        latencies = field(1, 1.25) + field(2, 1.0) + field(5, 1.125) + field(8, 30.0)
        data = field(1, b"net") + field(2, latencies) + field(4, field(2, 50) + field(3, 9))
        importer = TfliteResultProtobuf()
        assert importer.recognises(data)
        found = importer.read(data)
        (row,) = found.rows
        assert (row.name, row.value, row.statistic, row.count) == (
            "net",
            1.125,
            Statistic.MEDIAN,
            50,
        )
        assert row.reported == {"mean": 1.25, "min": 1.0}
        assert found.facts == {"num_runs": 50, "num_warmup_runs": 9, "init_ms": 30.0}

    def test_an_older_result_has_a_mean(self):
        (row,) = TfliteResultProtobuf().read(field(2, field(1, 1.25))).rows
        assert (row.value, row.statistic, row.count) == (1.25, Statistic.MEAN, None)
        assert row.flags == {Flag.MEAN_ONLY}

    @pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
    def test_what_is_no_time_is_refused(self, value):
        with pytest.raises(ArtefactError, match="avg_ms"):
            TfliteResultProtobuf().read(field(2, field(1, value)))

    def test_the_two_are_told_apart(self):
        result, other = field(2, field(1, 1.25)), profile_message(operator())
        assert not TfliteProfileProtobuf().recognises(result)
        assert not TfliteResultProtobuf().recognises(other)
