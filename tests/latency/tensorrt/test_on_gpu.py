"""Sessions on a real GPU, with torch in TensorRT's place: everything else is what it will be."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from elat.core.errors import UnavailableError
from elat.devices.device import Gpu, find_device
from elat.devices.nvml import open_gpu
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Cache, Condition
from elat.latency.energy import EnergyOrder
from elat.latency.flags import Flag
from elat.latency.measure import measure
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.latency.precision import Precision
from elat.latency.protocol import SCREEN
from elat.latency.runtimes.tensorrt import TensorRt
from elat.latency.store import open_store
from elat.latency.tensorrt.cuda import load_api, missing_gpu_reason

WORKER = (sys.executable, "-P", str(Path(__file__).parent / "torch_engine.py"))
OPERATORS = (
    Conv(96, 96, 28, 3),
    MBConv(32, 32, 56, 3, 1, 6),
    Chain(tuple(MBConv(32, 32, 56, 3, 1, 6) for _ in range(4))),
)


def missing() -> str | None:
    try:
        reason = missing_gpu_reason(load_api(), 0)
    except UnavailableError as error:
        return str(error)
    return reason or (None if torch.cuda.is_available() else "torch has no CUDA")


pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(missing() is not None, reason=f"needs a GPU: {missing()}"),
]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    from elat.latency.tensorrt import package

    from . import fake_tensorrt, torch_engine

    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fake_tensorrt, "Engine", fake_tensorrt.Engine)
    monkeypatch.setattr(package, "_version", package._version)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return torch_engine.install()


def under(precision=Precision.FP16, cache=Cache.HOT, **options):
    found = replace(Condition.of(find_device("local-tensorrt")).of_models, cache=cache)
    runtime = TensorRt()
    given = runtime.options({**dict(found.options), **options})
    return replace(
        found,
        precision=precision,
        options=tuple(sorted(given.items())),
        interval=runtime.interval(given),
    )


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_computes_what_torch_computes_on_the_cpu(machine, tmp_path, precision, cuda_graph):
    condition = under(precision, cuda_graph=cuda_graph)
    artefact = ArtefactCache(tmp_path).artefact(OPERATORS[1], condition)
    with TensorRt().open(artefact.model_path, artefact.inputs, condition) as session:
        artefact.check(session.output())
        sample = session.time_loops(50)
        artefact.check(session.output())
    assert 1e-4 < sample.wall_ms < 5
    assert sample.gpu is not None
    assert sample.gpu.clock_mhz > 0
    assert sample.gpu.power_mw > 0


def test_a_chain_takes_its_length(machine, tmp_path):
    """Four blocks take four times as long as one, hot and cold; host to host more."""
    cache = ArtefactCache(tmp_path)

    def run_ms(operator, condition):
        artefact = cache.artefact(operator, condition)
        with TensorRt().open(artefact.model_path, artefact.inputs, condition) as session:
            for _ in range(10):
                session.time_loops(20)
            return sorted(session.time_loops(100).wall_ms for _ in range(11))[5]

    hot, cold = under(), under(cache=Cache.COLD)
    one, four = (run_ms(operator, hot) for operator in OPERATORS[1:])
    assert 3.4 < four / one < 4.4
    assert run_ms(OPERATORS[1], cold) > one
    assert run_ms(OPERATORS[1], under(transfers=True)) > one


def test_measured_in_fresh_workers(machine, tmp_path):
    condition = under()
    protocol = replace(SCREEN, name="gpu", min_launches=3, max_launches=3, looks=(3,))
    with open_store(tmp_path / "store.db") as store:
        steps = list(
            measure(
                OPERATORS,
                condition,
                protocol,
                store,
                ArtefactCache(tmp_path / "a"),
                seed=0,
                worker_command=WORKER,
                energy=EnergyOrder(power=None, gpu=Gpu()),
            )
        )
        assert [step.failure for step in steps if step.failure] == []
        found = {m.operator: m for m in store.measurements(condition)}
        for operator, measurement in found.items():
            low, high = measurement.interval()
            energies = [launch.energy for launch in measurement.launches]
            print(
                f"{operator}: {1e3 * measurement.latency_ms:.2f} us, "
                f"{1e3 * low:.2f} to {1e3 * high:.2f}, "
                f"raw {1e3 * measurement.latency_raw_ms:.2f}, "
                f"{sorted(measurement.flags)}, clean {measurement.clean_share:.2f}, {energies[0]}"
            )
    assert set(found) == set(OPERATORS)
    for measurement in found.values():
        assert measurement.relative_half_width < 0.2
        assert Flag.ENQUEUE_BOUND not in measurement.flags
        assert measurement.clean_share > 0.5


def test_without_graphs_small_operators_wait_for_the_host(machine, tmp_path):
    condition = under(cuda_graph=False)
    artefact = ArtefactCache(tmp_path).artefact(OPERATORS[0], condition)
    with TensorRt().open(artefact.model_path, artefact.inputs, condition) as session:
        for _ in range(20):
            session.time_loops(50)
        sample = session.time_loops(200)
    assert sample.cpu_ns > 0.5 * sample.wall_ns


def test_nothing_is_left_on_the_gpu(machine, tmp_path):
    condition = under()
    artefact = ArtefactCache(tmp_path).artefact(OPERATORS[0], condition)
    free = []
    for _ in range(4):
        with TensorRt().open(artefact.model_path, artefact.inputs, condition) as session:
            session.time_loops(10)
        torch.cuda.empty_cache()
        free.append(torch.cuda.mem_get_info()[0])
    assert free[3] >= free[1] - (8 << 20)


def test_the_driver_and_cuda_agree_on_the_gpu(machine):
    environment = TensorRt().environment(under())
    with open_gpu(Gpu()) as gpu:
        assert environment["gpu"]["name"] == gpu.identity()["name"]
    assert environment["gpu"]["capability"].startswith("sm")
    assert TensorRt().state(under())["temperatures_c"]["gpu"] > 0
