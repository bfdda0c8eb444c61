"""A device that does not exist: a roofline with noise, so that tests need no luck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from ...core.artefact import sha256_of
from ...core.config import Settings, parse
from ...core.errors import ArtefactError, MeasurementError
from ...core.seeding import numpy_generator
from ..precision import Precision
from ..sample import NS_PER_MS, Sample
from . import runtimes
from .base import Options, Runtime, Session

if TYPE_CHECKING:
    from ..condition import Condition
    from ..graph.ir import Array, Graph, Node
    from ..graph.quantise import Quantisation


class _Options(Settings):
    gmacs_per_s: float = Field(default=20.0, gt=0)
    gbytes_per_s: float = Field(default=10.0, gt=0)
    node_us: float = Field(default=1.0, ge=0)
    call_us: float = Field(default=2.0, ge=0)
    depthwise_efficiency: float = Field(default=0.3, gt=0, le=1)
    launch_noise: float = Field(default=0.01, ge=0)
    sample_noise: float = Field(default=0.005, ge=0)
    seed: int = Field(default=0, ge=0)


@runtimes.register("simulated")
class Simulated(Runtime):
    """Computes outputs in NumPy and invents times: nothing of it is measured.

    A primitive takes the larger of its MACs over `gmacs_per_s` (times the threads, times
    `depthwise_efficiency` where every group has one input channel) and its memory traffic over
    `gbytes_per_s`, and `node_us`; a call takes `call_us` more (Williams et al. 2009, the roofline
    model). Log-normal noise multiplies it, once for a session and once for a sample, drawn from
    `seed`, the artefact, and how many sessions this object opened before.
    """

    origin: ClassVar[str] = "simulated"

    def __init__(self) -> None:
        self._opened = 0

    @property
    def suffix(self) -> str:
        return ".sim.json"

    def unavailable_reason(self) -> str | None:
        return None

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        return "simulated 1"

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = parse(_Options, dict(given), "simulated options").model_dump()
        return options

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        from ..graph.json_file import write_graph_json

        return write_graph_json(graph, precision.element_bytes)

    @contextmanager
    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> Iterator[Session]:
        from ..graph.json_file import read_graph_json

        options = _Options.model_validate(self.options(dict(condition.options)))
        try:
            data = artefact.read_bytes()
            graph, element_bytes = read_graph_json(data)
        except (OSError, ArtefactError) as error:
            raise MeasurementError(f"simulated refuses {artefact}: {error}") from error
        if len(graph.inputs) != len(inputs):
            raise MeasurementError(
                f"{artefact} takes {len(graph.inputs)} inputs, got {len(inputs)}."
            )
        self._opened += 1
        random = numpy_generator(options.seed, sha256_of(data), self._opened)
        ideal_ms = simulated_ms(graph, options, element_bytes, condition.threads)
        launch_ms = ideal_ms * float(np.exp(options.launch_noise * random.standard_normal()))
        yield _Session(graph, inputs, launch_ms, options.sample_noise, random)


class _Session(Session):
    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[Array],
        run_ms: float,
        noise: float,
        random: np.random.Generator,
    ) -> None:
        self._graph = graph
        self._inputs = inputs
        self._run_ms = run_ms
        self._noise = noise
        self._random = random

    def time_loops(self, loops: int) -> Sample:
        factor = float(np.exp(self._noise * self._random.standard_normal()))
        time_ns = max(1, round(self._run_ms * loops * factor * NS_PER_MS))
        return Sample(loops, time_ns, time_ns, 0)

    def output(self) -> Array:
        from ..graph import reference

        values = reference.run(self._graph, self._inputs, np.float32)
        return values[self._graph.output.name].astype(np.float32)


def simulated_ms(graph: Graph, options: _Options, element_bytes: int, threads: int) -> float:
    """Time of one run of `graph` without noise, in milliseconds; int8 multiplies 4 times as fast.

    Args:
        graph: What is run.
        options: Speeds of the device.
        element_bytes: Bytes of one element: 4, or 1 for int8.
        threads: How many cores multiply.
    """
    speed_up = threads * 4 / element_bytes

    def node_us(node: Node) -> float:
        is_thin = (
            bool(node.weights) and node.weights[0].ndim == 4 and node.weights[0].shape[1] == 1
        )
        efficiency = options.depthwise_efficiency if is_thin else 1.0
        compute = node.macs / (options.gmacs_per_s * 1e3 * speed_up * efficiency)
        memory = node.traffic_elements * element_bytes / (options.gbytes_per_s * 1e3)
        return max(compute, memory) + options.node_us

    return (sum(map(node_us, graph.nodes)) + options.call_us) / 1e3
