"""The worker over real pipes with the simulated runtime, and what it answers to nonsense."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Cache, Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.launcher import default_command
from elat.latency.operators.conv import Conv
from elat.latency.protocol import SCREEN
from elat.latency.runtimes import runtimes
from elat.latency.worker import serve

CONDITION = Condition(
    "desk", "simulated", "simulated 1", Precision.FP32, 1, 1, Method.BLOCK,
    tuple(sorted(runtimes["simulated"]().options({}).items())),
)  # fmt: skip
PROTOCOL = replace(SCREEN, passes=3, group_min_ms=0.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    cache = ArtefactCache(tmp_path_factory.mktemp("artefacts"))
    operators = [Conv(3, width, resolution=8, kernel=3) for width in (4, 8)]
    return [cache.artefact(operator, CONDITION).folder for operator in operators]


def request(cases, sentinel=None, affinity=None, **changes):
    return {
        "group": [
            {"case": name, "artefact": str(folder), "slices": slices}
            for name, folder, slices in cases
        ],
        "sentinel": None if sentinel is None else str(sentinel),
        "condition": CONDITION.to_json(),
        "protocol": PROTOCOL.to_json(),
        "seed": 0,
        "affinity": affinity,
        **changes,
    }


def lines(*requests):
    return "".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in requests)


def served(*requests):
    out = io.StringIO()
    serve(io.StringIO(lines(*requests)), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def answers(messages):
    return {m["case"]: m for m in messages if "case" in m}


def broken(folder, tmp_path, change):
    """A copy of the artefact in `folder` whose expected output is changed."""
    from elat.core.artefact import read_json, sha256_of, write_json

    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    with np.load(copy / "io.npz") as arrays:
        data = dict(arrays)
    data["expected"] = change(data["expected"])
    np.savez(copy / "io.npz", **data)
    description = read_json(copy / "artefact.json")
    description["io_sha256"] = sha256_of((copy / "io.npz").read_bytes())
    write_json(copy / "artefact.json", description)
    return copy


def test_a_group_over_real_pipes(folders):
    text = lines(
        request([("a", folders[0], 1), ("b", folders[1], 2)], sentinel=folders[0]),
        request([("c", folders[1], 1)], sentinel=folders[0]),
    )
    done = subprocess.run(
        default_command(), input=text, capture_output=True, text=True, timeout=120, check=True
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    hello, found = messages[0], answers(messages)
    assert done.stderr == ""
    assert hello["environment"]["packages"]["numpy"] == np.__version__
    launches = {name: Launch.from_json(m["launch"]) for name, m in found.items()}
    workers = [launches[name].worker for name in "abc"]
    assert workers == [f"{hello['worker']}/{group}" for group in (0, 0, 1)]
    assert [launches[name].order for name in "abc"] == [0, 1, 2]
    assert [len(launches[name].samples) for name in "abc"] == [3, 6, 3]
    assert all(len(one.sentinel) == len(one.samples) for one in launches.values())
    assert all(one.is_warm for one in launches.values())
    assert all(one.output_error is not None for one in launches.values())
    assert max(one.output_error or 0.0 for one in launches.values()) < 1e-4
    assert "utc" in found["a"]["state"]


def test_warm_up_is_not_among_the_samples(folders):
    one = Launch.from_json(answers(served(request([("a", folders[0], 1)])))["a"]["launch"])
    assert one.warmup_calls > 0
    assert len(one.samples) == PROTOCOL.passes
    assert all(s.loops * s.cpu_ms >= PROTOCOL.slice_ms * 0.9 for s in one.samples)
    assert one.sentinel == ()


def test_a_wrong_output_is_answered_and_never_timed(folders, tmp_path):
    wrong = broken(folders[0], tmp_path, lambda expected: expected + 1.0)
    found = answers(served(request([("bad", wrong, 1), ("good", folders[1], 1)])))
    assert found["bad"]["error"]["class"] == "WRONG_OUTPUT"
    assert "launch" not in found["bad"]
    assert "launch" in found["good"]


@pytest.mark.parametrize("damage", ["missing", "model", "shape"])
def test_a_bad_artefact_is_answered_and_the_rest_goes_on(folders, tmp_path, damage):
    if damage == "shape":
        bad = broken(folders[0], tmp_path, lambda expected: expected[:, :1])
    else:
        bad = tmp_path / "bad"
        if damage == "model":
            shutil.copytree(folders[0], bad)
            next(bad.glob("model*")).write_text("{")
    found = answers(served(request([("bad", bad, 1), ("good", folders[1], 1)])))
    assert found["bad"]["error"]["class"] in ("RUNTIME", "WRONG_OUTPUT")
    assert found["bad"]["error"]["message"]
    assert "launch" in found["good"]


@pytest.mark.parametrize(
    "line",
    [
        "hello\n",
        "{}\n",
        "[1]\n",
        '{"group": 3}\n',
        "null\n",
        "\x00\n",
        '{"group": [], "seed": "x"}\n',
    ],
)
def test_garbage_is_answered_with_an_error_and_the_next_request_with_a_launch(folders, line):
    messages = served(line, "\n", request([("a", folders[0], 1)]))
    assert messages[1]["error"]["class"] == "BAD_REQUEST"
    assert "launch" in answers(messages)["a"]


def test_an_unknown_runtime_or_cpu_refuses_the_request(folders):
    unknown = replace(CONDITION, runtime="abacus").to_json()
    messages = served(
        request([("a", folders[0], 1)], condition=unknown),
        request([("a", folders[0], 1)], affinity=[100_000]),
        request([("a", folders[0], 1)], sentinel=folders[0] / "nowhere"),
    )
    assert ["error" in m for m in messages] == [False, True, True, True]
    assert "abacus" in messages[1]["error"]["message"]
    assert "cpu.affinity" in messages[2]["error"]["message"]
    assert answers(messages) == {}


def test_the_same_request_gives_the_same_order_of_slices(folders):
    cases = [(str(i), folders[i % 2], 1) for i in range(4)]
    first, second = (
        [m["launch"]["samples"] for m in answers(served(request(cases))).values()]
        for _ in range(2)
    )
    assert first == second


def test_a_parent_that_is_gone_ends_the_worker_quietly(folders):
    with subprocess.Popen(
        default_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        text = lines(*[request([("a", folders[0], 1)])] * 3)
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


def test_the_worker_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import elat.latency.worker\n"
        "assert 'scipy' not in sys.modules and 'sqlite3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_cold_runs_are_single_and_swept_before_each(folders, monkeypatch):
    """The sentinel tells the machine's speed and stays hot."""
    sweeps: list[None] = []
    monkeypatch.setattr("elat.latency.worker.cache_sweep", lambda: lambda: sweeps.append(None))
    cold = replace(CONDITION, cache=Cache.COLD).to_json()
    found = answers(served(request([("a", folders[0], 1)], folders[1], condition=cold)))
    launch = Launch.from_json(found["a"]["launch"])
    assert [sample.loops for sample in launch.samples] == [1] * len(sweeps)
    assert len(sweeps) >= PROTOCOL.passes
    assert all(sample.loops > 2 for sample in launch.sentinel)


