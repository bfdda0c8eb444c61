"""How fast a machine could be at best under a condition, measured through the same runtime.

The roofline model (Williams et al. 2009): an operation of m multiply-adds that moves b bytes takes
at least max(m / peak, b / bandwidth). For that to be a bound, both must be the fastest there are.
The peak is the best over convolutions that runtimes are good at. The bandwidth is the best over
sums of tensors from a few kilobytes up, so that of a cache: tensors that the operation before left
there come from there. That of the memory beyond all caches is measured beside it, to be read.

Each rate is that of the operations that a longer chain has more than a shorter one: neither the
call nor changes of layout at the ends are in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...core.artefact import canonical_json, read_json, sha256_of, write_json
from ...core.errors import ArtefactError, MeasurementError
from ...core.seeding import numpy_generator
from ...devices.state import fingerprint
from ..condition import Condition, Method, Precision
from ..graph.ir import Graph, GraphBuilder
from ..graph.quantise import calibrate
from ..runtimes import runtimes
from .bench import Bench
from .here import HereBench
from .passes import ask_times_ms
from .profile import ProfiledNode

_SHORT, _LONG = 2, 6
# Channels, side of the image and of the window.
_CONVOLUTIONS = ((128, 28, 1), (256, 14, 1), (512, 7, 1), (64, 28, 3))
_CACHED_CHANNELS = (8, 32, 128, 512)
_MEMORY_CHANNELS = 8192
_SIDE = 32
_SCHEMA = 1


@dataclass(frozen=True)
class Roofline:
    """Rates that nothing exceeds.

    Attributes:
        macs_per_ms: Multiply-adds.
        cache_bytes_per_ms: Bytes read and written, from and to the fastest place.
        memory_bytes_per_ms: The same beyond all caches; no bound.
        measured_utc: When it was measured.
    """

    macs_per_ms: float
    cache_bytes_per_ms: float
    memory_bytes_per_ms: float
    measured_utc: str

    def bound_ms(self, node: ProfiledNode) -> float | None:
        """The least time for what `node` executes, in milliseconds; None if it is not known."""
        bounds = []
        if node.macs is not None:
            bounds.append(node.macs / self.macs_per_ms)
        if node.moved_bytes is not None:
            bounds.append(node.moved_bytes / self.cache_bytes_per_ms)
        return max(bounds) if bounds and node.fused else None

    def fastest(self, other: Roofline) -> Roofline:
        """What neither this nor `other` exceeds, for models that compute in both ways."""
        return Roofline(
            max(self.macs_per_ms, other.macs_per_ms),
            max(self.cache_bytes_per_ms, other.cache_bytes_per_ms),
            max(self.memory_bytes_per_ms, other.memory_bytes_per_ms),
            max(self.measured_utc, other.measured_utc),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)


def find_roofline(
    condition: Condition,
    folder: Path,
    *,
    affinity: Sequence[int] | None = None,
    bench: Bench | None = None,
) -> Roofline:
    """The roofline of a machine under `condition`: that in `folder`, or a new one put there.

    There is a file for each condition and each environment (machine, packages).

    Args:
        condition: Under which; its batch, method and device's name do not matter.
        folder: Of rooflines.
        affinity: CPUs that what measures is pinned to.
        bench: The machine; None is this one.

    Raises:
        UnavailableError: The runtime has no profiler, or a package is missing.
        MeasurementError: A model of the measurement cannot be run.
    """
    if stored := stored_roofline(condition, folder, affinity=affinity, bench=bench):
        return stored
    general, place = _general(condition), _place(condition, affinity, bench)
    roofline = measure_roofline(general, bench=bench or HereBench(affinity))
    write_json(folder / _file_name(place), {**place, "roofline": roofline.to_json()})
    return roofline


def stored_roofline(
    condition: Condition,
    folder: Path,
    *,
    affinity: Sequence[int] | None = None,
    bench: Bench | None = None,
) -> Roofline | None:
    """The roofline that `find_roofline` put into `folder`; None if there is none to read."""
    path = folder / _file_name(_place(condition, affinity, bench))
    if not path.exists():
        return None
    try:
        return Roofline(**read_json(path)["roofline"])
    except (ArtefactError, KeyError, TypeError):
        return None


def _general(condition: Condition) -> Condition:
    """`condition` without what does not matter to a roofline."""
    return replace(condition, device="", batch=1, method=Method.BLOCK)


def _place(
    condition: Condition, affinity: Sequence[int] | None, bench: Bench | None
) -> dict[str, Any]:
    """All that a stored roofline is of."""
    return {
        "condition": _general(condition).to_json(),
        "environment": fingerprint() if bench is None else dict(bench.environment),
        "schema": _SCHEMA,
        "affinity": None if affinity is None else list(affinity),
    }


def _file_name(place: dict[str, Any]) -> str:
    return f"{sha256_of(canonical_json(place))[:32]}.json"


def measure_roofline(condition: Condition, *, bench: Bench | None = None) -> Roofline:
    """The roofline of a machine under `condition`, measured now; `bench` None is this machine.

    Raises:
        UnavailableError: The runtime has no profiler, or a package is missing.
        MeasurementError: A model of the measurement cannot be run, or took no time.
    """
    element_bytes = condition.precision.element_bytes
    chains = [_Convolutions(*sizes) for sizes in _CONVOLUTIONS]
    sums = [_Sums(c, element_bytes) for c in (*_CACHED_CHANNELS, _MEMORY_CHANNELS)]
    probes: list[_Convolutions | _Sums] = [*chains, *sums]
    runtime = runtimes[condition.runtime]()
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        paths = []
        for index, probe in enumerate(probes):
            for length in (_SHORT, _LONG):
                path = Path(name) / f"{index}-{length}{runtime.suffix}"
                path.write_bytes(_written(probe.graph(length), condition))
                paths.append(path)
        times_ms = ask_times_ms(paths, condition, bench=bench)
    rates = [
        probe.work * (_LONG - _SHORT) / _positive(long_ms - short_ms, probe)
        for probe, short_ms, long_ms in zip(probes, times_ms[::2], times_ms[1::2], strict=True)
    ]
    return Roofline(
        max(rates[: len(chains)]),
        max(rates[len(chains) :]),
        rates[-1],
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


@dataclass(frozen=True)
class _Convolutions:
    """A chain of equal convolutions."""

    channels: int
    side: int
    kernel: int

    @property
    def work(self) -> int:
        """Multiply-adds of one."""
        return (self.channels * self.side * self.kernel) ** 2

    def graph(self, length: int) -> Graph:
        random = numpy_generator(0, "roofline", self.channels, self.kernel)
        builder = GraphBuilder()
        value = builder.input((1, self.channels, self.side, self.side))
        shape = (self.channels, self.channels, self.kernel, self.kernel)
        scale = np.float32(1 / np.sqrt(np.prod(shape[1:])))
        for _ in range(length):
            weight = random.standard_normal(shape, np.float32) * scale
            bias = np.zeros(self.channels, np.float32)
            value = builder.conv(value, weight, bias, padding=self.kernel // 2)
        return builder.finish(value)


@dataclass(frozen=True)
class _Sums:
    """A chain of sums of a tensor with the network's input."""

    channels: int
    element_bytes: int

    @property
    def work(self) -> int:
        """Bytes that one moves."""
        return 3 * self.channels * _SIDE * _SIDE * self.element_bytes

    def graph(self, length: int) -> Graph:
        builder = GraphBuilder()
        first = builder.input((1, self.channels, _SIDE, _SIDE))
        value = first
        for _ in range(length):
            value = builder.add(value, first)
        return builder.finish(value)


def _written(graph: Graph, condition: Condition) -> bytes:
    if condition.precision is not Precision.INT8:
        return runtimes[condition.runtime]().write(graph, condition.precision)
    random = numpy_generator(0, "roofline", "calibration")
    sample = [random.standard_normal(graph.inputs[0].shape, np.float32)]
    return runtimes[condition.runtime]().write(
        graph, condition.precision, calibrate(graph, [sample])
    )


def _positive(time_ms: float, probe: object) -> float:
    if time_ms <= 0.0:
        raise MeasurementError(
            f"A longer chain of {probe} took {-time_ms:.3g} ms less than a shorter one: the "
            "machine is too busy to measure what it can do at best; try again when it is idle."
        )
    return time_ms
