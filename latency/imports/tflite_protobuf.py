"""The two protocol buffers that TFLite's benchmark_model writes: a profile, and a result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Statistic
from .parsing import latency, whole
from .rows import judged, of_runs
from .tflite_stats import RESOLUTION_MS, US_PER_MS
from .tflite_tables import OpTable, TableRow, split_name, table_notes, table_rows

PACKAGE = "tflite.tools.benchmark"
# Each field's number and type in benchmark_result.proto, whose compiled form no wheel ships.
_RESULT: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "LatencyMetrics": {
        "avg_ms": (1, "float"),
        "min_ms": (2, "float"),
        "max_ms": (3, "float"),
        "stddev_ms": (4, "float"),
        "median_ms": (5, "float"),
        "p5_ms": (6, "float"),
        "p95_ms": (7, "float"),
        "init_ms": (8, "float"),
        "first_inference_ms": (9, "float"),
        "average_warm_up_ms": (10, "float"),
    },
    "MemoryMetrics": {
        "init_footprint_kb": (1, "int64"),
        "overall_footprint_kb": (2, "int64"),
        "peak_mem_mb": (3, "float"),
    },
    "MiscMetrics": {
        "model_size_mb": (1, "float"),
        "num_runs": (2, "int32"),
        "num_warmup_runs": (3, "int32"),
        "model_throughput_in_mb_per_sec": (4, "float"),
    },
    "BenchmarkResult": {
        "name": (1, "string"),
        "latency_metrics": (2, "LatencyMetrics"),
        "memory_metrics": (3, "MemoryMetrics"),
        "misc_metrics": (4, "MiscMetrics"),
    },
}
_BEFORE = ("init_ms", "first_inference_ms", "average_warm_up_ms")
_STATISTICS = {
    "avg_ms": "mean",
    "min_ms": "min",
    "max_ms": "max",
    "stddev_ms": "std",
    "p5_ms": "p5",
    "p95_ms": "p95",
}
# Both messages begin with a field that is text or a message: its number, and wire type 2.
_FIRST_BYTES = (b"\x0a", b"\x12", b"\x1a")
_FLOAT32_BITS = 24


@importers.register("tflite-profile-protobuf")
class TfliteProfileProtobuf(Importer):
    """The mean of every operator; delegates and subgraphs are levels of their own."""

    def recognises(self, data: bytes) -> bool:
        return _has_operators(_parsed(_profile_class(), data))

    def read(self, data: bytes) -> Imported:
        profile = _parsed(_profile_class(), data)
        if not _has_operators(profile):
            raise ArtefactError("it is no whole BenchmarkProfilingData of TFLite.")
        tables = list(_tables(profile.runtime_profile))
        model = _text(profile.model_name)
        facts: dict[str, Fact] = {"model": model} if model else {}
        return Imported(
            kind="tflite-profile-protobuf",
            tool="TFLite's profiler of operators",
            variant="protocol buffer BenchmarkProfilingData",
            unit="us",
            unit_source="the field inference_microseconds names it",
            resolution=RESOLUTION_MS,
            rows=tuple(table_rows(tables)),
            sha256=sha256_of(data),
            facts=facts,
            notes=tuple(table_notes(tables)),
        )


@importers.register("tflite-result-protobuf")
class TfliteResultProtobuf(Importer):
    """The median, or the mean where an older version wrote no median."""

    def recognises(self, data: bytes) -> bool:
        return _has_latency(_parsed(_result_class(), data))

    def read(self, data: bytes) -> Imported:
        result = _parsed(_result_class(), data)
        if not _has_latency(result):
            raise ArtefactError("it is no whole BenchmarkResult of TFLite.")
        values = {
            field.name: latency(value, field.name)
            for field, value in result.latency_metrics.ListFields()
        }
        is_median = "median_ms" in values
        headline = "median_ms" if is_median else "avg_ms"
        misc = result.misc_metrics
        count = whole(misc.num_runs, "num_runs") if misc.HasField("num_runs") else None
        resolution = 2.0 ** (math.frexp(values[headline])[1] - _FLOAT32_BITS)
        facts: dict[str, Fact] = {
            field.name: value if isinstance(value, int) else latency(value, field.name)
            for part in (result.memory_metrics, misc)
            for field, value in part.ListFields()
        }
        facts |= {key: values[key] for key in values if key in _BEFORE}
        return Imported(
            kind="tflite-result-protobuf",
            tool="TFLite benchmark_model",
            variant="protocol buffer BenchmarkResult",
            unit="ms",
            unit_source="the names of its fields end in _ms",
            resolution=resolution,
            rows=(
                judged(
                    _text(result.name) or "Inference",
                    values[headline],
                    of_runs(count or 0, Statistic.MEDIAN if is_median else Statistic.MEAN),
                    count=count,
                    resolution=resolution,
                    reported={
                        _STATISTICS[key]: value
                        for key, value in values.items()
                        if key in _STATISTICS and key != headline
                    },
                ),
            ),
            sha256=sha256_of(data),
            facts=facts,
        )


def _parsed(message: Any, data: bytes) -> Any:
    """`data` as a message of the class `message`, or None if it is none."""
    from google.protobuf.message import DecodeError

    if data[:1] not in _FIRST_BYTES:
        return None
    try:
        return message.FromString(data)
    except DecodeError:
        return None


def _profile_class() -> Any:
    from ai_edge_litert import profiling_info_pb2

    return profiling_info_pb2.BenchmarkProfilingData


@lru_cache(maxsize=1)
def _result_class() -> Any:
    """The class of BenchmarkResult, made from its fields."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="benchmark_result.proto", package=PACKAGE, syntax="proto2"
    )
    for name, fields in _RESULT.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(name=field, number=number, label=1)
            if kind in _RESULT:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{PACKAGE}.BenchmarkResult")
    )


