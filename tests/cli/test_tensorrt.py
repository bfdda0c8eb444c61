"""Every verb with the devices of TensorRT: on a pretended GPU, and where something is missing.

The processes are real ones, workers included; what they import as CUDA and TensorRT is in
`tests/latency/tensorrt`. Its GPU takes a known time for every node and multiply-add.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace

import onnx
import pytest

from elat.latency.condition import Cache, Method
from elat.latency.export import seeded_module
from elat.latency.flags import Flag
from elat.latency.graph.tensorrt_onnx import write_tensorrt_onnx
from elat.latency.methods import METHODS, Subjects
from elat.latency.methods.recipe import RecipeMethod
from elat.latency.models.folder import read_model
from elat.latency.operators import Operator
from elat.latency.precision import Precision
from elat.latency.sample import Interval
from elat.latency.store import open_store
from elat.latency.table import read_table
from elat.search.result import read_run
from elat.search.spaces import find_space

from .conftest import SETTINGS, TINY, Said

SITE = Path(__file__).parents[1] / "latency/tensorrt/site"
NODE_NS = 200_000
# Raised by the GPU and its time alone; others tell of the machine that the test runs on.
OF_THE_GPU = {Flag.NOT_CONVERGED, Flag.WARMUP_CAP, Flag.ENQUEUE_BOUND, Flag.PRECISION_CHANGED}
COPIES_MS = 0.005
ELAT = Path(sys.executable).with_name("elat")
MODULES = ("tensorrt", "tensorrt_rtx", "cuda", "pynvml")
BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({MODULES}))"
IMPORTED = f"""
import sys
from elat.cli import main
try:
    main()
except SystemExit as end:
    print(sorted(set(sys.modules) & {{*{MODULES}}}), end.code, file=sys.stderr)
