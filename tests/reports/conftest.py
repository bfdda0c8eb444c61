"""Made-up runs and models, written as the verbs write them. No number here was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elat.core.artefact import MANIFEST, manifest, write_json
from elat.latency.calibration import Calibration
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.models.evaluate import CROSS_VALIDATION, HeldOut, HeldOutRow
from elat.latency.models.folder import CALIBRATION, HELD_OUT, KIND, TABLE
from elat.latency.operators.serial import kind_of
from elat.latency.table import LatencyTable, write_table
from elat.reports.inputs import ReportInputs, read_inputs
from elat.search.architecture import Architecture
from elat.search.result import (
    HISTORY,
    Candidate,
    Certificate,
    DeviceBound,
    Limit,
    MeasuredLatency,
    SearchResult,
    Trained,
    TrainingRecord,
    write_record,
)
from elat.search.spaces import BlockSpace, SearchSpace, block_space, space_from_description

SPACE = {
    "family": "mbconv-chain",
    "name": "small-chain",
    "resolution": 28,
    "in_channels": 1,
    "classes": 10,
    "stem": {"width": 16, "stride": 2},
    "first": 16,
    "stages": [
        {"width": 24, "blocks": 4, "stride": 1},
        {"width": 40, "blocks": 4, "stride": 2},
        {"width": 80, "blocks": 4, "stride": 2},
    ],
    "head": 128,
}
ORT, TFLITE = "local-ort", "local-tflite"
RUNTIMES = {ORT: ("onnxruntime", "1.24.1"), TFLITE: ("litert", "2.3.0")}
# Milliseconds per million MACs by kernel: the two made-up engines like opposite kernels.
RATES = {ORT: {1: 0.08, 3: 0.15, 5: 0.10, 7: 0.07}, TFLITE: {1: 0.05, 3: 0.06, 5: 0.11, 7: 0.16}}


def condition(device: str) -> Condition:
    runtime, version = RUNTIMES[device]
    return Condition(device, runtime, version, Precision.FP32, 1, 1, Method.BLOCK, ())


def operator_ms(operator: Any, device: str) -> float:
    macs: int = operator.macs
    return 0.004 + RATES[device][getattr(operator, "kernel", 1)] * macs / 1e6


@pytest.fixture(scope="session")
def space() -> BlockSpace:
    return block_space(space_from_description(SPACE), "a test")


@pytest.fixture(scope="session")
def measured() -> Callable[..., MeasuredLatency]:
    def make(
        device: str, latency_ms: float, half_ms: float = 0.002, origin: str = "measured"
    ) -> MeasuredLatency:
        return MeasuredLatency(
            device, condition(device).to_json(), latency_ms, latency_ms - half_ms,
            latency_ms + half_ms, 0.95, 5, (), origin,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def write_run(space: SearchSpace, measured: Callable[..., MeasuredLatency]) -> Callable[..., Path]:
    """Writes a run folder; the choices decide everything else."""

    def write(
        folder: Path,
        target: str,
        choices: tuple[int, ...],
        *,
        accuracy: tuple[float, ...] = (0.981, 0.984, 0.983),
        origin: str = "measured",
        certified: bool = True,
        trained: bool = True,
        steps: int = 500,
    ) -> Path:
        architecture = Architecture(space.name, choices)
        network = space.network(architecture)
        latency = {
            device: sum(operator_ms(o, device) for o in space.operators(architecture))
            for device in RUNTIMES
        }
        bound = network.macs * 1.02 if target == "macs" else round(latency[target] * 1.03, 4)
        limit = Limit(target, bound, bound * 0.4, bound * 2.4)
        predicted = network.macs if target == "macs" else latency[target] * 0.985
        best = Candidate(
            architecture, 1.0, (float(predicted),), 0.93, network.macs, network.params
        )
        folder.mkdir(parents=True)
        result = SearchResult(
            space.describe(), "proxyless-g", 0, steps, (limit,), origin,
            {"name": "ridge", "sha256": "0" * 64}, (best,),
        )  # fmt: skip
        write_record(folder, result)
        write_json(
            folder / MANIFEST, manifest("run", config={"data": "digits"}, seed=0, parents={})
        )
        (folder / HISTORY).write_text(history(target, limit, steps))
        if certified:
            own = [d for d in RUNTIMES if d == target] + [d for d in RUNTIMES if d != target]
            write_record(
                folder,
                Certificate(
                    architecture,
                    () if target == "macs" else (DeviceBound(target, bound, True),),
                    {d: v * 0.985 for d, v in latency.items()},
                    tuple(measured(d, latency[d], 0.006 * latency[d], origin) for d in own),
                    (), network.macs, network.params, {},
                ),
            )  # fmt: skip
        if trained:
            seeds = tuple(range(len(accuracy)))
            net = Trained(
                architecture, network.macs, network.params, 20, seeds,
                tuple(a + 0.004 for a in accuracy), accuracy,
            )  # fmt: skip
            other = replace(
                net,
                architecture=Architecture(space.name, tuple(0 for _ in choices)),
                test_accuracy=tuple(a - 0.006 for a in accuracy),
            )
            write_record(folder, TrainingRecord("digits", net, other))
        return folder

    return write


def history(target: str, limit: Limit, steps: int) -> str:
    noise = np.random.default_rng(len(target))
    lines = []
    for step in range(5, steps + 1, 5):
        warm = step <= 0.4 * steps
        share = 1.25 if warm else 0.97 + 0.28 * np.exp(-(step / steps - 0.4) * 9)
        lines.append(
            {
                "step": step,
                "total": steps,
                "phase": "warm-up" if warm else "search",
                "loss": float(0.35 + 1.9 * np.exp(-4 * step / steps) + noise.normal(0, 0.06)),
                "validation_loss": None if warm else float(0.4 + noise.normal(0, 0.05)),
                "accuracy": float(min(1, 0.97 - 0.8 * np.exp(-5 * step / steps))),
                "expected": [float(limit.limit * share)],
                "lam": [0.0 if warm else float(0.4 * (1 - np.exp(-(step / steps - 0.4) * 5)))],
                "entropy": 1.94 if warm else float(1.94 * np.exp(-(step / steps - 0.4) * 2)),
            }
        )
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture(scope="session")
def write_model(space: BlockSpace) -> Callable[..., Path]:
    """Writes a model folder with held-out errors and, if asked for, a calibration."""

    def write(
        folder: Path,
        device: str,
        *,
        name: str = "ridge",
        origin: str = "measured",
        networks: int = 30,
    ) -> Path:
        random = np.random.default_rng(7)
        folder.mkdir(parents=True)
        operators = space.all_operators()
        table = LatencyTable(
            condition(device),
            origin,
            {o: Entry(5, operator_ms(o, device), 1e-4) for o in operators},
        )
        write_table(table, folder / TABLE)
        errors = random.normal(0, 0.04, len(operators))
        rows = tuple(
            HeldOutRow(o, kind_of(o), table[o], table[o] * (1 + float(e)), float(e))
            for o, e in zip(operators, errors, strict=True)
        )
        write_json(folder / HELD_OUT, HeldOut(CROSS_VALIDATION, 5, rows).to_json())
        config = {"model": name, "device": device, "origin": origin, "space": space.name}
        write_json(folder / MANIFEST, manifest(KIND, config=config, seed=0, parents={}))
        if networks:
            write_calibration(folder, space, device, networks)
        return folder

    return write


def write_calibration(folder: Path, space: BlockSpace, device: str, count: int) -> None:
    random = np.random.default_rng(3)
    sums, macs, choices, numbers = [], [], [], []
    for _ in range(count):
        chosen = tuple(int(random.integers(len(b.candidates))) for b in space.blocks)
        operators = space.operators(Architecture(space.name, chosen))
        sums.append(sum(operator_ms(o, device) for o in operators))
        numbers.append(len(operators))
        macs.append(sum(o.macs for o in operators))
        choices.append(chosen)
    true = [0.91 * s + 0.01 for s in sums]
    measured = [t * (1 + float(random.normal(0, 0.02))) for t in true]
    found = Calibration.fit(sums, numbers, measured)
    rows = [
        {
            "choices": list(c),
            "macs": m,
            "sum_ms": s,
            "predicted_ms": found.intercept_ms + found.slope * s + found.per_operator_ms * n,
            "measured_ms": y,
            "low_ms": 0.99 * y,
            "high_ms": 1.01 * y,
        }
        for c, m, s, n, y in zip(choices, macs, sums, numbers, measured, strict=True)
    ]
    write_json(folder / CALIBRATION, {"calibration": found.to_json(), "networks": rows})


# Large kernels suit the first made-up engine, small ones with more expansion the second.
FOR_ORT = (4, 4, 2, 6, 4, 5, 2, 4, 5, 4, 6, 4)
FOR_TFLITE = (1, 1, 0, 1, 1, 1, 6, 0, 1, 1, 0, 6)
FOR_MACS = (2, 0, 4, 0, 2, 2, 0, 1, 2, 0, 4, 1)


@pytest.fixture(scope="session")
def write_everything(
    write_run: Callable[..., Path], write_model: Callable[..., Path]
) -> Callable[..., Path]:
    """Writes what a whole flow leaves: three runs and two calibrated models."""

    def write(folder: Path, origin: str = "measured") -> Path:
        write_run(folder / "runs" / "ort", ORT, FOR_ORT, origin=origin)
        write_run(
            folder / "runs" / "tflite", TFLITE, FOR_TFLITE,
            accuracy=(0.979, 0.98, 0.984), origin=origin,
        )  # fmt: skip
        write_run(folder / "runs" / "macs", "macs", FOR_MACS, accuracy=(0.98,), origin=origin)
        for device in RUNTIMES:
            write_model(folder / "models" / device / "ridge", device, origin=origin)
        return folder

    return write


@pytest.fixture(scope="session")
def everything(
    tmp_path_factory: pytest.TempPathFactory, write_everything: Callable[..., Path]
) -> ReportInputs:
    return read_inputs([write_everything(tmp_path_factory.mktemp("reports") / "flow")])
