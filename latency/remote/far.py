"""What a board is asked besides timing; `python -m elat.latency.remote.far VERB ...`.

    condition CARD       the condition of that card here, as JSON
    doctor CARD          every check of the machine, as JSON
    meter CARD           the name of what counts its energy here, or null
    sweep                deletes copies of elat that nobody uses any more
    missing KEYS         those of a JSON list of artefacts that are not here
    unpack FILE          takes in artefacts
    lend FILE            takes in folders for a while
    drop FILE            deletes them again
    environment          what the machine is, as JSON
    work OWNER MODULE    is a worker; one at a time

It runs in the work folder. What goes wrong is one line on standard error and exit code 1; that a
package or the GPU is missing is exit code 3, and that somebody else measures is 75.
"""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from ...core.errors import DeviceInUseError, ElatError, UnavailableError
from ...devices.device import Device, device_of
from ...devices.lock import device_lock
from .leftovers import in_use, kept, sweep

IN_USE = 75
"""The exit code that says that somebody else measures (`EX_TEMPFAIL` of sysexits)."""

_OWN_COPY = Path(__file__).parents[3]
_LOCK = Path("worker.lock")
_PATIENCE_S, _LOOK_EVERY_S = 10.0, 0.05


def _device(card: str) -> Device:
    return device_of(json.loads(card), "the card")


def _condition(card: str) -> str:
    from ..condition import Condition

    return json.dumps(Condition.of(_device(card)).to_json())


def _doctor(card: str) -> str:
    from ...devices.doctor import examine
    from ..examination import runtime_checks

    device = _device(card)
    checks = [*examine(device, runtime_checks(device)), kept(Path())]
    return json.dumps([asdict(check) for check in checks])


def _meter(card: str) -> str:
    from ...devices.energy.detect import open_meter

    device = _device(card)
    with open_meter(device.power, device.gpu) as meter:
        return json.dumps(None if meter is None else meter.name)


def _sweep() -> str:
    return json.dumps(sweep(Path()))


def _missing(keys: str) -> str:
    from .bundle import missing

    return json.dumps(missing(json.loads(keys), Path()))


def _unpack(name: str) -> str:
    from .bundle import unpack

    return _taken_in(name, unpack)


def _lend(name: str) -> str:
    from .lent import unpack

    return _taken_in(name, unpack)


def _taken_in(name: str, unpack: Callable[[Path, Path], None]) -> str:
    bundle = Path(name)
    try:
        unpack(bundle, Path())
    finally:
        bundle.unlink(missing_ok=True)
    return "{}"


def _drop(name: str) -> str:
    from .lent import drop

    drop(Path(name), Path())
    return "{}"


def _environment() -> str:
    from ...devices.state import fingerprint

    return json.dumps(fingerprint())


def _work(owner: str, module: str) -> str:
    with _LOCK.open("a+") as lock, ExitStack() as held:
        _take(lock, owner)
        _take_machine(held)
        runpy.run_module(f"elat.latency.{module}", run_name="__main__", alter_sys=True)
    return ""


def _take(lock: IO[str], owner: str) -> None:
    """Be the only worker; one of the same owner that nobody speaks to any more is ended."""
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_taken(lock):
        lock.seek(0)
        pid, _, holder = lock.read().partition(" ")
        if holder == owner and _is_worker(pid):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        elif time.monotonic() > deadline:
            print(f"{holder or 'somebody'} measures on it", file=sys.stderr)
            raise SystemExit(IN_USE)
        time.sleep(_LOOK_EVERY_S)
    lock.truncate(0)
    lock.write(f"{os.getpid()} {owner}")
    lock.flush()


def _take_machine(held: ExitStack) -> None:
    """Hold this machine among all its users, who may have other work folders."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            held.enter_context(device_lock("this machine", "workers"))
        except DeviceInUseError as error:
            if time.monotonic() > deadline:
                print(error, file=sys.stderr)
                raise SystemExit(IN_USE) from None
            time.sleep(_LOOK_EVERY_S)
        else:
            return


def _is_taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_worker(pid: str) -> bool:
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")
        return f"{__package__}.far".encode() in words
    return False


_VERBS: dict[str, tuple[Callable[..., str], int]] = {
    "condition": (_condition, 1),
    "doctor": (_doctor, 1),
    "meter": (_meter, 1),
    "sweep": (_sweep, 0),
    "missing": (_missing, 1),
    "unpack": (_unpack, 1),
    "lend": (_lend, 1),
    "drop": (_drop, 1),
    "environment": (_environment, 0),
    "work": (_work, 2),
}


def main(arguments: Sequence[str]) -> int:
    """Do what `arguments` ask for; returns the exit code."""
    verb, count = _VERBS.get(arguments[0] if arguments else "", (None, -1))
    if verb is None or len(arguments) != count + 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with in_use(_OWN_COPY):
            print(verb(*arguments[1:]))
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return UnavailableError.exit_code
    except (ElatError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
