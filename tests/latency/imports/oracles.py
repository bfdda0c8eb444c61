"""A second reading of every kind, deliberately another: names and milliseconds, nothing else.

What an importer accepts, its oracle must read alike. Oracles check nothing: they may fail on files
that importers refuse.
"""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
CELLS = r'(?:^|(?<=[\r\n]))(?:"((?:[^"]|"")*)"|([^",\r\n][^,\r\n]*|)),([^,\r\n]*)'
Readings = list[tuple[str, float]]


def loads(data: bytes) -> Any:
    return json.loads(data.decode("utf-8-sig"))


def text(data: bytes) -> str:
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def median(values: Any) -> float:
    return float(np.median(np.array(values, dtype=float)))


def pyperf(data: bytes) -> Readings:
    suite = loads(data)
    found = []
    for number, benchmark in enumerate(suite["benchmarks"]):
        described = suite.get("metadata", {}) | benchmark.get("metadata", {})
        values = list(chain(*(run.get("values", []) for run in benchmark["runs"])))
        found.append((described.get("name", f"benchmark {number + 1}"), 1e3 * median(values)))
    return found


def google_benchmark(data: bytes) -> Readings:
    repeated: dict[str, list[Any]] = {}
    aggregated: dict[str, dict[str, Any]] = {}
    for row in loads(data)["benchmarks"]:
        name = row.get("run_name", row["name"])
        if row.get("error_occurred"):
            continue
        if row["run_type"] == "iteration":
            repeated.setdefault(name, []).append(row)
        elif row.get("aggregate_unit", "time") == "time":
            aggregated.setdefault(name, {})[row["aggregate_name"]] = row
    rows = {
        n: [a.get("median", a.get("mean"))] for n, a in aggregated.items() if n not in repeated
    }
    return [
        (name, median([row["real_time"] * MS[row["time_unit"]] for row in found]))
        for name, found in (repeated | rows).items()
    ]


def launch_summaries(data: bytes) -> Readings:
    found: dict[str, list[float]] = {}
    for launch in chain(*loads(data)):
        for name, numbers in launch.items():
            found.setdefault(name, []).append(numbers[5] / 1e6)
    return [(name, median(values)) for name, values in found.items()]


