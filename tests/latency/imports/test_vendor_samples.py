"""Files that the vendors' tools wrote, against figures recounted from their raw text."""

from __future__ import annotations

import csv
import json
import re
import statistics

import pytest

from elat.core.errors import ArtefactError
from elat.datasets.corpora.locate import corpus_folder
from elat.latency.flags import Flag
from elat.latency.imports.detect import detect
from elat.latency.imports.trtexec_layers import join_layers

SAMPLES = corpus_folder().parent / "samples"
PIXEL = corpus_folder() / "pixel1_tflite_logs"
A100 = "trtexec/a100_resnet_fp16/resnet.onnx.engine"
TITAN = "trtexec/trt8_mobilenet_qat/mobilenet_v2_residuals.qat.onnx.engine"


def sample(name, folder=SAMPLES):
    """The bytes of the sample `name`, or a skipped test."""
    path = folder / name
    if not path.is_file():
        pytest.skip(f"There is no {path}; the folder of samples lies beside that of ELAT_DATA.")
    return path.read_bytes()


def read(kind, name, folder=SAMPLES):
    """The sample `name`, which is told to be of `kind`."""
    data = sample(name, folder)
    found, importer = detect(data)
    assert found == kind
    return importer.read(data)


@pytest.mark.parametrize(
    ("name", "warm_up"),
    [(f"{A100}.timing.json", 230), (f"{TITAN}.timing.first1000.json", 554)],
)
def test_times_of_trtexec(name, warm_up):
    raw = [row["computeMs"] for row in json.loads(sample(name))][warm_up:]
    compute, latency = read("trtexec-times", name).rows
    assert compute.samples == tuple(raw)
    assert compute.value == latency.value == statistics.median(raw)


def test_times_agree_with_what_trtexec_said_of_the_same_run():
    """Its own summary says a median of 0.862183 ms, and a mean of 0.86277 ms."""
    row = read("trtexec-times", f"{A100}.timing.json").rows[0]
    said = json.loads(sample(f"{A100}.profile.metadata.json"))["performance_summary"]
    shortest, longest, mean, median, _ = said["GPU Compute Time"]
    assert (min(row.samples), max(row.samples), row.value) == (shortest, longest, median)
    assert statistics.fmean(row.samples) == pytest.approx(mean, rel=1e-5)


def test_times_of_8_2_are_those_of_its_source():
    name = "trtexec/synthetic_legacy/times_8.2_endToEndMs.json"
    found = read("trtexec-times", name)
    newer = json.loads(sample(f"{A100}.timing.json"))[: len(found.rows[0].samples)]
    assert found.tool == "trtexec (TensorRT 8.0 to 8.2)"
    assert found.rows[0].samples == tuple(row["computeMs"] for row in newer)
    assert Flag.WARMUP_CAP in found.rows[0].flags


@pytest.mark.parametrize(("engine", "tick"), [(A100, 0.001024), (TITAN, 0.000032)])
def test_layers_of_trtexec(engine, tick):
    head, *raw = json.loads(sample(f"{engine}.profile.json"))
    found = read("trtexec-profile", f"{engine}.profile.json")
    assert [(row.name, row.value) for row in found.rows] == [
        (layer["name"], layer["medianMs"]) for layer in raw
    ]
    assert {row.count for row in found.rows} == {head["count"]}
    assert (Flag.LOW_N in found.rows[0].flags) == (head["count"] == 1)
    assert found.resolution == pytest.approx(tick, rel=1e-9)
    assert sum(row.value == 0 for row in found.rows) == sum(x["medianMs"] == 0 for x in raw)
    layers = json.loads(sample(f"{engine}.graph.json"))["Layers"]
    joined = join_layers(found, sample(f"{engine}.graph.json"))
    assert [row.facts["type"] for row in joined.rows] == [x["LayerType"] for x in layers]


def test_profile_of_onnx_runtime():
    """Ten runs, of which the first three take 1167, 543 and 362 us, and the others 311 to 332."""
    name = "onnxruntime/ort_1.32_cpu_mini_mbv2_10runs_profile.json"
    raw = json.loads(sample(name))
    found = read("onnxruntime-profile", name)
    runs = sorted((x["ts"], x["dur"]) for x in raw if x["name"] == "model_run")[3:]
    assert found.rows[0].samples == tuple(duration / 1000 for _, duration in runs)
    for row in found.rows[1:]:
        own = sorted((x["ts"], x["dur"]) for x in raw if x["name"] == f"{row.name}_kernel_time")
        assert row.samples == tuple(duration / 1000 for _, duration in own[3:])
    assert [row.name for row in found.rows if row.facts.get("layout")] == ["ReorderOutput"]
    assert len(found.rows) == 12


