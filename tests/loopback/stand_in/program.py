"""A stand-in for TFLite's `benchmark_model`, built on the interpreter of ai-edge-litert.

It reads the tool's flags, measures as the tool does and prints its words (tflite/tools/benchmark
of LiteRT: benchmark_main.cc, benchmark_model.cc and benchmark_tflite_model.cc), so that what
drives the real tool on phones can be run here. `settings` says what can be wrong with it.

Start-up is paid once a case: nothing is imported here that is not needed.
"""

# ruff: noqa: PTH123, PTH202 - pathlib is slow to load
from __future__ import annotations

import gc
import os
import resource
import sys
import time

from .delegates import apply_delegates
from .flags import Flags, check_flags, log_flags, read_flags
from .layers import Layer, read_layers
from .log import Log, ToolError, write
from .session import Session, is_without_xnnpack, load_model, load_wrapper
from .settings import GARBAGE, VARIABLE, Settings, broken_off, misbehave
from .stats import Limits, Stat, measure, timer
from .tables import INITIALISATION, REGULAR, Profile, operators_of

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main(words: str) -> None:
    """Run as the program, with the words of `install_stand_in`, and end."""
    gc.disable()
    settings = Settings(f"{words} {os.environ.get(VARIABLE, '')}")
    graph = next((text for text in sys.argv if text.startswith("--graph=")), "")
    if settings.has("garbage", graph):
        write(1, GARBAGE)
        os._exit(0)
    log = Log(
        is_old=settings.value("version") == "old",
        newline="\r\n" if settings.has("crlf", graph) else "\n",
    )
    log.info("STARTING!")
    try:
        flags = read_flags(sys.argv, log)
        Benchmark(flags, settings, log).run()
    except ToolError:
        log.error("Benchmarking failed.")
        os._exit(1)
    os._exit(0)


