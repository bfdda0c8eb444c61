"""Items on a cluster: what arrives when workers die, items fail, and nobody answers."""

from __future__ import annotations

import operator
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from elat.core.errors import ConfigError, ElatError, InfeasibleError, UnavailableError
from elat.core.seeding import spawn
from elat.flows import cluster, course_of_items
from elat.flows.cluster import DaskExecutor, open_executor
from elat.flows.course_of_items import RETRIES
from elat.search.executor import Executor, InTurn, Outcome, results

dask = pytest.importorskip("dask")
pytest.importorskip("distributed", reason="needs the package distributed (elat[distributed])")

# On a worker: the scheduler knows it for a while before it hears that it runs, as under load.
SLOW_START = """
import asyncio
from distributed.worker import Worker

def delayed(send):
    def later(worker, stimulus_id):
        asyncio.get_running_loop().call_later(1.0, send, worker, stimulus_id)
    later.is_delayed = True
    return later

send = Worker._send_worker_status_change
if not hasattr(send, "is_delayed"):  # also the nanny loads this
    Worker._send_worker_status_change = delayed(send)
"""


def attempts(path: Path) -> int:
    return len(path.read_text()) if path.exists() else 0


def dying(path: Path, times: int) -> int:
    """Leaves a mark in `path`, and its process dies by kill -9 the first `times` times."""
    with path.open("a") as file:
        file.write("x")
    if attempts(path) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return attempts(path)


def marked(path: Path) -> str:
    """Leaves a mark in `path` and waits a little; says how many threads its libraries may use."""
    with path.open("a") as file:
        file.write("x")
    time.sleep(0.2)
    return os.environ["OMP_NUM_THREADS"]


def refused(message: str) -> None:
    raise InfeasibleError(message)


def broken() -> None:
    raise ZeroDivisionError("no ElatError")


