"""A device on which benchmark_model measures, held for one campaign."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ...core.config import parse
from ...core.errors import TransportError, UnavailableError
from ...devices.device import Device, card_of
from ...devices.programs import program_file, program_sha256
from ...devices.transports import Transport
from ..condition import runtime_section
from ..launcher import default_command
from ..place import Place
from ..remote.claim import Claimed, Hold, hold
from ..remote.patience import Patience
from . import scripts
from .options import BenchmarkModelOptions, flags_needed

_ASK_S = 60.0
_SLOWEST_BYTES_PER_S = 100_000
_FLAG = re.compile(r"^[ \t]*--(\w{1,64})=", re.MULTILINE | re.ASCII)
_NEEDED = frozenset({"graph", "num_runs", "min_secs", "warmup_min_secs", "num_threads"})


def program_on(device: Device) -> str:
    """Where the program of the card is on the device, below the work folder.

    Raises:
        UnavailableError: The file is not here, or cannot be read.
    """
    return f"programs/{program_sha256(device)[:32]}/benchmark_model"


def bring_program(device: Device, transport: Transport, patience: Patience) -> str:
    """Have the program of the card on the device; its path there, below the work folder.

    Raises:
        UnavailableError: It is no benchmark_model, or one too old for what the card asks.
        TransportError: The device does not answer, has no room, or cannot run it.
    """
    file, name = program_file(device), program_on(device)
    limit_s = _ASK_S + file.stat().st_size / _SLOWEST_BYTES_PER_S
    there = patience.persist(lambda: transport.run(["test", "-x", name], _ASK_S))
    if there.exit_code != 0:
        patience.persist(lambda: transport.push(file, name, limit_s, is_executable=True))
    flags = flags_of(transport, patience, name)
    if missing := _NEEDED - flags:
        raise UnavailableError(
            f"{file} is no benchmark_model of TFLite: it has no flag {min(missing)}. Repair the "
            f"section program in the card of {device.id}."
        )
    section = runtime_section(device)
    options = parse(BenchmarkModelOptions, dict(section.options), "benchmark_model options")
    if missing := flags_needed(options, section.precision) - flags:
        raise UnavailableError(
            f"{file} has no flag {min(missing)}, which the options of {device.id} need: take a "
            "newer build (outputs are written since 2023), or one with that delegate, or set "
            "others in the card: options: {check: false} does without outputs, precision: fp32 "
            "without fp16."
        )
    return name


def flags_of(transport: Transport, patience: Patience, program: str) -> frozenset[str]:
    """The names of the flags that `program` says it has.

    Raises:
        UnavailableError: It has none.
        TransportError: The device cannot run it.
    """
    ended = patience.persist(lambda: transport.run([f"./{program}", "--help"], _ASK_S))
    found = _FLAG.findall(ended.text) or _FLAG.findall(ended.stderr.decode(errors="replace"))
    if not found and ended.exit_code in (0, 1):
        raise UnavailableError(
            f"What the card names is no benchmark_model of TFLite: asked for its flags it says "
            f"{ended.text[:80]!r}. Repair the section program in the card."
        )
    if not found:
        raise ended.failure()
    return frozenset(found)


@dataclass(frozen=True)
class Held(Hold):
    """A device that is held for this process alone, with the program on it.

    Attributes:
        program: Below the work folder.
    """

    program: str


@contextmanager
def held(device: Device, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Held]:
    """The device, ready for runs of its program and held for this process alone.

    What runs have left there stays: another call may be about to take it up.

    Raises:
        UnavailableError: The program is missing, or is not the right one.
        TransportError: The device does not answer, another process or machine measures on it, or
            it has no room.
    """
    with hold(device, sleep) as found:
        program = bring_program(device, found.transport, found.patience)
        yield Held(found.transport, found.patience, found.claim, program)


@contextmanager
def open_program(
    device: Device, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Place]:
    """The device as a place that workers measure on, by `held`.

    What a run leaves there stays where this is cut off, so that the next call takes it up, also
    after other campaigns; it is deleted when it was answered, or was not taken up for a week.

    Raises:
        UnavailableError: As `held`.
        TransportError: As `held`.
    """
    with held(device, sleep=sleep) as found:
        words = (*default_command("benchmark_model.worker"), json.dumps(card_of(device)))
        yield Claimed(words, found.claim)
        with suppress(TransportError):
            found.transport.run(["sh", "-c", scripts.CLEAR, "elat"], _ASK_S)
