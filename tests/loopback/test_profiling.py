"""Models profiled through the stand-in for benchmark_model, against LiteRT's own profiler."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from elat.cli.app import app
from elat.core.errors import ConfigError, DeviceInUseError, MeasurementError, UnavailableError
from elat.devices.device import find_device
from elat.flows.measuring import Campaign, default_cache, evidence_of, measure_operators
from elat.flows.profiling import ProfileOrder, profile_model
from elat.latency.benchmark_model import run
from elat.latency.condition import Cache, Condition, Method
from elat.latency.graph.ir import GraphBuilder
from elat.latency.graph.tflite_file import write_tflite
from elat.latency.methods import METHODS, Subjects
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.profiling import program_bench
from elat.latency.profiling.bench import Effort, Subject
from elat.latency.profiling.model_file import ModelInput, read_model
from elat.latency.profiling.opening import open_bench
from elat.latency.profiling.parts import profile_network, profile_operator, profile_operators
from elat.latency.profiling.passes import ask_times_ms, unavailable_reason
from elat.latency.profiling.profile import Profile
from elat.latency.protocol import SCREEN
from elat.latency.store import open_store
from elat.search.zoo.net_config import NetConfig, write_net_config

from ..devices.phone.texts import write_cool_programs
from .claims import take_over
from .stand_ins import install_stand_in, missing_reason

pytestmark = pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason()))

QUICK = Effort(runs=2, processes=1)
CONV, BLOCK = Conv(3, 8, 16, 3, 2), MBConv(8, 8, 8, 3, expand=3)
NETWORK = Chain((CONV, BLOCK, GlobalPool(8, 8), Linear(8, 10)))
NAMED = Chain(
    (
        Conv(3, 8, 224, 3, 2),
        MBConv(8, 8, 112, 3),
        Conv(8, 16, 112, 1),
        GlobalPool(16, 112),
        Linear(16, 5),
    )
)
PROTOCOL = replace(
    SCREEN, name="quick", target=10.0, min_launches=1, max_launches=1, looks=(1,), passes=1
)


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Invocations as short as may be: these tests look at what is told, not at times."""
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ELAT_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(program_bench, "_TIMINGS", 1)
    for name in ("_TIMED_S", "_PROFILED_S", "_WARM_UP_S"):
        monkeypatch.setattr(program_bench, name, 0.0)
    monkeypatch.setattr(run, "_POLL_S", 0.1)


@pytest.fixture
def device(tmp_path):
    """A device that is this machine with the program; `words` say what ails that."""

    def device(words="", kind="local_cpu", program=None, options=None, **section):
        card = {
            "schema": 1,
            "id": "loop",
            "kind": kind,
            "runtime": {"name": "benchmark_model", "method": "block", **(options or {})},
            "program": {"path": str(program or install_stand_in(tmp_path / "program", words))},
            **section,
        }
        path = tmp_path / "loop.yaml"
        path.write_text(yaml.safe_dump(card))
        return find_device(str(path))

    return device


def condition_of(device):
    return Condition.of(device).of_models


def told(profile):
    return [(node.kind, node.fused, node.macs, node.is_layout) for node in profile.nodes]


@pytest.mark.slow
def test_a_network_is_told_as_by_litert_itself(device):
    here = condition_of(find_device("local-tflite"))
    if reason := unavailable_reason(here):
        pytest.skip(reason)
    card, cache = device(), default_cache()
    with open_bench(card) as bench:
        found = profile_network(NETWORK, condition_of(card), cache, effort=QUICK, bench=bench)
    profile = found.profile
    assert told(profile) == told(profile_operator(NETWORK, here, cache, effort=QUICK))
    assert sum(node.macs or 0 for node in profile.nodes) == NETWORK.macs
    assert (profile.runs, profile.processes) == (2, 1)
    assert profile.nodes_ms + profile.call_ms == pytest.approx(profile.unprofiled_run_ms)
    assert sum(found.part_ms) == pytest.approx(profile.nodes_ms)
    assert "XNNPACK complete" in str(profile.facts["delegation"])
    assert profile.condition == condition_of(card)


def test_without_a_delegate_every_operator_is_its_own(device):
    card, cache = device(options={"options": {"delegate": "none"}}), default_cache()
    condition = condition_of(card)
    with open_bench(card) as bench:
        profile = profile_operator(NETWORK, condition, cache, effort=QUICK, bench=bench)
    path = cache.artefact(NETWORK, condition).model_path
    model = read_model(path, path.suffix, 1)
    assert [node.kind for node in profile.nodes] == [node.kind for node in model.nodes]
    assert [node.fused for node in profile.nodes] == [(node.name,) for node in model.nodes]


def test_one_model_that_crashes_costs_the_others_nothing(device):
    condition, cache = condition_of(device()), default_cache()
    path = cache.artefact(CONV, condition).model_path
    key = program_bench._carried(read_model(path, path.suffix, 1)).key
    with open_bench(device(words=f"crash@{key}")) as bench:
        found = list(profile_operators([CONV, BLOCK], condition, cache, effort=QUICK, bench=bench))
    crashed, profiled = found
    assert isinstance(crashed, MeasurementError) and isinstance(profiled, Profile)
    assert "ended by signal 11" in str(crashed)
    assert sum(node.macs or 0 for node in profiled.nodes) == BLOCK.macs


