"""`elat predict`: what a model file takes on a device, without running it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..flows.predicting import FilePrediction


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("predict")(predict)


def predict(
    model_file: Annotated[
        Path,
        typer.Option(
            "--model-file", help="An .onnx or .tflite file of any origin, with fixed sizes."
        ),
    ],
    device: options.Device,
    latency: options.Latency = None,
    level: Annotated[
        float, typer.Option("--level", help="Of the intervals, between 0 and 1.")
    ] = 0.9,
    top: Annotated[int, typer.Option("--top", min=1, help="Operators to show.")] = 12,
    json: options.Json = False,
) -> None:
    """Predict a model file operator by operator, with intervals; nothing is run."""
    from ..devices.device import find_device
    from ..flows.predicting import predict_file

    found = predict_file(model_file, find_device(device), latency, level)
    if json:
        print_json(_document(found))
        _warn(found)
        return
    print_table(
        f"{found.file} on {found.condition} ({found.origin})",
        ("operator", "count", "nodes", "ms", "share", f"{level:.0%} interval"),
        [
            (
                row.operator, str(row.count), str(len(row.nodes)), f"{row.latency_ms:.4g}",
                f"{row.share:.1%}", _interval(row.low_ms, row.high_ms),
            )
            for row in found.operators[:top]
        ],
        right=(1, 2, 3, 4, 5),
    )  # fmt: skip
    left = len(found.operators) - top
    if left > 0:
        say(f"and {left} more kinds of operator; --top {len(found.operators)} shows all")
    interval = _interval(found.low_ms, found.high_ms)
    by = "the sum" if found.calibration is None else f"calibrated ({found.calibration})"
    say(
        f"{found.latency_ms:.4g} ms, {level:.0%} interval {interval} ms "
        f"({by}; {found.macs / 1e6:,.0f} million MACs; "
        f"{found.covered} of {found.nodes} nodes in {sum(r.count for r in found.operators)} "
        f"operators, {len(found.free)} free); model {found.model}"
    )
    say(f"fusion {found.fusion}")
    _warn(found)


def _warn(found: FilePrediction) -> None:
    """Name the operators that the model knows only from smaller or larger ones."""
    if not found.beyond:
        return
    share = sum(row.share for row in found.beyond)
    count = sum(row.count for row in found.beyond)
    who = f"{count} operator{'s' * (count > 1)} ({share:.0%} of the sum) lie{'s' * (count == 1)}"
    say(
        f"Warning: {who} outside what the model learnt from; what it says of them is "
        "extrapolated, and may be far off:"
    )
    for row in found.beyond:
        say(f"  {row.operator}: {'; '.join(map(str, row.beyond))}")


def _document(found: FilePrediction) -> dict[str, Any]:
    """As JSON, in which there is no infinity: a limit that is not known is null."""
    data = asdict(found)
    for row in (data, *data["operators"]):
        row["high_ms"] = row["high_ms"] if math.isfinite(row["high_ms"]) else None
    return data


def _interval(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}" if math.isfinite(high) else "unknown: too few errors"
