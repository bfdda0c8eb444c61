"""Small valid files of every kind, written by hand or generated from the formats' definitions."""

from __future__ import annotations

import io
import json
import struct
from functools import cache

import numpy as np

STAMPS = (
    '"startEnqMs" : {0}, "endEnqMs" : {0}.5, "startH2dMs" : {0}, "endH2dMs" : {0}.25, '
    '"startComputeMs" : {0}.25, "endComputeMs" : {0}.75, "startD2hMs" : {0}.75, '
    '"endD2hMs" : {0}.875, "h2dMs" : 0.25, "computeMs" : {1}, "d2hMs" : 0.125, "latencyMs" : {2}'
)
IN_STAMPS = (
    STAMPS.replace("H2d", "In").replace("D2h", "Out").replace("h2d", "in").replace("d2h", "out")
)
PROXYLESS = """Conv-input:32x32x3-output:16x16x8:
  count: 9
  mean: 4.0837
  var: 0.25
expanded_conv-input:16x16x8-output:8x8x16-expand:3-kernel:5-stride:2-idskip:0:
  count: 4
  mean: 6.2405
  var: 0.07
Logits-input:8x8x16-output:10:
  count: 9
  mean: 0.31
  var: 0.05
"""
OFA = """AvgPool2D-input:6x6x1152-output:1x1x1152:
  count: 493
  mean: 0.0116
  std: 0.0008
expanded_conv-input:12x12x8-output:12x12x8-expand:24-kernel:3-stride:1-idskip:1-se:1-hs:1:
  count: 10
  mean: 1.195
  std: 0.017
Logits-input:1x1x1536-output:10: {count: 5, mean: 0.66, std: 0.07}
"""
LOG = """INFO: Graph: [net.tflite]
Running benchmark for at least 2 iterations and at least 0.5 seconds.
count=2 first=1000 curr=1100 min=1000 max=1100 avg=1050 std=50

Running benchmark for at least 5 iterations and at least 1 seconds.
count=5 first=1000 curr=900 min=900 max=1100 avg=1000.5 std=25 p5=900 median=990 p95=1100

Inference timings in us: Init: 5000, First inference: 1000, Warmup (avg): 1050, Inference (avg): 1000.5
Memory footprint delta from the start of the tool (MB): init=1.5 overall=3.25
"""  # noqa: E501
OLD_LOG = """native : b.cc:1 Graph: [net.tflite]
native : b.cc:2 Num threads: [1]
native : b.cc:3 Running benchmark for 2 iterations:
native : b.cc:4 count=2 first=135 curr=122 min=117 max=163 avg=123 std=5
native : b.cc:5 Running benchmark for 3 iterations:
native : b.cc:6 count=3 first=129 curr=123 min=117 max=152 avg=122 std=3
native : b.cc:7 Average inference timings in us: Warmup: 123, no stats: 122
native : s.cc:8 Number of nodes executed: 2
native : b.cc:9 ============================== Run Order ==============================
\t             [node type]\t  [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t    0.000\t    6.743\t    0.075\t 60.000%\t 60.000%\t     0.000\t        1\t[net/a/Relu6]
\t                     ADD\t    0.075\t    2.288\t    0.050\t 40.000%\t100.000%\t     0.000\t        1\t[net/b]

"""  # noqa: E501
OP_CSV = """Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0.085, 0.003, 0.739%, 0.761%, 0, 1, net/a:0
Fully Connected (NC, PF32) GEMM, 0.538, 0.382, 92.948%, 93.709%, 0, 2, net/b:1

============================== Summary by node type ==============================
node type, count, avg_ms, avg %, cdf %, mem KB, times called
CONV_2D, 1, 0.382, 93.171%, 93.171%, 0, 1

Timings (microseconds): count=31 first=947 curr=406 min=390 max=947 avg=411.071 std=14
Memory (bytes): count=0
2 nodes observed
"""
LITERT = {
    "model": "net.tflite",
    "accelerators": ["CPU"],
    "fully_accelerated": True,
    "num_threads": 1,
    "latency": {
        "init_ms": 3.1,
        "num_warmup_runs": 2,
        "avg_ms": 0.24,
        "min_ms": 0.22,
        "max_ms": 1.49,
        "median_ms": 0.23,
        "num_runs": 20,
    },
}
LITERT_LOG = """x INFO benchmark_litert_model: Model:           net.tflite
x INFO benchmark_litert_model: Num threads:     1

========================================
 BENCHMARK RESULTS
========================================
Model initialization:  3.10 ms
Warmup (avg):          0.25 ms (20 runs)
Inference (avg):       0.24 ms (200 runs)
Inference (min):       0.22 ms
Inference (max):       1.49 ms
Inference (median):    0.23 ms
Fully accelerated:     True
========================================
"""
OPENVINO = {
    "cmd_options": {"-m": "net.onnx", "-d": "CPU"},
    "configuration_setup": {"target device": "CPU", "API": "sync", "batch size": "1"},
    "execution_results": {
        "total execution time (ms)": "2.10",
        "total number of iterations": "10",
        "latency (ms)": "0.23",
        "avg latency": "0.21",
        "min latency": "0.13",
        "max latency": "1.15",
    },
}
OPENVINO_CSV = """Command line parameters
-m;net.onnx
-hint;latency

Configuration setup
target device;CPU
API;sync

Execution results
total number of iterations;20
latency (ms);0.17
avg latency;0.18
min latency;0.11
max latency;0.22
"""
COUNTERS_CSV = """layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)
x;Status.NOT_RUN;Parameter;unknown_I8;0.000;0.000
a;Status.EXECUTED;Convolution;brgconv_avx512_bf16;0.019;0.018
b;Status.EXECUTED;Reorder;jit_uni_bf16;0.011;0.011
Total;;;;0.030;0.029
"""
OPENVINO_LOG = """[ INFO ] Build ................................. 2026.4.1-22982
[ INFO ]   PERF_COUNT: NO
[ INFO ] Count:            9681 iterations
[ INFO ] Duration:         2000.24 ms
[ INFO ] Latency:
[ INFO ]    Median:        230.90 us
[ INFO ]    Average:       200.40 us
[ INFO ]    Min:           126.11 us
[ INFO ]    Max:           13149.64 us
[ INFO ] Throughput:   4839.92 FPS
"""
PERF_TEST = """Session creation time cost: 0.05 s
First inference time cost: 60 ms
Total inference time cost: 58.8053 s
Total inference requests: 1000
Average inference time cost total: 58.805300 ms
Min Latency: 0.0559777 s
Max Latency: 0.0623472 s
P50 Latency: 0.0587108 s
P99 Latency: 0.0619517 s
P999 Latency: 0.0623472 s
"""
TRTEXEC_LOG = """&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec --onnx=a.onnx
[08/01/2026-10:00:00] [I] Selected Device: A100
[08/01/2026-10:00:01] [I] Timing trace has 30 queries over 3 s
[08/01/2026-10:00:01] [I] Latency: min = 0.9 ms, max = 1.5 ms, mean = 1.02 ms, median = 1 ms, percentile(99%) = 1.4 ms
[08/01/2026-10:00:01] [I] Enqueue Time: min = 0.1 ms, max = 0.2 ms, mean = 0.15 ms, median = 0.14 ms, percentile(99%) = 0.2 ms
[08/01/2026-10:00:01] [I] GPU Compute Time: min = 0.8 ms, max = 1.4 ms, mean = 0.93 ms, median = 0.9 ms, percentile(99%) = 1.3 ms
&&&& PASSED TensorRT.trtexec [TensorRT v100300] # trtexec --onnx=a.onnx
"""  # noqa: E501
GOOGLE_ROW = (
    '{{"name": "{0}{1}", "run_name": "{0}", "run_type": "{2}", {3}"threads": 1, '
    '"iterations": 100, "real_time": {4}, "cpu_time": 3.5, "time_unit": "{5}"}}'
)