@pytest.mark.parametrize(
    "method", [pytest.param(Method.KERNEL, marks=pytest.mark.slow), Method.SAMPLED]
)
def test_methods_that_profile_work_on_a_device(device, tmp_path, method):
    card = device(options={"method": method.value})
    subjects = Subjects((CONV, BLOCK), (NETWORK,) if method is Method.SAMPLED else ())
    with open_store(tmp_path / "store.db") as store:
        campaign = Campaign(card, PROTOCOL, store, default_cache(), seed=0)
        done = list(measure_operators(campaign, subjects))
        assert not [step.failure for step in done if step.failure]
        evidence = evidence_of(store, campaign.condition, subjects)
        found = METHODS[method].latencies(subjects, evidence)
        assert set(found.entries) == {CONV, BLOCK}
        measured = Counter(step.operator for step in done if step.stage == "profile")
        assert measured == Counter(METHODS[method].profiled(subjects))
        # A second call has nothing left to do.
        assert not list(measure_operators(campaign, subjects))
    of_profiles, of_launches = environments(tmp_path / "store.db")
    # This machine only drives the device: what it is says nothing of a profile.
    assert of_profiles == [{"device": launch["device"]} for launch in of_launches]


def environments(path):
    """What the profiles in a store are said to be of, and what its launches."""
    with closing(sqlite3.connect(path)) as database:
        return [
            [
                json.loads(text)
                for (text,) in database.execute(
                    f"SELECT json FROM environments WHERE id IN (SELECT environment FROM {table})"
                )
            ]
            for table in ("profiles", "launches")
        ]


def test_a_build_that_cannot_profile_is_refused(device, tmp_path):
    program = install_stand_in(tmp_path / "poor")
    lines = program.read_text().replace("module.main(", "FLAGS\nmodule.main(")
    without = (
        'flags = sys.modules["stand_in.flags"]; flags.FLAGS = tuple('
        'flag for flag in flags.FLAGS if flag[0] != "enable_op_profiling")'
    )
    program.write_text(lines.replace("FLAGS\n", f"{without}\n"))
    card = device(program=program)
    with pytest.raises(UnavailableError, match=r"loop cannot profile.*no flag enable_op_prof"):
        profile_model(ProfileOrder("mobilenet_v1", str(tmp_path / card.id) + ".yaml"))


def test_cold_caches_are_refused_before_the_device_is_asked(device):
    cold = replace(condition_of(device()), cache=Cache.COLD)
    assert "warm caches" in str(unavailable_reason(cold))


def test_inputs_without_a_shape_are_refused(device):
    card = device()
    condition = condition_of(card)
    path = default_cache().artefact(CONV, condition).model_path
    number = ModelInput("number", np.dtype(np.int32), ())
    model = replace(read_model(path, path.suffix, 1), inputs=(number,))
    with (
        open_bench(card) as bench,
        pytest.raises(ConfigError, match="single number without a shape"),
    ):
        list(bench.see([Subject("m", model)], condition, QUICK))


def test_a_longer_chain_takes_longer(device, tmp_path):
    paths = []
    for length in (1, 200):
        builder = GraphBuilder()
        value = builder.input((1, 64, 16, 16))
        for _ in range(length):
            value = builder.add(value, value)
        paths.append(tmp_path / f"{length}.tflite")
        paths[-1].write_bytes(write_tflite(builder.finish(value)))
    card = device()
    with open_bench(card) as bench:
        short_ms, long_ms = ask_times_ms(paths, condition_of(card), bench=bench)
    assert 0 < short_ms < long_ms


def test_a_phone_that_another_machine_took_over_is_profiled_no_more(device, loop_phone, tmp_path):
    write_cool_programs(loop_phone.programs)
    transport = {"serial": loop_phone.serial, "folder": str(loop_phone.root / "work")}
    card = device(kind="android_adb", transport=transport)
    condition = condition_of(card)
    path = default_cache().artefact(CONV, condition).model_path
    with open_bench(card) as bench:
        take_over(card)
        with pytest.raises(DeviceInUseError, match="in use from laptop now"):
            ask_times_ms([path], condition, bench=bench)


@pytest.mark.slow
def test_the_verb_works_over_adb(device, loop_phone, tmp_path):
    write_cool_programs(loop_phone.programs)
    transport = {"serial": loop_phone.serial, "folder": str(loop_phone.root / "work")}
    device(kind="android_adb", transport=transport)
    config, store = tmp_path / "tiny.config", tmp_path / "store.db"
    write_net_config(config, NetConfig(NAMED))
    arguments = [
        "profile", config, "--device", tmp_path / "loop.yaml", "--runs", 2, "--processes", 1,
        "--no-bounds", "--store", store, "--json",
    ]  # fmt: skip
    said = CliRunner().invoke(app, list(map(str, arguments)))
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert [part["operator"] for part in found["parts"]] == [str(o) for o in NAMED.operators]
    assert sum(node["macs"] for node in found["nodes"]) == NAMED.macs
    with open_store(store, create=False) as opened:
        assert opened.profiles(condition_of(find_device(str(tmp_path / "loop.yaml"))))
    left = [path.name for path in (loop_phone.root / "work").iterdir()]
    assert sorted(left) == ["models", "programs"]
