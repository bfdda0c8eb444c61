"""The graph network of operators: its graphs, its deviation, and its bits."""

from __future__ import annotations

import numpy as np
import pytest

from elat.core.errors import MissingOperatorError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph_ensemble import GraphNetworks
from elat.latency.models.crossing import Crossing
from elat.latency.models.executed import primitives
from elat.latency.models.features import FeatureSpace
from elat.latency.models.gnn import Gnn
from elat.latency.models.gnn_graphs import OperatorGraphs
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.generate import generate
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
KINDS = ("mbconv", "conv")


def toy_ms(operator: Operator) -> float:
    return max(operator.macs / 2e6, operator.traffic_elements * 4 / 8e6) + 2e-3


def table_of(operators: list[Operator]) -> LatencyTable:
    entries = {o: Entry(5, toy_ms(o), 0.01 * toy_ms(o)) for o in operators}
    return LatencyTable(CONDITION, "simulated", entries)


TABLE = table_of(list(dict.fromkeys(generate(60, 1, KINDS))))
FITTED = Gnn.fit(TABLE, seed=3)


def test_nodes_are_what_is_executed_in_order() -> None:
    space = FeatureSpace.of(TABLE)
    operators = list(TABLE)[:9]
    graphs = OperatorGraphs.of(space, operators).graphs(operators)
    assert np.bincount(graphs.owner).tolist() == [len(primitives(o)) for o in operators]
    starts, ends = graphs.edges
    assert (ends == starts + 1).all()
    assert len(starts) == len(graphs.nominal) - len(operators)


def test_it_learns_what_nominal_times_do_not_say() -> None:
    unseen = [o for o in generate(120, 9, KINDS) if FeatureSpace.of(TABLE).answers_for(o)]
    fresh = [o for o in unseen if o not in TABLE]
    found = FITTED.predict(fresh).latency_ms
    assert np.median(np.abs(found / [toy_ms(o) for o in fresh] - 1)) < 0.2


def test_what_was_learnt_comes_back_to_the_same_bits() -> None:
    again = Gnn.restored(TABLE, 3, FITTED.state())
    operators = list(TABLE)
    for name in ("latency_ms", "std_ms"):
        found, wanted = (getattr(m.predict(operators), name) for m in (again, FITTED))
        assert found.tobytes() == wanted.tobytes()


def test_the_deviation_joins_the_error_of_the_kind_and_how_far_networks_lie_apart() -> None:
    asked = [o for o in TABLE if isinstance(o, MBConv)]
    votes = GraphNetworks.of_arrays(FITTED.state()).votes(
        OperatorGraphs.of(FeatureSpace.of(TABLE), list(TABLE)).graphs(asked)
    )
    found = FITTED.predict(asked)
    own = (found.std_ms / found.latency_ms) ** 2 - votes.var(axis=1, ddof=1)
    assert own.min() > 0
    np.testing.assert_allclose(own, own[0], rtol=1e-9)


def test_damaged_arrays_and_unknown_kinds_are_refused() -> None:
    state = FITTED.state()
    del state["own"]
    with pytest.raises(KeyError):
        Gnn.restored(TABLE, 3, state)
    with pytest.raises(MissingOperatorError, match="no pool"):
        FITTED.predict([Pool(16, 14, 3, 2)])


def test_errors_are_of_networks_that_were_not_shown_the_row() -> None:
    table = table_of([Conv(8 * i, 16, 14, 3) for i in range(1, 20)])
    crossing = Crossing.of(table, 0)
    counts = crossing.counts(np.ones(len(table)))
    shown = counts[:, ~crossing.sees_all] > 0
    assert not crossing.held(shown.astype(np.float64)).any()
    assert (counts[:, crossing.sees_all] == 1).all() and crossing.sees_all.sum() == 5
    # Each of the others is shown all but its own fold.
    assert ((~shown).sum(axis=0) == np.bincount(crossing.fold_of).repeat(2)).all()
