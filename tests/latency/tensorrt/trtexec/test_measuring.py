"""Measuring from end to end with a pretended trtexec, and everything that can go wrong with it."""

from __future__ import annotations

import io
import json
import statistics
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from elat.core.errors import MeasurementError
from elat.datasets.corpora.locate import corpus_folder
from elat.devices.device import Device, DeviceKind, Gpu
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Cache, Condition
from elat.latency.flags import Flag
from elat.latency.imports.trtexec_times import TrtexecTimes
from elat.latency.launcher import default_command, start_worker
from elat.latency.measure import measure
from elat.latency.operators.conv import Conv
from elat.latency.operators.sum import Sum
from elat.latency.precision import Precision
from elat.latency.protocol import SCREEN
from elat.latency.runtimes.trtexec import Trtexec
from elat.latency.sample import Clock, Interval
from elat.latency.store import open_store
from elat.latency.tensorrt.trtexec.worker import serve

from .fake_trtexec import COMPUTE_MS, ENQUEUE_MS, GRAPH_SAVES_MS, SPIN_SAVES_MS, TRANSFER_MS

CONV = Conv(3, 4, resolution=8, kernel=3)
QUICK = replace(
    SCREEN,
    name="quick",
    target=10.0,
    min_launches=2,
    max_launches=2,
    looks=(2,),
    passes=4,
    timeout_s=20.0,
)
VERSIONS = ("8.6.1", "10.13.0", "11.2.1")
SAMPLES = corpus_folder().parent / "samples" / "trtexec"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return ArtefactCache(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture
def fresh(tmp_path):
    """Artefacts without engines beside them."""
    return ArtefactCache(tmp_path / "artefacts")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened


def condition(precision="fp32", cache="hot", **options):
    runtime = {"name": "trtexec", "precision": precision, "cache": cache, "options": options}
    return Condition.of(Device("card", DeviceKind.LOCAL_GPU, "", runtime, gpu=Gpu()))


def request(folders, wanted, **changes):
    return {
        "group": [
            {"case": str(index), "artefact": str(folder), "slices": 1}
            for index, folder in enumerate(folders)
        ],
        "sentinel": None,
        "condition": wanted.to_json(),
        "protocol": QUICK.to_json(),
        "seed": 0,
        "affinity": None,
        **changes,
    }


def served(*requests):
    out = io.StringIO()
    serve(io.StringIO("".join(json.dumps(one) + "\n" for one in requests)), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def answer(cache, wanted, operator=CONV, **changes):
    """What the worker answers for the one case `operator`."""
    folder = cache.artefact(operator, wanted).folder
    (found,) = (m for m in served(request([folder], wanted, **changes)) if "case" in m)
    return found


def measured(cache, store, wanted, operator=CONV):
    for _ in measure([operator], wanted, QUICK, store, cache, seed=0):
        pass
    (found,) = store.measurements(wanted)
    return found


def test_launches_are_stored_as_measured_ones_of_trtexec(trtexec, cache, store):
    found = measured(cache, store, condition())
    assert (found.origin, found.condition.launch) == ("measured", "trtexec")
    assert found.condition.runtime_version == "TensorRT 10.13.0 (trtexec)"
    assert found.condition.interval is Interval.DEVICE_COMPUTE
    assert found.condition.clock is Clock.WALL
    assert found.count == 2
    for launch in found.launches:
        assert {sample.wall_ms for sample in launch.samples} == {COMPUTE_MS}
        assert {round(sample.cpu_ms, 3) for sample in launch.samples} == {ENQUEUE_MS}
        assert len(launch.samples) == QUICK.passes * QUICK.slice_ms / COMPUTE_MS
        assert launch.is_warm
        assert launch.warmup_calls == 220
        assert launch.init_ms == 125.0
        assert launch.first_call_ms == COMPUTE_MS
        assert launch.output_error < 1e-4
    assert Flag.ENQUEUE_BOUND not in found.flags


def test_what_it_depends_on_is_noted(trtexec, cache):
    trtexec.be("10.6.0")
    found = answer(cache, condition())
    assert found["environment"]["trtexec"] == {"path": str(trtexec.path), "version": "10.6.0"}
    assert found["environment"]["gpu"]["name"] == "NVIDIA Pretend 4090"
    assert found["environment"]["gpu"]["capability"] == "8.9"
    engine, noted = found["state"]["engine"], found["state"]["trtexec"]
    assert len(engine["sha256"]) == 64
    assert engine["bytes"] > 0
    assert engine["precisions"] == ["FP32"]
    assert [command[1:] for command in noted["commands"]] == trtexec.commands
    assert all(command[0] == str(trtexec.path) for command in noted["commands"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize("transfers", [False, True])
@pytest.mark.parametrize("spin_wait", [False, True])
def test_modes_are_the_same_in_every_version(
    trtexec, cache, version, cuda_graph, transfers, spin_wait
):
    trtexec.be(version)
    wanted = condition(cuda_graph=cuda_graph, transfers=transfers, spin_wait=spin_wait)
    found = answer(cache, wanted)
    (taken_ns,) = {row[1] for row in found["launch"]["samples"]}
    compute = COMPUTE_MS - GRAPH_SAVES_MS * cuda_graph - SPIN_SAVES_MS * spin_wait
    assert taken_ns / 1e6 == compute + 2 * TRANSFER_MS * transfers
    assert found["state"]["trtexec"]["warnings"] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_outputs_are_compared_with_torchs_in_the_networks_types(
    trtexec, cache, version, precision
):
    trtexec.be(version)
    found = answer(cache, condition(precision))
    assert "error" not in found
    # The artefact holds int8 against torch by its noise; single values may be a few steps off.
    assert found["launch"]["output_error"] < {"fp32": 1e-4, "fp16": 0.01, "int8": 0.5}[precision]


def test_several_inputs_are_given_each_its_own(trtexec, cache):
    found = answer(cache, condition(), Sum(3, 4, 8))
    (given,) = (word for word in trtexec.commands[-1] if word.startswith("--loadInputs="))
    assert given.count(":") == 3
    assert found["launch"]["output_error"] < 1e-4


def test_an_engine_is_built_once_for_each_version_gpu_and_way(trtexec, fresh):
    def builds():
        return sum("--skipInference" in command for command in trtexec.commands)

    answer(fresh, condition())
    answer(fresh, condition(cuda_graph=True))
    assert builds() == 1
    answer(fresh, condition(tf32=True))
    answer(fresh, condition(optimisation_level=5))
    assert builds() == 3
    trtexec.be("11.0.0")
    answer(fresh, condition())
    assert builds() == 4
    folder = fresh.artefact(CONV, condition()).folder / "engines"
    assert len([path for path in folder.iterdir() if path.name.startswith("trtexec-")]) == 4
    assert not list(folder.glob(".new-*"))


def test_the_timing_cache_is_shared(trtexec, fresh):
    answer(fresh, condition())
    answer(fresh, condition(), Conv(3, 5, resolution=8, kernel=3))
    folder = trtexec.path.parent.parent / "home" / "timing-caches"
    (path,) = folder.iterdir()
    assert path.read_text() == "timed\ntimed\n"


def test_an_engine_that_was_changed_is_refused(trtexec, fresh):
    wanted = condition()
    answer(fresh, wanted)
    (plan,) = fresh.artefact(CONV, wanted).folder.glob("engines/*/engine.plan")
    plan.write_bytes(plan.read_bytes() + b" ")
    assert "was changed since it was built" in answer(fresh, wanted)["error"]["message"]


def test_an_engine_of_another_gpu_is_refused(trtexec, fresh):
    answer(fresh, condition())
    trtexec.on("NVIDIA Other 3090")
    message = answer(fresh, condition())["error"]["message"]
    assert "was built on NVIDIA Pretend 4090, and this is NVIDIA Other 3090" in message


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        ("parser", "UNSUPPORTED", "Assertion failed: no Tile like that"),
        ("kernel", "UNSUPPORTED", "Could not find any implementation for node {conv}."),
        ("memory", "RUNTIME", "amount of GPU memory is not there"),
        ("crash", "RUNTIME", "trtexec was ended by SIGSEGV"),
        ("no-engine", "RUNTIME", "wrote no engine"),
        ("failed-0", "RUNTIME", "something is amiss"),
        ("no-times", "RUNTIME", "wrote no times.json"),
        ("cut-times", "RUNTIME", "wrote no readable times"),
        ("cut-output", "RUNTIME", "no readable values"),
        ("few-values", "RUNTIME", "values of the output"),
        ("wrong-output", "WRONG_OUTPUT", "differs from torch by 100"),
        ("nan-output", "WRONG_OUTPUT", "not finite"),
    ],
)
def test_what_goes_wrong_is_said(trtexec, fresh, trouble, kind, words):
    wanted = condition()
    trtexec.trouble(trouble)
    error = answer(fresh, wanted)["error"]
    assert error["class"] == kind
    assert words in error["message"]
    assert "Engine set up failed" not in error["message"]


def test_a_refused_model_is_stored_once_and_the_others_are_measured(trtexec, fresh, store):
    wanted = condition()
    trtexec.trouble("parser")
    for _ in measure([CONV], wanted, QUICK, store, fresh, seed=0):
        pass
    (failure,) = store.failures(wanted)[CONV]
    assert failure.error_class == "UNSUPPORTED"
    assert store.measurements(wanted) == []


def test_wrong_outputs_are_never_timed(trtexec, fresh):
    trtexec.trouble("wrong-output")
    answer(fresh, condition())
    assert len(trtexec.commands) == 2


def test_a_graph_that_cannot_be_recorded_is_no_graph(trtexec, fresh):
    trtexec.trouble("no-capture")
    assert "cuda_graph: false" in answer(fresh, condition(cuda_graph=True))["error"]["message"]
    assert "error" not in answer(fresh, condition())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_does_not_heed_its_flags_is_found_out(trtexec, fresh, version):
    trtexec.be(version).trouble("deaf")
    message = answer(fresh, condition())["error"]["message"]
    assert "CUDA Graph: Enabled, which is not what was asked for" in message


def test_layers_that_are_no_json_are_left_out(trtexec, fresh):
    trtexec.trouble("bad-layers")
    found = answer(fresh, condition())
    assert found["state"]["engine"]["precisions"] == []


@pytest.mark.parametrize("trouble", ["hang-run", "hang-build"])
def test_a_hung_program_is_ended_with_its_children(trtexec, fresh, tmp_path, monkeypatch, trouble):
    monkeypatch.setattr("elat.latency.tensorrt.trtexec.engines.BUILD_PATIENCE", 1)
    wanted = condition()
    folder = fresh.artefact(CONV, wanted).folder
    if trouble == "hang-run":
        answer(fresh, wanted)
    trtexec.trouble(trouble)
    began = time.monotonic()
    messages = served(request([folder], wanted, protocol=replace(QUICK, timeout_s=1.5).to_json()))
    assert "did not end within 1.5 s" in messages[-1]["error"]["message"]
    assert time.monotonic() - began < 15
    assert not _at_work(tmp_path)
    assert sum(m.get("phase") == "load" for m in messages) > 1


def test_a_worker_that_is_killed_takes_the_program_with_it(trtexec, fresh, tmp_path):
    wanted = condition()
    line = json.dumps(request([fresh.artefact(CONV, wanted).folder], wanted)) + "\n"
    trtexec.trouble("hang-build")
    with start_worker(default_command(Trtexec.worker), 30) as worker:
        worker.send(json.loads(line))
        _wait_until(lambda: trtexec.commands and _at_work(tmp_path))
        worker.kill()
        _wait_until(lambda: not _at_work(tmp_path))


def _wait_until(is_so):
    """Wait until it is so, at most as long as a busy machine takes to start or end a process."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _at_work(folder):
    """Processes that work on files in `folder`."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.add(path)
    return found


def test_a_build_that_failed_leaves_nothing(trtexec, fresh):
    wanted = condition()
    trtexec.trouble("crash")
    answer(fresh, wanted)
    assert list((fresh.artefact(CONV, wanted).folder / "engines").iterdir()) == []
    trtexec.trouble("")
    assert "error" not in answer(fresh, wanted)


def test_another_version_than_the_conditions_is_refused(trtexec, fresh, store):
    wanted = condition()
    fresh.artefact(CONV, wanted)
    trtexec.be("10.14.0")
    with pytest.raises(MeasurementError, match=r"is TensorRT 10\.14\.0 .* of TensorRT 10\.13\.0"):
        measured(fresh, store, wanted)


def test_cold_caches_are_refused(trtexec, cache):
    wanted = replace(condition(), cache=Cache.COLD)
    folder = cache.artefact(CONV, wanted).folder
    error = served(request([folder], wanted))[-1]["error"]
    assert error["class"] == "BAD_REQUEST"
    assert "cache: hot" in error["message"]


def test_an_energy_that_is_asked_for_has_a_reason_not_to_be_there(trtexec, cache):
    found = answer(cache, condition(), energy={"gpu": {"index": 0}})
    assert "trtexec has no slice" in found["launch"]["energy"]["error"]


def test_bf16_is_refused_where_there_is_none(trtexec, fresh):
    trtexec.be("8.6.1")
    message = answer(fresh, condition(Precision.BF16))["error"]["message"]
    assert "8.6.1 (trtexec) has no engines in bf16" in message


@pytest.mark.parametrize(
    "name",
    [
        "a100_resnet_fp16/resnet.onnx.engine.timing.json",
        "trt8_mobilenet_qat/mobilenet_v2_residuals.qat.onnx.engine.timing.first1000.json",
        "synthetic_legacy/times_8.2_endToEndMs.json",
    ],
)
def test_recorded_times_become_a_launch_with_the_importers_median(trtexec, cache, name):
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"There is no {path}; the folder of samples lies beside that of ELAT_DATA.")
    row, _ = TrtexecTimes().read(path.read_bytes()).rows
    trtexec.hand_out(path)
    found = answer(cache, condition())
    if "error" in found:  # all of a file's inferences may be of its warm-up
        assert Flag.WARMUP_CAP in row.flags
        assert "warm-up" in found["error"]["message"]
        return
    taken_ms = [sample[1] / 1e6 for sample in found["launch"]["samples"]]
    assert statistics.median(taken_ms) == pytest.approx(row.value, abs=1e-6)
    assert len(taken_ms) == row.count
    spent_ms = statistics.median(sample[2] / 1e6 for sample in found["launch"]["samples"])
    assert spent_ms == pytest.approx(row.facts["enqueue_ms"], abs=1e-6)