"""


def run(command, home: Path, site: Path | None) -> Said:
    """Run `command` where `site` says what is installed; None for what this machine has."""
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    given |= {"ELAT_HOME": str(home), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    if site is not None:
        given["PYTHONPATH"] = str(site)
    done = subprocess.run(list(map(str, command)), env=given, capture_output=True, text=True)
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Machine:
    """A folder, and what commands say on the machine with the pretended GPU."""

    folder: Path
    said: dict[str, Said]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def space(self) -> Path:
        return self.folder / "tiny.yaml"

    def elat(self, *arguments: object) -> Said:
        """What `elat arguments... --json` says; it must succeed."""
        said = run((ELAT, *arguments, "--json"), self.home, SITE)
        assert said.code == 0, said.err
        return said

    def step(self, verb: str, *arguments: object) -> None:
        """Run a verb, and remember what it said."""
        self.said[verb] = self.elat(verb, *arguments)


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Machine:
    """An empty home on the machine with the pretended GPU."""
    found = Machine(tmp_path_factory.mktemp("gpu"), {})
    found.space.write_text(TINY)
    return found


@pytest.fixture(scope="module")
def flow(machine: Machine) -> Machine:
    """measure, table, fit, calibrate, search, verify and report on `local-tensorrt`."""
    where = ("--device", "local-tensorrt", "--space", machine.space)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    out = machine.folder
    machine.step("measure", *where)
    machine.step("table", *where, "--out", out / "table.yaml")
    machine.step("fit", *where, "--model", "ridge")
    machine.step("calibrate", *where, "--networks", 6)
    machine.step("search", *where, "--bound-quantile", 0.5, "--out", out / "run", *settings)
    machine.step("verify", out / "run", "--protocol", "screen")
    machine.step("report", out / "run", "--out", out / "report")
    return machine


@cache
def pretended_ms(model: Operator) -> float:
    """What the pretended GPU takes for `model`, from its nodes and multiply-adds."""
    graph = model.lower(seeded_module(model, 0))
    file = onnx.load_from_string(write_tensorrt_onnx(graph, Precision.FP32))
    return (len(file.graph.node) * NODE_NS + model.macs) / 1e6


def in_situ_ms(operator: Operator) -> float:
    method = METHODS[Method.IN_SITU]
    assert isinstance(method, RecipeMethod)
    terms = method.recipe(operator).terms
    return sum(weight * pretended_ms(model) for model, weight in terms)


def test_the_device_is_there(machine):
    rows = {row["id"]: row["reason"] for row in machine.elat("devices").json}
    assert rows["local-tensorrt"] is None
    assert rows["local-tensorrt-fp16"] is None


def test_the_doctor_finds_the_runtime(machine):
    said = run((ELAT, "doctor", "local-tensorrt", "--json"), machine.home, SITE)
    found = {check["name"]: check for check in said.json}
    assert found["runtime tensorrt"]["status"] == "pass"
    assert "tensorrt 10.13.0" in found["runtime tensorrt"]["found"]
    # The clocks of the pretended machine are told by nobody, and that is said.
    assert (found["GPU"]["status"], found["GPU"]["known"]) == ("warn", False)
    assert said.code == (3 if any(c["status"] == "fail" for c in said.json) else 0)


@pytest.mark.slow
def test_measured_on_the_gpu_by_its_own_clock(flow):
    assert flow.said["measure"].json["failures"] == 0
    with open_store(flow.home / "measurements.db", create=False) as store:
        (condition,) = store.conditions()
        found = store.measurements(condition)
    assert (condition.device, condition.precision) == ("local-tensorrt", Precision.FP32)
    assert condition.interval is Interval.DEVICE_COMPUTE
    assert condition.runtime_version == "tensorrt 10.13.0"
    for measurement in found:
        assert measurement.origin == "measured"
        assert not measurement.flags & OF_THE_GPU
        assert measurement.latency_ms == pytest.approx(
            pretended_ms(measurement.operator), rel=1e-3
        )
        assert measurement.state_before["engine"]["precisions"] == ["FP32"]


@pytest.mark.slow
def test_the_table_holds_what_the_gpu_takes(flow):
    table = read_table(flow.folder / "table.yaml")
    assert set(table) == {o for o in find_space(str(flow.space)).all_operators() if not o.is_free}
    assert table.origin == "measured"
    assert table.condition.interval is Interval.DEVICE_COMPUTE
    for operator, latency_ms in table.items():
        assert latency_ms == pytest.approx(in_situ_ms(operator), rel=1e-3)


@pytest.mark.slow
def test_the_model_is_fitted_and_calibrated(flow):
    model = read_model(Path(flow.said["calibrate"].json["out"]))
    assert model.table == read_table(flow.folder / "table.yaml")
    assert model.calibration is not None
    # Nothing overlaps on the pretended GPU: what is left is what ridge makes of the table.
    assert model.calibration.mape_before < 0.05


@pytest.mark.slow
def test_the_certificate_holds(flow):
    run = read_run(flow.folder / "run")
    assert run.result.origin == "measured"
    (limit,) = run.result.limits
    assert (limit.name, limit.unit) == ("local-tensorrt", "ms")
    certificate = run.certificate
    assert certificate is not None
    assert certificate.is_met
    devices = [found.device for found in certificate.measured]
    assert devices[0] == "local-tensorrt"
    first = certificate.measured[0]
    network = find_space(str(flow.space)).network(certificate.architecture)
    assert first.origin == "measured"
    assert first.condition["interval"] == Interval.DEVICE_COMPUTE
    assert first.low_ms <= pretended_ms(network) <= first.high_ms <= limit.limit


@pytest.mark.slow
def test_the_report_is_about_the_device(flow):
    page = Path(flow.said["report"].json["page"]).read_text()
    assert "local-tensorrt" in page
    assert "tensorrt 10.13.0, fp32" in page


CARDS = {
    "gpu-int8": "precision: int8",
    "gpu-cold": "cache: cold",
    "gpu-transfers": "options: {transfers: true}",
}


@pytest.fixture(scope="module")
def cards(machine: Machine) -> dict[str, Path]:
    """Devices that are one GPU, under three conditions that are measured into one store."""
    paths = {}
    for name, text in CARDS.items():
        paths[name] = machine.folder / f"{name}.yaml"
        paths[name].write_text(
            f"{{schema: 1, id: gpu, kind: local_gpu, gpu: {{index: 0}}, "
            f"runtime: {{name: tensorrt, method: block, {text}}}}}"
        )
        where = ("--device", paths[name], "--space", machine.space)
        store = ("--store", machine.folder / "cards.db")
        said = machine.elat("measure", *where, *store)
        assert said.json["failures"] == 0
        assert said.json["new_launches"] > 0, "what was measured under another condition counted"
        machine.elat("table", *where, *store, "--out", machine.folder / f"{name}-table.yaml")
    return paths


@pytest.mark.slow
def test_conditions_of_one_device_never_mix(machine, cards):
    tables = {name: read_table(machine.folder / f"{name}-table.yaml") for name in cards}
    conditions = {name: table.condition for name, table in tables.items()}
    assert len(set(conditions.values())) == 3
    assert {condition.device for condition in conditions.values()} == {"gpu"}
    assert conditions["gpu-int8"].precision is Precision.INT8
    assert conditions["gpu-cold"].cache is Cache.COLD
    assert conditions["gpu-transfers"].interval is Interval.TRANSFERS_AND_COMPUTE
    cases = METHODS[Method.BLOCK].cases(Subjects(find_space(str(machine.space)).all_operators()))
    with open_store(machine.folder / "cards.db", create=False) as store:
        assert set(store.conditions()) == set(conditions.values())
        for condition in conditions.values():
            assert {m.operator for m in store.measurements(condition)} == set(cases)
    for operator in cases:
        int8, cold, travelled = (tables[name][operator] for name in CARDS)
        # Behind a sweep it takes what it takes; copies and waiting come on top, and quantised
        # files have nodes of their own.
        assert cold == pytest.approx(pretended_ms(operator), rel=1e-3)
        assert cold + COPIES_MS < travelled < int8


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """What is installed on a machine without anything of NVIDIA's."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    return tmp_path


