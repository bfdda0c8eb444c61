import numpy as np
import pytest

from elat.core.errors import ArtefactError
from elat.latency.graph import reference
from elat.latency.graph.ir import Activation, Pooling
from elat.latency.graph.json_file import read_graph_json, write_graph_json
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.identity import Identity
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool

NETWORK = Chain(
    (
        Conv(3, 8, 8, 3, 2),
        Pool(8, 4, 3, 1, Pooling.MAX),
        MBConv(8, 8, 4, 3, 1, 2, True, Activation.HSWISH),
        Identity(8, 4),
        GlobalPool(8, 4),
        Linear(8, 4),
    )
)


@pytest.mark.parametrize("operator", [NETWORK, Concat((2, 3), 4)], ids=str)
def test_round_trip(operator):
    graph = operator.lower(operator.build().eval(), batch=2)
    read, element_bytes = read_graph_json(write_graph_json(graph, 4))
    assert element_bytes == 4
    assert read.macs == graph.macs
    assert read.traffic_elements == graph.traffic_elements
    random = np.random.default_rng(0)
    inputs = [random.standard_normal(v.shape).astype(np.float32) for v in graph.inputs]
    first, second = (reference.run(g, inputs)[g.output.name] for g in (graph, read))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"shapes": 1}'])
def test_damage_is_refused(data):
    with pytest.raises(ArtefactError, match="no graph"):
        read_graph_json(data)


def test_a_truncated_file_is_refused():
    graph = NETWORK.lower(NETWORK.build().eval())
    data = write_graph_json(graph, 4)
    with pytest.raises(ArtefactError):
        read_graph_json(data[: len(data) // 2])
