"""Campaigns: rounds, resuming, and workers that crash, hang or talk nonsense."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from elat.core.errors import MeasurementError, UnavailableError
from elat.devices.device import Device, DeviceKind
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.flags import Flag
from elat.latency.launcher import default_command
from elat.latency.measure import MAX_ATTEMPTS, Stage, WaitingClock, measure
from elat.latency.operators.conv import Conv
from elat.latency.operators.zero import Zero
from elat.latency.protocol import SCREEN
from elat.latency.store import open_store

DEVICE = Device("pretend", DeviceKind.SIMULATED, "", {"name": "simulated"})
CONDITION = Condition.of(DEVICE)
OPERATORS = tuple(Conv(3, 4 + 4 * i, resolution=8, kernel=3) for i in range(4))
QUICK = replace(
    SCREEN,
    name="quick",
    target=10.0,
    min_launches=2,
    max_launches=3,
    looks=(2, 3),
    passes=2,
    group_min_ms=0.0,
)

# A worker that speaks the protocol without any runtime. `trouble` maps a case to what happens when
# it is loaded ("load-...") or timed ("run-..."); it starts in 0.1 s.
SCRIPTED = """
import json, os, signal, sys, time
trouble = json.loads(sys.argv[1])
count = [0]
def say(**message):
    print(json.dumps(message), flush=True)
def happen(what):
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hang":
        time.sleep(1000)
    if what == "nonsense":
        print("???", flush=True); time.sleep(1000)
    if what == "exit":
        print("out of luck", file=sys.stderr); sys.exit(7)
if "start" in trouble:
    happen(trouble["start"])
say(worker="w%d" % os.getpid(), environment={"fake": True})
for line in sys.stdin:
    request = json.loads(line)
    with open(sys.argv[2], "a") as log:
        log.write(" ".join(c["case"] for c in request["group"]) + "\\n")
    if "request" in trouble:
        say(error={"class": trouble["request"], "message": "not with me"}); continue
    for case in request["group"]:
        if trouble.get("begin"):
            happen(trouble["begin"])
        say(at=case["case"], phase="load")
        phase, _, what = trouble.get(case["case"], "").partition("-")
        if phase == "load":
            happen(what)
    say(at=request["group"][0]["case"], phase="run")
    for case in request["group"]:
        phase, _, what = trouble.get(case["case"], "").partition("-")
        if phase == "run":
            happen(what)
    for order, case in enumerate(request["group"]):
        phase, _, what = trouble.get(case["case"], "").partition("-")
        if phase == "error":
            say(case=case["case"], error={"class": what, "message": "said so"}); continue
        sample = [1, 1000000, 1000000, 0]
        say(case=case["case"], state={"n": 1}, launch=dict(
            worker="w%d" % os.getpid(), order=order, started_utc="t", init_ms=1.0,
            first_call_ms=1.0, warmup_calls=9, is_warm=True, output_error=0.0,
            samples=[sample] * 12, sentinel=[sample] * 12))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("artefacts")


