"""The process that times cases through trtexec; `python -m elat.latency.tensorrt.trtexec.worker`.

It runs trtexec on its own machine; `far_worker.py` is the same for a device elsewhere. It speaks
the JSON lines of `elat.latency.worker`. A case is one launch of trtexec, checked before and
answered at once; cases are taken one after another, so that the one named last is always the one
that this process is busy with. There are no passes that a sentinel could be put into: launches
have none. A card's affinity holds for trtexec, too.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, TextIO

from ....core.config import parse
from ....core.errors import ConfigError, MeasurementError
from ...condition import Cache
from ...launch import Launch
from ...request import CASE_ERRORS, Request, described
from ...serving import Server, serve_standard_streams
from .command import TrtexecOptions
from .here import HereHost
from .host import Host
from .timing import Bench, Timed, time_case
from .tool import Tool

_NO_ENERGY = "trtexec has no slice that a meter could be read around; use the runtime tensorrt."


class TrtexecWorker(Server):
    """Takes a launch of trtexec for each case, on `host`."""

    def __init__(self, out: TextIO, host: Host) -> None:
        super().__init__(out)
        self._host = host
        self._lock = threading.Lock()
        self._at = ""

    def _fingerprint(self) -> dict[str, Any]:
        return super()._fingerprint() if self._host.is_here else {}

    def _answer_request(self, request: Request) -> None:
        """Time the group's cases one after another, and answer each."""
        condition = request.condition
        if condition.cache is Cache.COLD:
            raise ConfigError(
                "trtexec cannot sweep the GPU's cache between inferences; measure cold caches "
                "with the runtime tensorrt, or set cache: hot in the device card."
            )
        self._at = request.cases[0][0] if request.cases else ""
        with self._host.signs_of_life(self._beat):
            self._host.pin(request.affinity)
            options = parse(TrtexecOptions, dict(condition.options), "trtexec options")
            tool = _tool_of(self._host, options, condition.runtime_version)
            gpu = self._host.identity(options.gpu)
            bench = Bench(self._host, tool, options, condition, request.protocol, gpu, self._beat)
            for case, folder, slices in request.cases:
                self._at = case
                self._beat()
                try:
                    timed = time_case(folder, slices, bench)
                except CASE_ERRORS as error:
                    self._say({"case": case, "error": described(error)})
                else:
                    self._answer(case, timed, request)
        self._group += 1

    def _beat(self) -> None:
        self._say({"at": self._at, "phase": "load"})

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock:
            super()._say(message)

    def _answer(self, case: str, timed: Timed, request: Request) -> None:
        self._order += 1
        launch = Launch(
            worker=f"{self._identity}/{self._group}",
            order=self._order - 1,
            started_utc=timed.started_utc,
            init_ms=timed.init_ms,
            first_call_ms=timed.first_call_ms,
            warmup_calls=timed.warmup_calls,
            is_warm=timed.is_warm,
            output_error=timed.output_error,
            samples=timed.samples,
            energy=None if request.energy is None else {"error": _NO_ENERGY},
        )
        environment = self._host.environment(request.condition)
        # What the driver tells comes first: it names the GPU where trtexec only numbers it.
        environment["gpu"] = {**timed.gpu, **environment.get("gpu", {})}
        found = self._host.state(request.condition) | timed.facts
        self._say(
            {
                "case": case,
                "launch": launch.to_json(),
                "state": found,
                "environment": environment,
            }
        )


def _tool_of(host: Host, options: TrtexecOptions, version: str) -> Tool:
    """The program of `options` on `host`.

    Raises:
        UnavailableError: It is not here.
        MeasurementError: It is of another version than the condition says.
    """
    tool = host.tool(options.path)
    if str(tool) != version:
        raise MeasurementError(
            f"{tool.path} is {tool}, and what is measured is of {version}. Start the measurement "
            "again, so that it takes the version that is here."
        )
    return tool


def serve(stdin: TextIO, stdout: TextIO) -> None:
    """Answer the requests on `stdin` until it ends; a parent that is gone ends it, too."""
    with suppress(BrokenPipeError):
        TrtexecWorker(stdout, HereHost()).serve(iter(stdin))


def main() -> None:
    """Serve standard input and output."""
    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