def test_without_the_package_every_verb_says_so(bare, tmp_path):
    space, home = tmp_path / "tiny.yaml", tmp_path / "home"
    space.write_text(TINY)
    said = run((ELAT, "devices", "--json"), home, bare)
    assert said.code == 0
    reasons = {row["id"]: row["reason"] for row in said.json}
    assert "pip install 'elat[tensorrt]'" in reasons["local-tensorrt"]
    assert reasons["local-ort"] is None
    said = run((ELAT, "doctor", "local-tensorrt", "--json"), home, bare)
    assert said.code == 3
    (check,) = (c for c in said.json if c["name"] == "runtime tensorrt")
    assert check["status"] == "fail"
    assert check["repair"].startswith("pip install")
    for verb in ("measure", "build"):
        said = run((ELAT, verb, "--device", "local-tensorrt", "--space", space), home, bare)
        assert said.code == 3
        assert said.error.startswith("Neither tensorrt nor tensorrt-rtx is installed")
        assert said.out == ""


@pytest.mark.parametrize("arguments", [("--help",), ("measure", "--help"), ("build", "--help")])
def test_help_imports_nothing_of_nvidia(tmp_path, arguments):
    said = run((sys.executable, "-P", "-c", IMPORTED, *arguments), tmp_path / "home", None)
    assert said.err.split("\n")[0] == "[] 0"


class _Error(IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorInsufficientDriver = 35  # noqa: N815


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "cuda-python is not installed; install it with: pip install cuda-python"),
        ((_Error.cudaErrorInsufficientDriver, None), "The NVIDIA driver does not answer"),
        ((_Error.cudaSuccess, 0), "CUDA finds no GPU"),
    ],
)
def test_what_else_is_missing_is_named(elat, empty_home, tiny, monkeypatch, answer, reason):
    package = ModuleType("tensorrt")
    package.__spec__ = SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setattr("elat.latency.tensorrt.package._version", lambda name: "10.13.0")
    monkeypatch.setitem(sys.modules, "tensorrt", package)
    bindings = SimpleNamespace(runtime=SimpleNamespace(cudaGetDeviceCount=lambda: answer))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings if answer else None)
    reasons = {row["id"]: row["reason"] for row in elat("devices", "--json").json}
    assert reason in reasons["local-tensorrt"]
    said = elat("doctor", "local-tensorrt", "--json")
    assert said.code == 3
    (check,) = (c for c in said.json if c["name"] == "runtime tensorrt")
    assert check["status"] == "fail"
    assert check["repair"] and check["repair"] in reasons["local-tensorrt"]
    said = elat("build", "--device", "local-tensorrt", "--space", tiny)
    assert said.code == 3
    assert reason in said.error