def times(pattern: str, queued: bool = False) -> str:
    """Times of trtexec: one inference within the warm-up, three behind it."""
    rows = []
    for start, compute in ((2, 0.5), (210, 0.75), (220, 0.625), (230, 0.875)):
        end = ', "endToEndMs" : 2.5' if queued else ""
        rows.append(f"{{ {pattern.format(start, compute, compute + 0.375)}{end} }}")
    return "[\n  " + "\n, ".join(rows) + "\n]\n"


def profile(names: tuple[str, ...], has_median: bool) -> str:
    """A profile of trtexec, whose layers took 0.25 ms in each of four inferences."""
    median = ', "medianMs" : 0.25' if has_median else ""
    rows = [
        f'{{ "name" : "{name}", "timeMs" : 1, "averageMs" : 0.25{median}, "percentage" : 50 }}'
        for name in names
    ]
    return "\n, ".join(['[\n  { "count" : 4 }', *rows]) + "\n]\n"


def google(*rows: str) -> str:
    context = '{"num_cpus": 8, "library_version": "v1.8"}'
    return f'{{"context": {context}, "benchmarks": [{", ".join(rows)}]}}'


def trace(runs: int) -> str:
    """A profile of ONNX Runtime: so many runs of two nodes."""
    events = []
    for run in range(runs):
        start = 1000 * (run + 1)
        spans = (
            ("Session", "model_run", start, 300 + run, "{}"),
            ("Node", "a_kernel_time", start + 10, 100 + run,
             '{"op_name" : "Conv", "provider" : "CPUExecutionProvider", "node_index" : "0"}'),
            ("Node", "b_kernel_time", start + 150, 50 - run,
             '{"op_name" : "Add", "provider" : "CPUExecutionProvider", "node_index" : "1"}'),
        )  # fmt: skip
        events += [
            f'{{"cat" : "{cat}","pid" :1,"tid" :1,"dur" :{dur},"ts" :{ts},"ph" : "X",'
            f'"name" :"{name}","args" : {args}}}'
            for cat, name, ts, dur, args in spans
        ]
    return "[\n" + ",\n".join(events) + "\n]\n"


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: int | float | bytes) -> bytes:
    """A field of a protocol buffer: a varint, a 32-bit float, or bytes with their length."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def result_protobuf(has_median: bool) -> bytes:
    values = {1: 1.25, 2: 1.0, 3: 2.0, 4: 0.125}
    latency = b"".join(field(number, value) for number, value in values.items())
    latency += field(5, 1.1875) if has_median else b""
    return field(1, b"net") + field(2, latency) + field(4, field(2, 50) + field(3, 2))


def profile_protobuf() -> bytes:
    from ai_edge_litert import profiling_info_pb2

    message = profiling_info_pb2.BenchmarkProfilingData(model_name="net")
    subgraph = message.runtime_profile.subgraph_profiles.add(subgraph_name="Primary graph")
    for index, (kind, total) in enumerate((("CONV_2D", 1005), ("ADD", 52))):
        operator = subgraph.per_op_profiles.add(
            node_type=kind, name=f"net/{kind}:{index}", run_order=index, times_called=1
        )
        stat = operator.inference_microseconds
        stat.count, stat.sum, stat.avg = 10, total, total // 10
        stat.first, stat.min, stat.max, stat.stddev = 120, 4, 200, 3
    return bytes(message.SerializeToString())


def device_table() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "arch_idx": [0, 1, 2],
            "arch_str": ["|a~0|", "|b~0|", "|c~0|"],
            "gold_6226": [10.5, 15.25, 7.0],
            "pixel2": [9.0, 17.0, 4.0],
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="none", use_dictionary=False, write_statistics=False)
    return stream.getvalue()


def haq_table() -> bytes:
    bits = np.arange(1, 9)
    table = 16 * bits[None, :, None] + 100 * bits[None, None, :] + np.zeros((2, 1, 1), int)
    stream = io.BytesIO()
    np.save(stream, table.astype("<i4"))
    return stream.getvalue()


@cache
def seeds() -> dict[str, tuple[bytes, ...]]:
    """Valid files by the kind that recognises them; together the variants of each format."""
    texts = {
        "pyperf": (
            '{"benchmarks": [{"metadata": {"name": "a"}, "runs": [{"warmups": [[4, 0.5]], '
            '"values": [0.25, 0.5, 0.125]}, {"values": [0.375]}]}, {"metadata": {"name": "b"}, '
            '"runs": [{"values": [1e-06, 2]}]}], "metadata": {"unit": "second", "loops": 4}, '
            '"version": "1.0"}',
            '{"benchmarks": [{"runs": [{"values": [0.25]}]}], "version": 6}',
        ),
        "google-benchmark": (
            google(
                GOOGLE_ROW.format("BM_a/8", "", "iteration", "", "4.5e+02", "ns"),
                GOOGLE_ROW.format("BM_a/8", "", "iteration", "", "5.5e+02", "ns"),
                GOOGLE_ROW.format(
                    "BM_a/8", "_mean", "aggregate", '"aggregate_name": "mean", ', "5e+02", "ns"
                ),
                GOOGLE_ROW.format("BM_b", "", "iteration", "", "1.25", "ms"),
            ),
            google(
                *(
                    GOOGLE_ROW.format(
                        "BM_c",
                        f"_{name}",
                        "aggregate",
                        f'"aggregate_name": "{name}", ',
                        value,
                        "us",
                    )
                    for name, value in (("mean", 12.5), ("median", 12), ("stddev", 0.5))
                )
            ),
        ),
        "launch-summaries": (
            '[[{"a": [1, 2, 3, 4, 5, 6, 7, 8, 6.5, 100], '
            '"b": [1, 1, 1, 1, 1, 10.5, 11, 12, 9, 7]}, '
            '{"a": [1, 2, 3, 4, 5, 7.5, 8, 9, 6.5, 90]}], '
            '[{"a": [1, 2, 3, 4, 5, 7, 8, 9, 7, 80]}]]',
        ),
        "proxyless-table": (PROXYLESS,),
        "ofa-table": (OFA,),
        "nn-meter": (
            '{"conv-bn-relu": {"YB2F4N": {"latency": "37.53 +- 0.314", "config": {"HW": 13}}, '
            '"AAAAAA": {"latency": "1.5 +- 0.0"}}, "fc": {"X": {"latency": "0.25 +- 0.1"}}}',
            "model_path,HW,CIN,feature_0,latency\nconv_A,14,98,10.5,42.001\nconv_B,7,8,0.5,3.25\n",
            "0,alexnet_0,84.5299,4.955,5.861831139040742\n1,alexnet_1,141.061,1.653,"
            "1.171833462119225\n",
        ),
        "keyed-csv": (
            "key,latency_ms\nConvNorm_H64_W128_Cin192_Cout96_kernel1_stride1,0.0691\nff_H8_W8_C3,1\n",
            'name,latency_us\n"a, b",12.5\nc,7e1\n',
        ),
        "trtexec-times": (
            times(STAMPS),
            times(STAMPS, queued=True),
            times(IN_STAMPS, queued=True),
        ),
        "trtexec-profile": (
            profile(("Conv_0 + Relu_1", "Reformatting CopyNode for Input 0"), True),
            profile(("PWN(Sigmoid_1)", "Conv_2"), False),
            profile(('Conv "a\\b"', "Conv_2"), True),
        ),
        "trtexec-log": (TRTEXEC_LOG,),
        "benchmark-model": (LOG, OLD_LOG, OLD_LOG.replace("\t", "  ")),
        "tflite-op-profile": (OP_CSV, OLD_LOG[OLD_LOG.index("native : s.cc:8") :]),
        "litert-benchmark": (json.dumps(LITERT, indent=2),),
        "litert-benchmark-log": (LITERT_LOG,),
        "openvino-report": (json.dumps(OPENVINO), OPENVINO_CSV),
        "openvino-counters": (
            COUNTERS_CSV,
            json.dumps(counters("average")),
            json.dumps(counters("detailed")),
        ),
        "openvino-log": (OPENVINO_LOG,),
        "ncnn-benchmark": (
            "loop_count = 4\nnum_threads = 1\n"
            "          squeezenet  min =    9.00  max =    9.75  avg =    9.25\n"
            "        mobilenet_v2  min =12345.50  max =12399.75  avg =12350.63\n",
        ),
        "onnxruntime-perf-test": (PERF_TEST, PERF_TEST.replace("Latency: ", "Latency is ")),
        "onnxruntime-perf-test-runs": (
            "net,0.0183404,36696064,96,0\nnet,0.0185674,36696064,96,1\nnet,0.019,36696064,96,2\n",
        ),
        "onnxruntime-profile": (trace(3),),
    }
    found = {kind: tuple(text.encode() for text in variants) for kind, variants in texts.items()}
    return found | {
        "device-table": (device_table(),),
        "haq-table": (haq_table(),),
        "tflite-result-protobuf": (result_protobuf(True), result_protobuf(False)),
        "tflite-profile-protobuf": (profile_protobuf(),),
    }


def counters(report: str) -> dict[str, object]:
    """Performance counters of OpenVINO as JSON: averages, or two inferences."""
    keys = ("name", "node_type", "status", "real_time", "cpu_time", "exec_type")

    def nodes(*times_ms: str) -> dict[str, object]:
        rows = (
            (name, "Convolution", "Status.EXECUTED", time, time, "brgconv_avx512_f32")
            for name, time in zip("ab", times_ms, strict=True)
        )
        return {"nodes": [dict(zip(keys, row, strict=True)) for row in rows]}

    if report == "average":
        average = {
            **nodes("0.020", "0.010"),
            "total_real_time": "0.030",
            "total_cpu_time": "0.030",
        }
        return {"report_type": report, "avg_performance": average}
    return {
        "report_type": report,
        "detailed_performance": [nodes("0.020", "0.010"), nodes("0.030", "0.012")],
    }