def test_output_of_onnxruntime_perf_test():
    (row,) = read("onnxruntime-perf-test", "onnxruntime/perf_test_old_le_1.4.txt").rows
    assert row.value == pytest.approx(58.7108)
    assert row.reported == pytest.approx(
        {
            "mean": 58.8053,
            "min": 55.9777,
            "max": 62.3472,
            "p90": 59.9845,
            "p95": 60.5676,
            "p99": 61.9517,
            "p99.9": 62.3472,
        }
    )
    (raw,) = read(
        "onnxruntime-perf-test-runs", "onnxruntime/perf_test_result_file_SYNTHETIC.csv"
    ).rows
    assert raw.samples == pytest.approx((18.3404, 18.5674, 19.0312))


@pytest.mark.parametrize(
    "run", ["json_average_counters_BUGGY", "json_f32", "csv_average_counters"]
)
def test_reports_and_output_of_openvino_agree(run):
    """The output is finer: the report rounds it to 0.01 ms."""
    kind = "csv" if run.startswith("csv") else "json"
    (report,) = read("openvino-report", f"openvino/{run}/benchmark_report.{kind}").rows
    (printed,) = read("openvino-log", f"openvino/{run}/stdout.txt").rows
    assert report.value == pytest.approx(printed.value, abs=0.005)
    assert report.count == printed.count
    assert report.reported == pytest.approx(printed.reported, abs=0.005)
    text = sample(f"openvino/{run}/stdout.txt").decode()
    (median_us,) = re.findall(r"Median: +(\S+) us", text)
    assert printed.value == pytest.approx(float(median_us) / 1000)


def test_counters_of_openvino():
    name = "openvino/csv_average_counters/benchmark_average_counters_report.csv"
    raw = list(csv.DictReader(sample(name).decode().splitlines(), delimiter=";"))[:-1]
    rows = read("openvino-counters", name).rows
    assert [(row.name, row.value) for row in rows] == [
        (line["layerName"], float(line["realTime (ms)"])) for line in raw
    ]
    assert {row.facts["precision"] for row in rows if row.facts["type"] == "Convolution"} == {
        "bf16"
    }
    only = read("openvino-counters", "openvino/json_f32/benchmark_average_counters_report.json")
    assert "first node alone" in only.notes[0]


def test_json_and_output_of_litert_benchmark_agree():
    name = "litert/litert_benchmark_2.3.0"
    (written,) = read("litert-benchmark", f"{name}_mini_mbv2.json").rows
    (printed,) = read("litert-benchmark-log", f"{name}_stdout.txt").rows
    assert written == printed
    assert (written.value, written.count) == (0.23, 200)
    assert Flag.QUANTISED in written.flags


def test_profiles_of_tflite():
    network, *operators = read("benchmark-model", "tflite/readme_op_profiling_2018.txt").rows
    assert network.value == pytest.approx(79.7609)
    assert len(operators) == 31
    assert sum(row.value for row in operators) == pytest.approx(79.449)
    rows = read("tflite-op-profile", "tflite/op_profile_csv_no_start_SYNTHETIC.csv").rows
    assert [row.value for row in rows] == [0.003, 0.382]


@pytest.mark.parametrize(
    "name",
    [
        f"{n}_run{k}.txt"
        for n in ("0.5flops", "0.5time", "0.75mobilenet", "mobilenet")
        for k in (1, 2, 3)
    ],
)
def test_logs_of_a_phone(name):
    """The second `avg=` of a log is the measurement; its operators sum to the profile's mean."""
    text = sample(name, PIXEL).decode()
    network, *operators = read("benchmark-model", name, PIXEL).rows
    means = [float(found) / 1000 for found in re.findall(r" avg=([\d.e+]+)", text)]
    assert (network.value, network.count) == (pytest.approx(means[1]), 200)
    assert sum(row.value for row in operators) == pytest.approx(
        means[2], abs=0.0005 * len(operators)
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (f"{A100}.graph.json", "exportLayerInfo"),
        (f"{A100}.metadata.json", "which options trtexec ran"),
        (f"{A100}.profile.metadata.json", "which options trtexec ran"),
        (f"{A100}.build.metadata.json", "which options trtexec ran"),
        ("trtexec/LICENSE.txt", "licence"),
        ("onnxruntime/mini_mbv2.onnx", "ONNX model"),
        ("litert/mini_mbv2.tflite", "TFLite model"),
    ],
)
def test_what_lies_beside_measurements_is_called_by_its_name(name, what):
    data = sample(name)
    with pytest.raises(ArtefactError, match=what):
        detect(data)
