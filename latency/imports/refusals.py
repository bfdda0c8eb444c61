"""What lies beside measurements and is none: told by content, so that it is called by its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...core.errors import ArtefactError
from .parsing import json_of

_ARCHITECTURE = re.compile(r"[0-9]{8}", re.ASCII)
_LICENCE = re.compile(rb"\s*(?:Apache License|MIT License|BSD \d-Clause|GNU )", re.ASCII)
_OWN_TABLE = re.compile(rb'^kind: latency-table$|"kind":"latency-table"', re.M)
_RANK_LIMIT = 5


def refusal(data: bytes) -> str | None:
    """What the file `data` is instead of a measurement, to follow its name; None if unknown.

    To be asked once no importer recognised the file.
    """
    for is_such, sentence in _BYTES:
        if is_such(data):
            return sentence
    try:
        document = json_of(data)
    except ArtefactError:
        return None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict) or not document:
        return None
    return next((sentence for is_such, sentence in _OBJECTS if is_such(document)), None)


def _is_onnx(data: bytes) -> bool:
    """Whether a protobuf message begins with `ir_version`, and its producer or graph follows."""
    return len(data) > 16 and data[0] == 0x08 and data[2] in (0x12, 0x3A)


def _is_network(document: dict[str, Any]) -> bool:
    return isinstance(document.get("name"), str) and isinstance(document.get("blocks"), list)


def _is_run(document: dict[str, Any]) -> bool:
    return "image_size" in document or "init_lr" in document


def _is_accuracy(document: dict[str, Any]) -> bool:
    """Whether keys are the eight choices of NAS-Bench-Macro, and each has its accuracies."""
    return all(
        _ARCHITECTURE.fullmatch(key) and isinstance(value, dict) and "test_acc" in value
        for key, value in document.items()
    )


def _is_layer_information(document: dict[str, Any]) -> bool:
    return isinstance(document.get("Layers"), list) and bool(document["Layers"])


def _is_trtexec_metadata(document: dict[str, Any]) -> bool:
    """Whether it is what TensorRT's engine explorer says beside the files of trtexec."""
    return any(
        keys <= document.keys()
        for keys in (
            {"performance_summary", "inference_options"},
            {"model_options", "build_options"},
            {"Name", "ComputeCapability"},
        )
    )


def _is_shapes(document: dict[str, Any]) -> bool:
    """Whether every value is a short list of whole numbers: shapes, by the names of operators."""
    return all(
        isinstance(shape, list)
        and 0 < len(shape) <= _RANK_LIMIT
        and all(type(side) is int for side in shape)
        for shape in document.values()
    )


_BYTES: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (lambda data: not data.strip(), "is empty."),
    (lambda data: data[4:8] == b"TFL3", "is a TFLite model: it says what to run, not how long."),
    (_is_onnx, "is an ONNX model: it says what to run, not how long."),
    (_LICENCE.match, "is the text of a licence."),
    (
        _OWN_TABLE.search,
        "is a latency table of elat already: give it to --latency, there is nothing to import.",
    ),
)
_OBJECTS: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
    (
        _is_layer_information,
        "says what the layers of a TensorRT engine are (trtexec --exportLayerInfo), not how long "
        "they take. Import the profile of the same engine (--exportProfile); join_layers of "
        "elat.latency.imports.trtexec_layers adds these to it.",
    ),
    (
        _is_trtexec_metadata,
        "says on what device or with which options trtexec ran. Import the times or the profile "
        "that it wrote (--exportTimes, --exportProfile), or its log.",
    ),
    (
        _is_network,
        "is the configuration of a network (net.config), which elat zoo show reads: it holds "
        "layers, not latencies.",
    ),
    (_is_run, "holds the settings of a training run (run.config), not latencies."),
    (
        _is_accuracy,
        "is NAS-Bench-Macro: accuracies, parameters and MACs of networks, not latencies. Search "
        "on it with: elat exam nas-bench-macro.",
    ),
    (_is_shapes, "holds names of operators and shapes of their inputs, not latencies."),
)