@pytest.fixture(scope="module")
def cache(folder):
    return ArtefactCache(folder)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def scripted(tmp_path):
    """A function from trouble to the command of a scripted worker."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPTED)

    def command(**trouble):
        return [sys.executable, str(script), json.dumps(trouble), str(tmp_path / "log")]

    return command


@pytest.fixture
def asked(tmp_path):
    """The groups that scripted workers were sent, as lists of cases."""

    def read():
        log = tmp_path / "log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    return read


def run(store, cache, operators=OPERATORS, protocol=QUICK, **more):
    return list(measure(operators, CONDITION, protocol, store, cache, seed=0, **more))


def test_real_workers_measure_every_case_and_the_same_call_again_nothing(store, cache):
    steps = run(store, cache, [*OPERATORS, OPERATORS[0], Zero(8, 4)])
    built = [step for step in steps if step.stage is Stage.BUILD]
    done = [step for step in steps if step.stage is Stage.MEASURE]
    assert [step.operator for step in built] == list(OPERATORS)
    assert len(done) == 8
    assert [step.done for step in done] == list(range(1, 9))
    assert done[-1].total == 8 and done[-1].remaining_s == 0.0
    found = {m.operator: m for m in store.measurements(CONDITION)}
    assert found.keys() == set(OPERATORS)
    for measurement in found.values():
        assert measurement.origin == "simulated"
        assert measurement.count == 2 == len({one.worker for one in measurement.launches})
        assert len(measurement.slowness) == 2
        assert measurement.protocol == QUICK
        assert Flag.ENV_CHANGED not in measurement.flags
        assert measurement.state_after["affinity"]
    assert run(store, cache) == []


def test_a_round_is_shuffled(store, cache, scripted, asked):
    operators = [Conv(3, 4, resolution=8 + i, kernel=1) for i in range(12)]
    run(store, cache, operators, worker_command=scripted())
    first, second = asked()
    assert sorted(first) == sorted(second)
    assert first != second
    assert first != sorted(first, key=int)


def test_groups_hold_as_many_cases_as_the_protocol_says(store, cache, scripted, asked):
    protocol = replace(QUICK, group_size=3, min_launches=1, max_launches=1, looks=(1,))
    steps = run(store, cache, protocol=protocol, worker_command=scripted())
    assert [len(group) for group in asked()] == [2, 2]
    assert len({step.launch.worker for step in steps if step.launch}) == 1


def test_emphasis_reaches_the_worker(store, cache):
    run(store, cache, OPERATORS[:2], emphasis={OPERATORS[1]: 3})
    found = {m.operator: m for m in store.measurements(CONDITION)}
    counts = [len(found[o].launches[0].samples) for o in OPERATORS[:2]]
    assert counts == [QUICK.passes, 3 * QUICK.passes]


def test_an_interrupted_campaign_goes_on_where_it_was(store, cache, scripted):
    steps = measure(OPERATORS, CONDITION, QUICK, store, cache, seed=0, worker_command=scripted())
    for step in steps:
        if step.stage is Stage.MEASURE and step.done == 3:
            break
    steps.close()
    assert sum(store.launch_counts(CONDITION).values()) == 3
    rest = run(store, cache, worker_command=scripted())
    assert sum(step.launch is not None for step in rest) == 5
    assert store.launch_counts(CONDITION) == dict.fromkeys(OPERATORS, 2)


def test_cases_stop_at_the_target_and_others_at_the_ceiling(store, cache):
    # Launches of a simulated device differ by a per cent or so: 1e-9 is never reached.
    run(store, cache, OPERATORS[:2], protocol=replace(QUICK, name="never", target=1e-9))
    assert set(store.launch_counts(CONDITION).values()) == {3}
    assert all(Flag.NOT_CONVERGED in m.flags for m in store.measurements(CONDITION))
    run(store, cache, OPERATORS[2:])
    assert store.launch_counts(CONDITION)[OPERATORS[3]] == 2


def test_the_limit_of_the_temperature_is_kept_with_each_launch(store, cache, scripted):
    run(store, cache, worker_command=scripted(), temperature_limit_c=60.0)
    for m in store.measurements(CONDITION):
        assert m.state_before == {"n": 1, "temperature_limit_c": 60.0}


class Clock:
    """A time of day that only waiting moves."""

    def __init__(self):
        self.now = 1e9
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    @property
    def both(self):
        return WaitingClock(lambda: self.now, self.wait)


APART = replace(
    QUICK,
    name="apart",
    target=1e-9,
    min_launches=4,
    max_launches=4,
    looks=(4,),
    block_launches=2,
    block_gap_s=90.5,
)


def test_stretches_of_launches_lie_apart_in_time(store, cache, scripted):
    clock = Clock()
    steps = run(store, cache, protocol=APART, worker_command=scripted(), clock=clock.both)
    waits = [step for step in steps if step.stage is Stage.WAIT]
    assert sum(clock.waits) == pytest.approx(90.5)
    assert [step.done for step in waits] == list(range(91))
    assert all(m.count == 4 for m in store.measurements(CONDITION))
    # Two launches before the wait, two behind it.
    stages = [step.stage for step in steps if step.stage is not Stage.BUILD]
    assert stages.index(Stage.WAIT) == 2 * len(OPERATORS)


def test_a_wait_that_was_interrupted_is_waited_for_by_the_next_call(store, cache, scripted):
    def stopping(seconds):
        raise KeyboardInterrupt

    stopped = WaitingClock(lambda: 1e9, stopping)
    with pytest.raises(KeyboardInterrupt):
        run(store, cache, protocol=APART, worker_command=scripted(), clock=stopped)
    assert all(m.count == 2 for m in store.measurements(CONDITION))
    # These launches do not say when they were taken, which counts as second 0.
    clock = Clock()
    clock.now = 30.0
    run(store, cache, protocol=APART, worker_command=scripted(), clock=clock.both)
    assert sum(clock.waits) == pytest.approx(60.5)
    assert all(m.count == 4 for m in store.measurements(CONDITION))


def test_a_stricter_protocol_adds_to_what_is_there(store, cache, scripted):
    run(store, cache, worker_command=scripted())
    stricter = replace(QUICK, name="strict", min_launches=3, looks=(3,))
    steps = run(store, cache, protocol=stricter, worker_command=scripted())
    assert sum(step.launch is not None for step in steps) == 4
    assert run(store, cache, worker_command=scripted()) == []


@pytest.mark.parametrize(
    ("trouble", "error_class"),
    [
        ("load-crash", "CRASH"),
        ("run-crash", "CRASH"),
        ("load-exit", "CRASH"),
        ("load-nonsense", "CRASH"),
        ("load-hang", "RUN_TIMEOUT"),
        ("run-hang", "RUN_TIMEOUT"),
    ],
)
def test_a_case_that_takes_its_worker_down_fails_alone(
    store, cache, scripted, trouble, error_class
):
    protocol = replace(QUICK, timeout_s=1.0)
    steps = run(store, cache, protocol=protocol, worker_command=scripted(**{"2": trouble}))
    (failed,) = [step for step in steps if step.failure]
    assert failed.operator == OPERATORS[2]
    assert failed.failure.error_class == error_class
    good = {o: 2 for o in OPERATORS if o != OPERATORS[2]}
    assert store.launch_counts(CONDITION) == good
    assert store.failures(CONDITION).keys() == {OPERATORS[2]}


def test_the_last_words_of_a_worker_are_kept(store, cache, scripted):
    run(store, cache, worker_command=scripted(**{"1": "load-exit"}))
    (failure,) = store.failures(CONDITION)[OPERATORS[1]]
    assert "exit code 7" in failure.message and "out of luck" in failure.message


def test_a_crash_is_tried_again_by_the_next_calls_but_not_forever(store, cache, scripted):
    bad = scripted(**{"0": "load-crash"})
    for attempt in range(1, MAX_ATTEMPTS + 1):
        run(store, cache, OPERATORS[:1], worker_command=bad)
        assert len(store.failures(CONDITION)[OPERATORS[0]]) == attempt
    assert run(store, cache, OPERATORS[:1], worker_command=scripted()) == []


def test_a_case_that_recovers_is_measured(store, cache, scripted):
    run(store, cache, OPERATORS[:1], worker_command=scripted(**{"0": "load-crash"}))
    run(store, cache, OPERATORS[:1], worker_command=scripted())
    assert store.launch_counts(CONDITION) == {OPERATORS[0]: 2}
    assert store.failures(CONDITION) == {}


@pytest.mark.parametrize("error_class", ["UNSUPPORTED", "WRONG_OUTPUT"])
def test_a_negative_result_is_stored_and_never_tried_again(store, cache, scripted, error_class):
    steps = run(store, cache, worker_command=scripted(**{"3": f"error-{error_class}"}))
    assert [str(step.failure) for step in steps if step.failure] == [f"{error_class}: said so"]
    assert OPERATORS[3] not in store.launch_counts(CONDITION)
    assert run(store, cache, worker_command=scripted()) == []


def test_what_cannot_be_built_is_a_negative_result(store, cache, scripted, monkeypatch):
    from elat.core.errors import UnsupportedOperatorError

    build = ArtefactCache.artefact

    def artefact(self, operator, condition):
        if operator == OPERATORS[0]:
            raise UnsupportedOperatorError("no kernel")
        return build(self, operator, condition)

    monkeypatch.setattr(ArtefactCache, "artefact", artefact)
    steps = run(store, cache, OPERATORS[:2], worker_command=scripted())
    assert [str(s.failure) for s in steps if s.failure] == ["UNSUPPORTED: no kernel"]
    assert store.launch_counts(CONDITION) == {OPERATORS[1]: 2}


@pytest.mark.parametrize(
    ("trouble", "error", "match"),
    [
        ({"start": "exit"}, MeasurementError, "could be started.*exit code 7.*out of luck"),
        ({"start": "crash"}, MeasurementError, "SIGSEGV"),
        ({"begin": "crash"}, MeasurementError, "before its first case"),
        ({"request": "UNAVAILABLE"}, UnavailableError, "not with me"),
        ({"request": "BAD_REQUEST"}, MeasurementError, "not with me"),
        ({"0": "error-UNAVAILABLE"}, UnavailableError, "said so"),
    ],
)
def test_trouble_that_is_no_cases_fault_ends_the_campaign(
    store, cache, scripted, trouble, error, match
):
    with pytest.raises(error, match=match):
        run(store, cache, OPERATORS[:1], worker_command=scripted(**trouble))
    assert store.failures(CONDITION) == {}


def test_a_command_that_does_not_exist_is_explained(store, cache):
    with pytest.raises(MeasurementError, match="No worker could be started"):
        run(store, cache, worker_command=["/nowhere/python"])


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_campaign_that_is_given_up_leaves_no_worker_behind(store, cache, scripted):
    steps = measure(OPERATORS, CONDITION, QUICK, store, cache, seed=0, worker_command=scripted())
    pid = next(int(step.launch.worker[1:]) for step in steps if step.launch)
    assert is_running(pid)
    steps.close()
    assert not is_running(pid)


CAMPAIGN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_measure import CONDITION, OPERATORS, QUICK
from elat.latency.artefacts import ArtefactCache
from elat.latency.measure import measure
from elat.latency.store import open_store
with open_store(Path(sys.argv[1])) as store:
    cache = ArtefactCache(Path(sys.argv[2]))
    for step in measure(OPERATORS, CONDITION, QUICK, store, cache, seed=0):
        if step.launch:
            print(step.launch.worker, flush=True)
"""


@pytest.mark.parametrize("after", [1, 5])
def test_a_killed_campaign_loses_nothing_finished_and_goes_on(tmp_path, folder, cache, after):
    path = tmp_path / "killed.db"
    script = CAMPAIGN.format(tests=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(path), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    done = len(said)
    with open_store(path) as store:
        kept = sum(store.launch_counts(CONDITION).values())
        assert kept >= done
        rest = run(store, cache)
        assert sum(step.launch is not None for step in rest) == 8 - kept
        assert store.launch_counts(CONDITION) == dict.fromkeys(OPERATORS, 2)


def test_a_worker_ends_by_itself_when_its_parent_is_killed():
    parent = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({default_command()!r}, stdin=subprocess.PIPE,"
        " stdout=subprocess.PIPE, start_new_session=True)\n"
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_running(pid)
        process.kill()
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