def test_energy_of_constant_power_is_power_times_time(folders, tmp_path, monkeypatch):
    """A pretended rail of 2 W, whatever this machine does: gross follows, and net is nothing."""
    from functools import partial

    from elat.latency import worker
    from elat.latency.energy import EnergyReading, read_energies

    rail = tmp_path / "sys/class/hwmon/hwmon0"
    rail.mkdir(parents=True)
    for name, text in (("name", "VDD"), ("power1_input", "2000000"), ("update_interval", "1")):
        (rail / name).write_text(text)
    monkeypatch.setattr(worker, "read_energies", partial(read_energies, root=tmp_path))
    asked = {"power": {"meter": "hwmon", "rails": ["VDD"]}, "gpu": None}
    messages = served(request([("a", folders[0], 1)], energy=asked))
    found = Launch.from_json(answers(messages)["a"]["launch"])
    assert found.energy is not None
    reading = EnergyReading.from_json(found.energy)
    assert reading.gross_mj is not None
    assert reading.gross_mj == pytest.approx(2e3 * reading.seconds / reading.runs, rel=1e-3)
    assert reading.net_mj == pytest.approx(0, abs=1e-3 * reading.gross_mj)


def test_without_an_order_no_energy_is_read(folders):
    assert answers(served(request([("a", folders[0], 1)])))["a"]["launch"]["energy"] is None


def test_a_missing_meter_costs_no_launch(folders):
    asked = {"power": {"meter": "hwmon", "rails": ["VDD_NOWHERE"]}, "gpu": None}
    launch = answers(served(request([("a", folders[0], 1)], energy=asked)))["a"]["launch"]
    assert "VDD_NOWHERE" in launch["energy"]["error"]
    assert launch["samples"]