def endless(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(600)


def routed(name: str, *arguments: object) -> object:
    """One function for items of several kinds: calls the one called `name`."""
    known: list[Callable[..., object]] = [dying, marked, refused, broken, endless]
    (function,) = (one for one in known if one.__name__ == name)
    return function(*arguments)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions travel by name, so a worker must find this module under its name."""
    folder = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, "test_cluster", sys.modules[__name__])
    monkeypatch.setattr(routed, "__module__", "test_cluster")


def test_in_turn_an_item_that_fails_stops_no_other() -> None:
    items = [(1, 2), (1, 0), (6, 3)]
    with pytest.raises(ZeroDivisionError):
        list(InTurn().outcomes(operator.truediv, items))
    found = list(InTurn().outcomes(refused, [("a",), ("b",)]))
    assert [str(outcome.error) for outcome in found] == ["a", "b"]
    with pytest.raises(InfeasibleError, match="a"):
        list(InTurn().map(refused, [("a",), ("b",)]))


def test_the_first_error_is_raised_once_all_values_are_there() -> None:
    outcomes = [
        Outcome(1, None, ElatError("b")),
        Outcome(0, "x"),
        Outcome(2, None, ElatError("c")),
    ]
    iterator = results(iter(outcomes))
    assert next(iterator) == (0, "x")
    with pytest.raises(ElatError, match="b"):
        next(iterator)


def test_one_worker_is_this_process_and_none_is_refused() -> None:
    with open_executor(1) as executor:
        assert isinstance(executor, InTurn)
        assert list(executor.map(os.getpid, [()])) == [(0, os.getpid())]
    with pytest.raises(ConfigError, match="0 workers"), open_executor(0):
        pass


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "unavailable_reason", lambda: "pip install 'elat[distributed]'")
    with pytest.raises(UnavailableError, match=r"elat\[distributed\]"), DaskExecutor(2):
        pass


def test_the_package_that_is_here_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster.unavailable_reason() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'elat[distributed]'" in str(cluster.unavailable_reason())


def plain_and_dying(folder: Path) -> list[tuple[object, ...]]:
    """Eight items: number 2 kills its worker once, number 4 always, the others never."""
    items: list[tuple[object, ...]] = [("marked", folder / f"plain{i}") for i in range(6)]
    items[2:2] = [("dying", folder / "once", 1)]
    items[4:4] = [("dying", folder / "always", 99)]
    return items


def check_deaths(executor: Executor, folder: Path) -> None:
    found = {o.index: o for o in executor.outcomes(routed, plain_and_dying(folder))}
    assert [found[i].result for i in range(8) if i not in (2, 4)] == 6 * ["1"]
    assert found[2].result == 2, "the item of a killed worker is done again"
    assert attempts(folder / "always") == RETRIES + 1
    with pytest.raises(ElatError, match=r"Item 4, .*always.* its worker died 4 times"):
        _ = found[4].result
    done = [attempts(folder / f"plain{i}") for i in range(6)]
    assert done == 6 * [1], "no other item is done twice"


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_item_alone(importable: None, tmp_path: Path) -> None:
    with DaskExecutor(2) as executor:
        assert executor.width == 2
        check_deaths(executor, tmp_path)
        again = [("marked", tmp_path / f"again{number}") for number in range(4)]
        assert len(list(executor.map(routed, again))) == 4, "the workers came back"
    children = psutil.Process().children(recursive=True)
    assert not [c for c in children if "spawn_main" in " ".join(c.cmdline())]


@pytest.mark.slow
def test_a_worker_killed_while_others_start_slowly_costs_its_own_item_alone(
    importable: None, tmp_path: Path
) -> None:
    with (
        dask.config.set({"distributed.worker.preload": [SLOW_START]}),
        DaskExecutor(2) as executor,
    ):
        check_deaths(executor, tmp_path)


@pytest.mark.slow
def test_an_item_for_a_worker_that_was_killed_before_goes_to_another(
    importable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = course_of_items.running_threads
    answers: list[dict[str, int]] = [{"tcp://127.0.0.1:9": 1}]
    monkeypatch.setattr(
        course_of_items,
        "running_threads",
        lambda client: answers.pop() if answers else truth(client),
    )
    paths = [tmp_path / name for name in "abc"]
    with DaskExecutor(2) as executor:
        found = dict(executor.map(routed, [("marked", path) for path in paths]))
    assert found == {0: "1", 1: "1", 2: "1"}
    assert not answers
    assert [attempts(path) for path in paths] == 3 * [1]


@pytest.mark.slow
def test_an_error_is_reported_for_its_item_alone(importable: None, tmp_path: Path) -> None:
    items = [("refused", "too tight"), ("marked", tmp_path / "a"), ("broken",)]
    with DaskExecutor(2) as executor:
        found = {o.index: o for o in executor.outcomes(routed, items)}
        assert type(found[0].error) is InfeasibleError
        assert str(found[0].error) == "too tight"
        assert found[1].result == "1"
        assert "ZeroDivisionError: no ElatError" in str(found[2].error)
        assert isinstance(found[2].error.__cause__, ZeroDivisionError)  # type: ignore[union-attr]
        assert dict(executor.map(spawn, [(0, "a"), (0, "b")])) == {
            0: spawn(0, "a"),
            1: spawn(0, "b"),
        }
        with pytest.raises(ValueError, match="cannot travel"):
            list(executor.outcomes(lambda: 1, [()]))
        assert list(executor.outcomes(routed, [])) == []


@pytest.mark.slow
def test_an_interrupt_closes_the_cluster(tmp_path: Path) -> None:
    script = (
        # A shell that starts tests in the background has its children ignore the signal.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from elat.flows.cluster import DaskExecutor\n"
        "import test_cluster\n"
        "if __name__ == '__main__':\n"
        "    with DaskExecutor(2) as executor:\n"
        f"        items = [('endless', Path({str(tmp_path)!r}) / str(i)) for i in range(4)]\n"
        "        list(executor.outcomes(test_cluster.routed, items))\n"
    )
    main = tmp_path / "main.py"
    main.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen(
        [sys.executable, str(main)], env=environment, start_new_session=True,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        while not all((tmp_path / name).exists() for name in "01"):
            assert parent.poll() is None
            time.sleep(0.05)
        children = psutil.Process(parent.pid).children(recursive=True)
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=60)
    assert said.decode().rstrip().endswith("KeyboardInterrupt")
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


@pytest.fixture
def scheduler(importable: None, tmp_path: Path) -> Iterator[str]:
    """A scheduler of its own process on loopback, with two workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    commands = [
        [*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        [
            sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "2",
            "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path / "dask"),
        ],
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(command, **quiet) for command in commands]  # type: ignore[call-overload]
    yield address
    # The workers take their leave of the scheduler, which must still be there.
    for process in reversed(processes):
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_scheduler_is_used_by_its_address_and_stays(scheduler: str, tmp_path: Path) -> None:
    for run in ("first", "second"):
        with open_executor(1, scheduler) as executor:
            items = [("marked", tmp_path / f"{run}{number}") for number in range(4)]
            items.append(("refused", "no"))  # type: ignore[arg-type]
            found = {o.index: o for o in executor.outcomes(routed, items)}
            assert all(found[index].error is None for index in range(4))
            assert isinstance(found[4].error, InfeasibleError)
            assert executor.width == 2


@pytest.mark.slow
def test_a_worker_killed_under_a_scheduler_by_address_costs_its_own_item_alone(
    scheduler: str, tmp_path: Path
) -> None:
    # This scheduler has Dask's own settings: it says nothing about the first deaths.
    with open_executor(1, scheduler) as executor:
        check_deaths(executor, tmp_path)


@pytest.mark.slow
def test_an_address_where_nobody_answers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 1)
    with (
        pytest.raises(UnavailableError, match="dask scheduler"),
        DaskExecutor(2, "tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(ConfigError, match="no address"), DaskExecutor(2, "nonsense://x"):
        pass
