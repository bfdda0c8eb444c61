"""Models and executed nodes written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.profiling.model_file import ModelFile, ModelInput, ModelNode
from elat.latency.profiling.raw import RawNode, RawProfile


@pytest.fixture
def model():
    """A model of nodes `(kind, inputs, output)`; inputs `x...` are given, `w...` constants."""

    def model(*rows, outputs=(), macs=None, suffix=".onnx"):
        nodes = tuple(
            ModelNode(output, kind, tuple(inputs), (output,), (macs or {}).get(output, 0))
            for kind, inputs, output in rows
        )
        names = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        constants = frozenset(name for name in names if name.startswith("w"))
        given = sorted(name for name in names if name.startswith("x"))
        return ModelFile(
            b"",
            suffix,
            nodes,
            tuple(ModelInput(name, np.dtype(np.float32), (1, 8)) for name in given),
            tuple(outputs) or (nodes[-1].outputs[0],),
            constants,
            {name: 100 if name in constants else 10 for name in names},
            False,
        )

    return model


@pytest.fixture
def ran():
    """An executed node `(name, kind, inputs, outputs)`."""

    def ran(name, kind, inputs=(), outputs=(), times_ms=(0.01,), original=None):
        return RawNode(name, kind, tuple(times_ms), tuple(inputs), tuple(outputs), original)

    return ran


@pytest.fixture
def raw():
    """What one process found: nodes, and the time in no node of each run."""

    def raw(*nodes, gap_ms=0.0, step_ms=1e-3, is_gapless=False):
        runs = [sum(times) + gap_ms for times in zip(*(n.times_ms for n in nodes), strict=True)]
        return RawProfile(tuple(nodes), tuple(runs), step_ms, is_gapless)

    return raw
