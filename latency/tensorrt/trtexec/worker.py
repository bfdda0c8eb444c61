"""The process that times cases through trtexec; `python -m elat.latency.tensorrt.trtexec.worker`.

It speaks the JSON lines of `elat.latency.worker`. A case is one launch of trtexec, checked before
and answered at once; cases are taken one after another, so that the one named last is always the
one that this process is busy with. There are no passes that a sentinel could be put into: launches
have none. A card's affinity holds for trtexec, too.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TextIO

from ....core.config import parse
from ....core.errors import ConfigError, MeasurementError
from ....devices.state import state
from ...condition import Cache
from ...launch import Launch
from ...request import CASE_ERRORS, Request, described
from ...runtimes import Runtime, runtimes
from ...serving import Server, serve_standard_streams
from ...worker import pin
from .command import TrtexecOptions
from .engines import identity_of
from .timing import Bench, Timed, time_case
from .tool import Tool, find_trtexec

_NO_ENERGY = "trtexec has no slice that a meter could be read around; use the runtime tensorrt."


class TrtexecWorker(Server):
    """Takes a launch of trtexec for each case."""

    def _answer_request(self, request: Request) -> None:
        """Time the group's cases one after another, and answer each."""
        condition = request.condition
        if condition.cache is Cache.COLD:
            raise ConfigError(
                "trtexec cannot sweep the GPU's cache between inferences; measure cold caches "
                "with the runtime tensorrt, or set cache: hot in the device card."
            )
        pin(request.affinity)
        options = parse(TrtexecOptions, dict(condition.options), "trtexec options")
        tool = _tool_of(options, condition.runtime_version)
        runtime = runtimes[condition.runtime]()
        gpu = identity_of(options.gpu)
        for case, folder, slices in request.cases:
            beat = partial(self._say, {"at": case, "phase": "load"})
            beat()
            bench = Bench(tool, options, condition, request.protocol, gpu, beat)
            try:
                timed = time_case(folder, slices, bench)
            except CASE_ERRORS as error:
                self._say({"case": case, "error": described(error)})
            else:
                self._answer(case, timed, request, runtime)
        self._group += 1

    def _answer(self, case: str, timed: Timed, request: Request, runtime: Runtime) -> None:
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
        environment = runtime.environment(request.condition)
        # What the driver tells comes first: it names the GPU where trtexec only numbers it.
        environment["gpu"] = {**timed.gpu, **environment.get("gpu", {})}
        found = state() | runtime.state(request.condition) | timed.facts
        self._say(
            {
                "case": case,
                "launch": launch.to_json(),
                "state": found,
                "environment": environment,
            }
        )


def _tool_of(options: TrtexecOptions, version: str) -> Tool:
    """The program of `options`.

    Raises:
        UnavailableError: It is not here.
        MeasurementError: It is of another version than the condition says.
    """
    tool = find_trtexec(options.path)
    if str(tool) != version:
        raise MeasurementError(
            f"{tool.path} is {tool}, and what is measured is of {version}. Start the measurement "
            "again, so that it takes the version that is here."
        )
    return tool


def serve(stdin: TextIO, stdout: TextIO) -> None:
    """Answer the requests on `stdin` until it ends; a parent that is gone ends it, too."""
    with suppress(BrokenPipeError):
        TrtexecWorker(stdout).serve(iter(stdin))


def main() -> None:
    """Serve standard input and output."""
    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