class Benchmark:
    """One model, from its file to the figures."""

    def __init__(self, flags: Flags, settings: Settings, log: Log) -> None:
        self._flags = flags
        self._values = flags.values
        self._settings = settings
        self._log = log

    def run(self) -> None:
        """Do what the tool does between its first line and its exit code.

        Raises:
            ToolError: It ends with exit code 1.
        """
        check_flags(self._flags, self._log)
        layers = read_layers(self._flags, self._log)
        log_flags(self._flags, self._log)
        if self._values["enable_op_profiling"]:
            _find_package()
        wrapper = load_wrapper()
        start_kb, start_ns = _memory_kb(), time.monotonic_ns()
        session, allocation = self._open(wrapper, layers)
        init_us = (time.monotonic_ns() - start_ns) // 1000
        init_kb = _memory_kb() - start_kb
        size_mb = os.path.getsize(self._values["graph"]) / 1e6
        self._log.info(f"The input model file size (MB): {size_mb:g}")
        self._log.info(f"Initialized session in {init_us / 1e3:g}ms.")
        session.prepare(layers, self._log)
        misbehave(self._settings, self._values["graph"])
        profile = Profile()
        if self._values["enable_op_profiling"]:
            warm_up, measured = self._profile(session, profile)
        else:
            timed = timer(session.run)
            warm_up, measured = self._measure(timed, timed, session.reset)
        self._summarise(init_us, warm_up, measured)
        _log_memory(init_kb, _memory_kb() - start_kb, self._log)
        if profile.nodes:
            self._tell_profiles(allocation, profile)
        if path := self._values.get("output_filepath"):
            session.save(path)

    def _open(self, wrapper: Any, layers: list[Layer]) -> tuple[Session, Profile]:
        """The model, ready to run, and what the reservation of its memory took."""
        session = load_model(wrapper, self._flags, self._log)
        session.use_signature(self._values["signature_to_run_for"], self._log)
        session.resize(layers, self._log)
        before_kb = _memory_kb()
        took_us = timer(lambda: session.allocate(self._log))()
        allocation = Profile()
        grown_kb = (_memory_kb() - before_kb) * 1.024
        allocation.add_run([("AllocateTensors", "AllocateTensors/0", took_us)], grown_kb)
        apply_delegates(session.interpreter, self._flags, self._settings, self._log)
        return session, allocation

    def _measure(
        self,
        warm_up: Callable[[], int],
        measured: Callable[[], int],
        reset: Callable[[], None],
    ) -> tuple[Stat, Stat]:
        """The statistics of the runs of warm-up, and of those that count."""
        values = self._values
        max_s, delay_s = values["max_secs"], values["run_delay"]
        first = Limits(values["warmup_runs"], values["warmup_min_secs"], max_s, delay_s)
        second = Limits(values["num_runs"], values["min_secs"], max_s, delay_s)
        before = self._stretch(warm_up, reset, first)
        self._tell(before)
        counted = self._stretch(measured, reset, second)
        self._tell(counted, is_measured=True)
        return before, counted

    def _stretch(
        self,
        timed: Callable[[], int],
        reset: Callable[[], None],
        limits: Limits,
    ) -> Stat:
        """Announce it, and run."""
        self._log.info(
            f"Running benchmark for at least {limits.count} iterations and at least "
            f"{limits.min_s:g} seconds but terminate if exceeding {limits.max_s:g} seconds."
        )
        try:
            return measure(timed, reset, limits)
        except RuntimeError as error:
            self._log.runtime(f"ERROR: {error}")
            raise ToolError from error

    def _tell(self, stat: Stat, is_measured: bool = False) -> None:
        """Print the statistics; or part of them, and end."""
        text = stat.text(has_percentiles=not self._log.is_old)
        left = broken_off(text, self._settings, self._values["graph"]) if is_measured else None
        if left is not None:
            write(1, f"{'' if self._log.is_old else 'INFO: '}{left}".encode())
            os._exit(0)
        self._log.info(f"{text}\n")

    def _profile(self, session: Session, profile: Profile) -> tuple[Stat, Stat]:
        """Measure with LiteRT's profiler, which tells of the runs that count."""
        from pathlib import Path

        from elat.latency.profiling.litert import open_profiled

        interpreter = session.interpreter
        outputs = {
            node: ", ".join(interpreter.TensorName(t, 0) for t in interpreter.NodeOutputs(node))
            for node in range(interpreter.NumNodes())
        }
        session.reset()
        session.run()  # for --output_filepath
        threads = max(1, self._values["num_threads"])
        graph = Path(self._values["graph"])
        has_xnnpack = not is_without_xnnpack(self._flags)
        with open_profiled(graph, session.inputs(), threads, has_xnnpack) as model:

            def profiled() -> int:
                events = model.profiled_run()
                profile.add_run(operators_of(events, outputs))
                return next(event.duration_us for event in events if event.tag == "Invoke")

            return self._measure(timer(model.run), profiled, lambda: None)

    def _summarise(self, init_us: int, warm_up: Stat, measured: Stat) -> None:
        first_us = warm_up.values_us[0] if warm_up.values_us else 0
        self._log.info(
            f"Inference timings in us: Init: {init_us}, First inference: {first_us}, "
            f"Warmup (avg): {warm_up.avg:g}, Inference (avg): {measured.avg:g}"
        )

    def _tell_profiles(self, allocation: Profile, profile: Profile) -> None:
        """Print the tables, or write them to the file that is asked for."""
        csv_path = self._values["profiling_output_csv_file"]
        is_csv = bool(csv_path) or self._values.get("op_profiling_output_mode") == "csv"
        told = [(INITIALISATION, allocation), (REGULAR, profile)]
        texts = [f"{heading}\n{found.text(is_csv)}\n" for heading, found in told]
        try:
            path = csv_path or self._values.get("op_profiling_output_file", "")
            with open(path, "w") as file:
                file.write("".join(texts))
        except OSError:
            for text in texts:
                self._log.info(text)


def _find_package() -> None:
    """Let the package be found, of which the profiler is, and load NumPy for it."""
    import site

    site.main()
    import numpy  # noqa: F401


def _memory_kb() -> int:
    """The most memory that was resident so far, in 1024 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _log_memory(init_kb: int, overall_kb: int, log: Log) -> None:
    log.info(
        "Note: as the benchmark tool itself affects memory footprint, the following is only "
        "APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
        "information at your discretion."
    )
    log.info(
        "Memory footprint delta from the start of the tool (MB): "
        f"init={init_kb / 1024:g} overall={overall_kb / 1024:g}"
    )
