"""Texts in the words of benchmark_model, by its versions; written by hand."""

from __future__ import annotations

import re

WARM_UP = "count=20 first=3000 curr=1100 min=1000 max=3000 avg=1100 std=50"
OLD = "count=50 first=1020 curr=1000 min=900 max=2000 avg=1000.5 std=25"
NEW = f"{OLD} p5=950 median=990 p95=1400"
SUMMARY = (
    "Inference timings in us: Init: 4500, First inference: 3000, Warmup (avg): 1100, "
    "Inference (avg): {}"
)


def log(
    measured: str = NEW,
    *,
    warm_up: str = WARM_UP,
    before: str = "",
    summary: str | None = None,
    prefix: str = "INFO: ",
) -> bytes:
    """What one benchmark prints; `before` is what delegates say, and the summary agrees."""
    mean = re.search(r"avg=(\S+)|curr=(\d+)\(all same", measured)
    if summary is None:
        summary = SUMMARY.format(mean[1] or mean[2] if mean else 1)
    limits = "but terminate if exceeding 60 seconds."
    lines = [
        "STARTING!",
        "Log parameter values verbosely: [0]",
        "Graph: [models/0/model.tflite]",
        "Loaded model models/0/model.tflite",
        *before.splitlines(),
        "The input model file size (MB): 0.0042",
        "Initialized session in 4.5ms.",
        f"Running benchmark for at least 2 iterations and at least 0.03 seconds {limits}",
        warm_up,
        "",
        f"Running benchmark for at least 3 iterations and at least 0.03 seconds {limits}",
        measured,
        "",
        summary,
        "Memory footprint delta from the start of the tool (MB): init=8.94 overall=11.51",
    ]
    return "".join(f"{prefix}{line}\n" for line in lines).encode()
