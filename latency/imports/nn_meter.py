"""Latencies that nn-Meter (Zhang et al. 2021) measured: its builder's kernels, its data set."""

from __future__ import annotations

import re
from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .parsing import csv_of, decimal, json_of, json_or_none, latency, member, shown
from .rows import judged

_PATH, _LATENCY = "model_path", "latency"
_SPREAD = re.compile(r"(\S+) \+- (\S+)", re.ASCII)
_HEADER = re.compile(rb"model_path,(?:[\w.-]+,)*latency\r?\n", re.ASCII)
_LOGGED = re.compile(rb"\d+,[\w.-]+(?:,[\d.eE+-]+){3}\r?(?:\n|$)", re.ASCII)
_PERCENT_TOLERANCE = 1e-6


@importers.register("nn-meter")
class NnMeter(Importer):
    """Profiled kernels as JSON or CSV, and the headless CSV of whole models in its data set.

    The kernels are Keras or torch models of nn-Meter's own (biases, padding of TensorFlow), so
    that none is said to be an operator of elat; their configuration is in the facts.
    """

    def recognises(self, data: bytes) -> bool:
        if _HEADER.match(data) or (_LOGGED.match(data) and _is_logged(data.split(b"\n", 1)[0])):
            return True
        return _is_profiled(json_or_none(data, b'"latency"', b" +- "))

    def read(self, data: bytes) -> Imported:
        if _HEADER.match(data):
            variant, rows = "kernels as CSV, one of a row", _kernel_table(data)
        elif _LOGGED.match(data):
            variant, rows = "whole models: number, name, latency, deviation, percent", _log(data)
        else:
            variant, rows = "profiled kernels as JSON", _profiled(json_of(data))
        if not rows:
            raise ArtefactError("it holds no latencies.")
        return Imported(
            kind="nn-meter",
            tool="nn-Meter",
            variant=variant,
            unit="ms",
            unit_source="definition of nn-Meter: latencies are in ms",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
        )


def _is_profiled(document: Any) -> bool:
    """Whether a JSON document is kernels, each of cases with `latency: "mean +- deviation"`."""
    if not isinstance(document, dict) or not document:
        return False
    cases = [
        c for kernel in document.values() if isinstance(kernel, dict) for c in kernel.values()
    ]
    return bool(cases) and all(isinstance(case, dict) and _LATENCY in case for case in cases)


def _profiled(document: dict[str, Any]) -> list[Row]:
    rows = []
    for kernel, cases in document.items():
        if not isinstance(cases, dict):
            raise ArtefactError(f"{kernel} should hold cases, found {shown(cases)}.")
        for case, content in cases.items():
            name = f"{kernel} {case}"
            text = member(content, _LATENCY, str, name)
            found = _SPREAD.fullmatch(text)
            if found is None:
                raise ArtefactError(f"{name} should be `mean +- deviation`, found {shown(text)}.")
            config = member(content, "config", dict, name) if "config" in content else {}
            facts: dict[str, Fact] = {"kernel": kernel}
            facts |= {key: value for key, value in config.items() if type(value) in (int, str)}
            mean, deviation = found.groups()
            rows.append(_mean(name, mean, deviation, facts))
    return rows


def _kernel_table(data: bytes) -> list[Row]:
    head, *body = csv_of(data)
    if len(set(head)) != len(head):
        raise ArtefactError("a column of the table stands twice.")
    rows = []
    for cells in body:
        columns = dict(zip(head, cells, strict=True))
        name, value = columns.pop(_PATH), columns.pop(_LATENCY)
        facts: dict[str, Fact] = {k: decimal(v, f"{k} of {name}") for k, v in columns.items()}
        rows.append(_mean(name, value, None, facts))
    return rows


def _log(data: bytes) -> list[Row]:
    rows = []
    for cells in csv_of(data):
        if not _is_logged(",".join(cells).encode()):
            raise ArtefactError(
                f"{shown(','.join(cells))} is no line of number, name, latency, deviation and the "
                "deviation in percent of the latency."
            )
        _, name, mean, deviation, _ = cells
        rows.append(_mean(name, mean, deviation, {}))
    return rows


def _is_logged(line: bytes) -> bool:
    """Whether the last of the five cells of `line` is the fourth in percent of the third."""
    if not _LOGGED.fullmatch(line):
        return False
    try:
        mean, deviation, percent = (
            decimal(cell, "a cell") for cell in line.decode("ascii").strip().split(",")[2:]
        )
    except (ArtefactError, UnicodeDecodeError):
        return False
    return abs(100 * deviation - percent * mean) <= _PERCENT_TOLERANCE * abs(100 * deviation)


def _mean(name: str, mean: str, deviation: str | None, facts: dict[str, Fact]) -> Row:
    value = latency(decimal(mean, f"latency of {name}"), f"latency of {name}")
    reported = {}
    if deviation is not None:
        what = f"deviation of {name}"
        reported["std"] = latency(decimal(deviation, what), what)
    return judged(name, value, Statistic.MEAN, reported=reported, facts=facts)