def keyed_yaml(data: bytes) -> Readings:
    try:
        table = yaml.load(data.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    except yaml.YAMLError:  # tabs between tokens, which the standard and the C library allow
        table = yaml.load(data.decode("utf-8-sig"), Loader=yaml.CBaseLoader)
    return [(key, float(fields["mean"])) for key, fields in table.items()]


def nn_meter(data: bytes) -> Readings:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return [
            (f"{kernel} {case}", float(content["latency"].split(" +- ")[0]))
            for kernel, cases in loads(data).items()
            for case, content in cases.items()
        ]
    lines = [line for line in re.split("[\r\n]", text(data)) if line]
    if lines[0].startswith("model_path,"):
        rows = csv.DictReader(lines)
        return [(row["model_path"], float(row["latency"])) for row in rows]
    return [(row[1], float(row[2])) for row in csv.reader(lines)]


def device_table(data: bytes) -> Readings:
    columns: dict[str, list[Any]] = {}
    for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(batch_size=2):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            columns.setdefault(name, []).extend(value.as_py() for value in column)
    columns.pop("arch_idx", None)
    networks = columns.pop("arch_str" if "arch_str" in columns else "op_idx")
    return [
        (f"{network} on {device}", float(value))
        for device, values in columns.items()
        for network, value in zip(networks, values, strict=True)
    ]


def keyed_csv(data: bytes) -> Readings:
    head, *rows = re.findall(CELLS, data.decode("utf-8-sig"))
    scale = MS[head[2].split("_")[1]]
    return [(quoted.replace('""', '"') or plain, float(v) * scale) for quoted, plain, v in rows]


def haq_table(data: bytes) -> Readings:
    table = np.load(io.BytesIO(data), allow_pickle=False)
    return [
        (f"layer {i // 64}, weights {i // 8 % 8 + 1}, activations {i % 8 + 1} bit", float(cycles))
        for i, cycles in enumerate(table.ravel())
    ]


def trtexec_times(data: bytes) -> Readings:
    rows = loads(data)
    rows = [row for row in rows if row["startComputeMs"] >= 200] or rows
    return [
        (name, median([row[key] for row in rows]))
        for name, key in (("GPU Compute Time", "computeMs"), ("Latency", "latencyMs"))
    ]


def trtexec_profile(data: bytes) -> Readings:
    try:
        rows = loads(data)[1:]
        json.dumps(rows, ensure_ascii=False).encode()  # halves of characters are no text
    except ValueError:
        pattern = (
            r'"name"\s*:\s*"(.*?)", "timeMs" : .*?, "averageMs" : (.*?)'
            r'(?:, "medianMs" : (.*?))?, "p'
        )
        return [
            (name, float(middle or mean))
            for name, mean, middle in re.findall(pattern, text(data), re.S)
        ]
    return [(row["name"], float(row.get("medianMs", row["averageMs"]))) for row in rows]


def trtexec_log(data: bytes) -> Readings:
    found = []
    for name in ("GPU Compute Time", "Latency"):
        (line,) = re.findall(
            rf"^(?:\[[\d/]+-[\d:]+\] )?\[I\] {name}: (min = .*)", text(data), re.M
        )
        said = dict(re.findall(r"(\w+)(?:\([^)]*\))? = (\S+) ms", line))
        found.append((name, float(said["median" if "median" in said else "mean"])))
    return found


def stat_ms(line: str) -> float:
    """The headline of a line of statistics of benchmark_model."""
    said = dict(re.findall(r"(\w+)=([^\s(]+)", line[line.index("count=") :]))
    value = said.get("median", said.get("avg"))
    return float(said["curr"] if value is None else value) / 1e3


def operators(data: bytes) -> Readings:
    """The rows of the tables of a profile of operators, all calls of a run together."""
    found: Readings = []
    for part in re.split(r"\n(?=[^\n]*={5,} .*? ={5,})", "\n" + text(data)):
        heading, *lines = part.split("\n")
        if "Run Order =" in heading:
            end = next((n for n, x in enumerate(lines) if not x.strip()), len(lines))
            rows = [operator(line) for line in lines[1:end] if "Number of nodes" not in line]
            is_told = any(calls for _, _, calls in rows)
            found += [(n, mean * max(calls, 1)) for n, mean, calls in rows if calls or not is_told]
    return found


def operator(line: str) -> tuple[str, float, float]:
    """Name, mean of a call in ms, and calls in a run."""
    if ", " in line and "%," in line:
        kind, _, mean, *_, calls, name = line.rsplit(", ", 7)
        name = name.replace("\t", ",").strip()
    elif "\t" in line:
        kind, *cells = line.split("\t")[1:]
        mean, calls, name = cells[-6], cells[-2], cells[-1].strip()
    else:
        kind = re.split(" {2,}", line.strip())[0]
        pattern = r"(\S+)\s+\S*%\s+\S*%\s+\S+\s+(\S+)\s+(.*)"
        mean, calls, name = re.findall(pattern, line.strip())[0]
    name = re.sub(r"^(\[.*\]):\w+$|^([^\[].*?|\[.*[^\]]):\d+$", r"\1\2", name)
    bracketed = re.fullmatch(r"\[(.*)\]", name)
    return (bracketed[1] if bracketed else name) or kind.strip(), float(mean), float(calls)


def benchmark_model(data: bytes) -> Readings:
    lines = text(data).split("\n")
    stats = [x for x in lines if re.search(r"(^|\s)count=\d", x) and "s): count" not in x]
    if any("Running benchmark for " in line for line in lines):
        stats = stats[1::2]
    elif stats:
        summary = next(x for x in lines if "nference timings in us" in x)
        mean = float(summary.split("Inference (avg): " if "avg" in summary else "stats: ")[1])
        stats = [x for x in stats if abs(stat_ms(re.sub("median=.* ", "", x)) * 1e3 - mean) < 1]
    network = [stat_ms(stat) for stat in stats]
    if not network:
        network = [
            float(re.split(r"Inference(?: \(avg\))?: |no stats: ", line)[-1].split(",")[0]) / 1e3
            for line in lines
            if "nference timings in us: " in line
        ]
    if len(network) > 1:
        return [(f"Inference {n}", value) for n, value in enumerate(network, 1)]
    return [("Inference", network[0]), *operators(data)]


def litert_benchmark(data: bytes) -> Readings:
    return [("Inference", loads(data)["latency"]["median_ms"])]


def litert_benchmark_log(data: bytes) -> Readings:
    (found,) = re.findall(r"^inference \(median\): +(\S+) (\w+)", text(data), re.M | re.I)
    return [("Inference", float(found[0]) * MS[found[1]])]


def openvino_report(data: bytes) -> Readings:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        said = loads(data)["execution_results"]
    else:
        lines = text(data).split("Execution results", 1)[1].split("\n")
        said = dict(line.strip().split(";", 1) for line in lines if ";" in line)
    return [("Inference", float(said.get("latency (ms)", said.get("avg latency"))))]


def openvino_counters(data: bytes) -> Readings:
    if data.startswith(b"{"):
        document = loads(data)
        if "avg_performance" in document:
            inferences = [document["avg_performance"]["nodes"]]
        else:
            inferences = [entry["nodes"] for entry in document["detailed_performance"]]
        return [
            (nodes[0]["name"], median([float(node["real_time"]) for node in nodes]))
            for nodes in zip(*inferences, strict=True)
        ]
    lines = [line.strip() for line in text(data).split("\n") if line.strip()]
    pattern = r"(.*);[^;]*;[^;]*;[^;]*;([^;]*);[^;]*"
    return [
        (found[1], float(found[2]))
        for line in lines[1:-1]
        if (found := re.fullmatch(pattern, line))
    ]


def openvino_log(data: bytes) -> Readings:
    said = re.findall(r"^\[ INFO \] +(Median|Average): +(\S+) (\w+)\s*$", text(data), re.M)
    values = {name: float(value) * MS[unit] for name, value, unit in said}
    return [("Inference", values["Median" if "Median" in values else "Average"])]


def perf_test(data: bytes) -> Readings:
    lines = [line.strip() for line in text(data).split("\n")]
    pattern = r"(?:Total iterations|Total inference requests|Runs): ?(\d{1,18})"
    counts = [re.fullmatch(pattern, line) for line in lines]
    count = max((int(found[1]) for found in counts if found), default=0)
    for line in lines:
        middle = re.fullmatch(r"P50 Latency(?: is|:) ?(\S+?) ?s(?:ec)?", line)
        if middle and count >= 2:
            return [("Inference", 1e3 * float(middle[1]))]
    means = [re.fullmatch(r"Average .*cost(?: total)?: ?(\S+) ms", line) for line in lines]
    return [("Inference", float(next(found[1] for found in means if found)))]


def perf_test_runs(data: bytes) -> Readings:
    found: dict[str, list[float]] = {}
    for line in map(str.strip, text(data).split("\n")):
        if line and not re.search(r" Latency[: ]", line):
            *name, seconds, _, _, _ = line.split(",")
            found.setdefault(",".join(name), []).append(1e3 * float(seconds))
    return [(name, median(values)) for name, values in found.items()]


def ort_profile(data: bytes) -> Readings:
    try:
        events = json.loads(data.decode("utf-8-sig"), object_pairs_hook=distinct)
    except ValueError:
        events = list(unescaped(text(data)))
    runs = sorted(
        (e["ts"], e["ts"] + e["dur"])
        for e in events
        if e["cat"] == "Session" and e["name"] == "model_run"
    )
    told = [
        [inside(events, "Node", start, end, runs), inside(events, "Kernel", start, end, runs)]
        for start, end in runs
    ]
    keys = [frozenset(key for key, _, _ in nodes) for nodes, _ in told]
    usual = max((k for k in keys if k), key=lambda k: (keys.count(k), len(k)))
    kept = [
        (end - start, own)
        for (start, end), own, k in zip(runs, told, keys, strict=True)
        if k == usual
    ]
    spans = [span for span, _ in kept]
    half = len(spans) // 2
    cold = min(1, half)
    while 0 < cold < half and spans[cold] > 1.1 * median(spans[half:]):
        cold += 1
    found = [("model_run", median(spans[cold:]) / 1e3)]
    for level in (0, 1):
        sums: dict[Any, list[float]] = {}
        kinds: dict[Any, str] = {}
        for number, (_, own) in enumerate(kept[cold:]):
            for key, duration, kind in own[level]:
                kinds.setdefault(key, kind)
                sums.setdefault(key, [0.0] * (len(kept) - cold))[number] += duration / 1e3
        found += [(key[1] or kinds[key] or "unnamed", median(v)) for key, v in sums.items()]
    return found


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def unescaped(document: str) -> Iterator[dict[str, Any]]:
    pattern = r'(.*?"name" ?: ?")(.*)("\s*,\s*"args" ?: ?\{.*\}\}),?'
    for line in document.strip().split("\n")[1:-1]:
        head, name, tail = re.findall(pattern, line.strip())[0]
        yield json.loads(head + json.dumps(name)[1:-1] + tail)


def inside(events: Any, category: str, start: int, end: int, runs: Any) -> list[Any]:
    """Key and duration of what starts in a run, by start, the longest first."""
    found = []
    for e in events:
        last = max((begin for begin, _ in runs if begin <= e["ts"]), default=None)
        is_node = category == "Kernel" or e["name"].endswith("_kernel_time")
        if e["cat"] == category and is_node and last == start and e["ts"] <= end:
            found.append(e)
    found.sort(key=lambda e: (e["ts"], -e["dur"]))
    return [(event_key(e, category), e["dur"], argument(e, "op_name")) for e in found]


def argument(event: Any, name: str) -> str:
    value = event["args"].get(name)
    return value if isinstance(value, str) else ""


def event_key(event: Any, category: str) -> tuple[str, str]:
    name = event["name"].removesuffix("_kernel_time") if category == "Node" else event["name"]
    return argument(event, "node_index"), name


def wire(data: bytes) -> dict[tuple[int, int], list[Any]]:
    """The fields of a protocol buffer by number and wire type; those of groups are left out."""
    found: dict[tuple[int, int], list[Any]] = {}
    place = depth = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value % 2**64

    while place < len(data):
        number, kind = divmod(varint(), 8)
        value: Any = None
        if kind == 0:
            value = varint()
            value -= 2**64 if value >= 2**63 else 0
        elif kind in (1, 2, 5):
            size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
            value, place = data[place : place + size], place + size
        else:
            depth += 1 if kind == 3 else -1
        if not depth and kind != 4:
            found.setdefault((number, kind), []).append(value)
    return found


def last(fields: dict[tuple[int, int], list[Any]], number: int, kind: int, default: Any) -> Any:
    return fields.get((number, kind), [default])[-1]


def result_protobuf(data: bytes) -> Readings:
    fields = wire(data)
    latencies = wire(b"".join(fields[2, 2]))
    (value,) = struct.unpack("<f", last(latencies, 5, 5, None) or last(latencies, 1, 5, None))
    return [(last(fields, 1, 2, b"").decode() or "Inference", value)]


def profile_protobuf(data: bytes) -> Readings:
    profile = wire(b"".join(wire(data)[3, 2]))
    found: Readings = []
    for parts, number in ((profile.get((1, 2), []), 3), (profile.get((2, 2), []), 2)):
        for part in parts:
            operators = [wire(each) for each in wire(part).get((number, 2), [])]
            operators.sort(key=lambda each: last(each, 6, 0, 0))
            is_told = any(last(each, 4, 0, 0) for each in operators)
            for each in operators:
                calls, stat = last(each, 4, 0, 0), wire(b"".join(each.get((2, 2), [])))
                name = last(each, 5, 2, b"").decode()
                name = re.sub(r"^\[(.*)\](:\w+)?$", r"\1", re.sub(r":\d+$", "", name), flags=re.S)
                mean_ms = last(stat, 8, 0, 0) / last(stat, 9, 0, 0) / 1e3
                if calls or not is_told:
                    found.append((name or last(each, 1, 2, b"").decode(), mean_ms * max(calls, 1)))
    return found


def ncnn(data: bytes) -> Readings:
    found: Readings = []
    for line in text(data).split("\n"):
        words = re.split(r"\s+|(?<==)", line.strip())
        words = [word for word in words if word]
        if len(words) == 10 and words[1:9:3] == ["min", "max", "avg"] and words[2::3] == ["="] * 3:
            found.append((words[0], float(words[9])))
    return found


ORACLES: dict[str, Callable[[bytes], Readings]] = {
    "benchmark-model": benchmark_model,
    "device-table": device_table,
    "google-benchmark": google_benchmark,
    "haq-table": haq_table,
    "keyed-csv": keyed_csv,
    "launch-summaries": launch_summaries,
    "litert-benchmark": litert_benchmark,
    "litert-benchmark-log": litert_benchmark_log,
    "ncnn-benchmark": ncnn,
    "nn-meter": nn_meter,
    "ofa-table": keyed_yaml,
    "onnxruntime-perf-test": perf_test,
    "onnxruntime-perf-test-runs": perf_test_runs,
    "onnxruntime-profile": ort_profile,
    "openvino-counters": openvino_counters,
    "openvino-log": openvino_log,
    "openvino-report": openvino_report,
    "proxyless-table": keyed_yaml,
    "pyperf": pyperf,
    "tflite-op-profile": operators,
    "tflite-profile-protobuf": profile_protobuf,
    "tflite-result-protobuf": result_protobuf,
    "trtexec-log": trtexec_log,
    "trtexec-profile": trtexec_profile,
    "trtexec-times": trtexec_times,
}
