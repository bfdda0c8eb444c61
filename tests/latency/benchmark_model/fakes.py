"""This machine as a device whose benchmark_model prints what a test wrote for each invocation."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elat.devices.device import Device, device_of
from elat.devices.reach import transport_to
from elat.latency.benchmark_model.place import program_on
from elat.latency.benchmark_model.worker import BenchmarkModelWorker
from elat.latency.condition import Condition
from elat.latency.protocol import SCREEN, Protocol

# Takes the texts of a folder in turn, notes its arguments, and ends as the text's neighbour says.
_PROGRAM = """#!/bin/sh
cd "{folder}" || exit 99
number=$(($(cat calls) + 1))
echo "$number" >calls
printf '%s\\n' "$*" >>arguments
for word; do
    case $word in --output_filepath=*) path={work}/${{word#*=}} ;; esac
done
[ -z "$path" ] || [ ! -e "$number.output" ] || cat "$number.output" >"$path"
[ ! -e "$number.text" ] || cat "$number.text"
[ ! -e "$number.more" ] || exec head -c "$(cat "$number.more")" /dev/zero
[ ! -e "$number.end" ] || exit "$(cat "$number.end")"
"""


@dataclass(frozen=True)
class Said:
    """What an invocation prints, how it ends, and what it writes as output."""

    text: bytes
    end: int = 0
    output: bytes | None = None
    more: int = 0


class Fake:
    """A device whose program says what it is told to.

    Args:
        home: Of elat; what the device is, is below it.
        folder: Where the program keeps what it says.
    """

    def __init__(self, home: Path, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.work = home / "programs" / "work"
        folder.mkdir()
        program = folder / "benchmark_model"
        program.write_text(_PROGRAM.format(folder=folder, work=self.work))
        self.device: Device = device_of(
            {
                "schema": 1,
                "id": "fake",
                "kind": "local_cpu",
                "runtime": {"name": "benchmark_model", "options": options},
                "program": {"path": str(program), "version": "1"},
            },
            "the card",
        )
        self.condition = Condition.of(self.device)
        transport_to(self.device).push(program, program_on(self.device), 10, is_executable=True)
        self.say([])

    def say(self, outputs: Sequence[Said]) -> None:
        """Let the next invocations be `outputs`, and those after them say nothing."""
        for path in self.folder.glob("*.*"):
            path.unlink()
        (self.folder / "calls").write_text("0")
        (self.folder / "arguments").write_text("")
        for number, said in enumerate(outputs, 1):
            (self.folder / f"{number}.text").write_bytes(said.text)
            (self.folder / f"{number}.end").write_text(str(said.end))
            if said.output is not None:
                (self.folder / f"{number}.output").write_bytes(said.output)
            if said.more:
                (self.folder / f"{number}.more").write_text(str(said.more))

    @property
    def arguments(self) -> list[list[str]]:
        """The flags of every invocation."""
        return [line.split() for line in (self.folder / "arguments").read_text().splitlines()]

    def request(
        self, cases: dict[str, Path], sentinel: Path | None = None, **changes: Any
    ) -> dict[str, Any]:
        """What a parent asks for."""
        return {
            "group": [
                {"case": name, "artefact": str(path), "slices": 1} for name, path in cases.items()
            ],
            "sentinel": None if sentinel is None else str(sentinel),
            "condition": self.condition.to_json(),
            "protocol": protocol(1).to_json(),
            "seed": 0,
            "affinity": None,
            **changes,
        }

    def served(self, *requests: dict[str, Any] | str) -> list[dict[str, Any]]:
        """What a worker answers to `requests`."""
        out = io.StringIO()
        serve(out, self.device, requests)
        return [json.loads(line) for line in out.getvalue().splitlines()]


def serve(out: Any, device: Device, requests: Sequence[dict[str, Any] | str]) -> None:
    """Let a worker answer `requests` to `out`; no thread of it is left."""
    before = threading.active_count()
    lines = [r if isinstance(r, str) else json.dumps(r) for r in requests]
    BenchmarkModelWorker(out, device).serve(iter(lines))
    assert threading.active_count() == before


def protocol(passes: int) -> Protocol:
    """One that asks for `passes` invocations of each case."""
    return replace(SCREEN, passes=passes)


def answers(messages: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The answer to every case, of which none has two."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        if "case" in message:
            assert message["case"] not in found
            assert ("launch" in message) != ("error" in message)
            found[message["case"]] = message
    return found