def _text(value: str | bytes) -> str:
    """A field that is text; the library gives bytes where it is no UTF-8."""
    if isinstance(value, bytes):
        raise ArtefactError(f"the name {value[:40]!r} is no UTF-8 text: the file is damaged.")
    return value


def _has_operators(profile: Any) -> bool:
    return profile is not None and any(
        part.per_op_profiles
        for parts in (
            profile.runtime_profile.subgraph_profiles,
            profile.runtime_profile.delegate_profiles,
        )
        for part in parts
    )


def _has_latency(result: Any) -> bool:
    return result is not None and (
        result.latency_metrics.HasField("avg_ms") or result.latency_metrics.HasField("median_ms")
    )


def _tables(profile: Any) -> Iterator[OpTable]:
    """A table of every subgraph and every delegate that ran."""
    for part in profile.subgraph_profiles:
        name = f"Subgraph {part.subgraph_index} {_text(part.subgraph_name)}".strip()
        yield _table(part.per_op_profiles, OpTable(subgraph=name if part.subgraph_index else ""))
    for part in profile.delegate_profiles:
        yield _table(
            part.per_op_profiles, OpTable(is_delegate=True, subgraph=_text(part.delegate_name))
        )


def _table(operators: Iterable[Any], place: OpTable) -> OpTable:
    ordered = sorted(operators, key=lambda operator: operator.run_order)
    rows = tuple(_row(operator) for operator in ordered)
    runs = [
        operator.inference_microseconds.count // max(operator.times_called, 1)
        for operator in ordered
    ]
    return replace(place, rows=rows, runs=max(runs, default=0), is_counted=True)


def _row(operator: Any) -> TableRow:
    """One operator; its mean is of the sum, for the message's own is cut to microseconds."""
    kind = _text(operator.node_type)
    name, index = split_name(_text(operator.name))
    where = repr(name or kind)
    times = operator.inference_microseconds
    count = whole(times.count, f"count of {where}")
    mean_us = latency(times.sum / count, f"sum of {where}")
    if abs(mean_us - times.avg) > 1:
        raise ArtefactError(
            f"{where} took {times.sum} us in {count} calls, which is no mean of {times.avg} us: "
            "the file is damaged."
        )
    said = {"first": times.first, "min": times.min, "max": times.max, "std": times.stddev}
    return TableRow(
        kind,
        name or kind,
        index,
        mean_us / US_PER_MS,
        whole(operator.times_called, f"times_called of {where}", least=0),
        {key: latency(us, f"{key} of {where}") / US_PER_MS for key, us in said.items()},
    )
