"""Cells against NAS-Bench-201's own text, enumeration of paths, and every relabelling of nodes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ConfigError, UnknownNameError
from elat.latency.cells.cell import EDGES, CellOp, all_cells, cell_text, parse_cells
from elat.latency.cells.executed import (
    COSTLY,
    canonical_forms,
    executed_cells,
    live_edges,
    operation_counts,
    twin_groups,
)
from elat.latency.cells.features import GRAPH_FEATURES, graph_features, one_hot

NONE, SKIP, C1, C3, POOL = CellOp
CELLS = st.lists(st.sampled_from([*CellOp]), min_size=6, max_size=6)


def cells_of(*cells: list[CellOp]) -> np.ndarray:
    return np.array(cells, np.int8)


def paths_of(cell: list[CellOp]) -> list[list[int]]:
    """Edges of every path from node 0 to node 3 that crosses no `none`, by enumeration."""
    found: list[list[int]] = []
    stack: list[tuple[int, list[int]]] = [(0, [])]
    while stack:
        node, edges = stack.pop()
        if node == 3:
            found.append(edges)
        stack += [
            (end, [*edges, number])
            for number, (start, end) in enumerate(EDGES)
            if start == node and cell[number] != NONE
        ]
    return found


def columns(cell: list[CellOp]) -> dict[str, float]:
    return dict(zip(GRAPH_FEATURES, graph_features(cells_of(cell))[0], strict=True))


class TestText:
    def test_the_benchmark_s_own_text_is_read_edge_by_edge(self):
        text = (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
            "+|nor_conv_1x1~0|skip_connect~1|nor_conv_3x3~2|"
        )
        assert parse_cells([text]).tolist() == [[POOL, C1, SKIP, C1, SKIP, C3]]

    @given(CELLS)
    def test_text_and_cell_are_each_other_s_inverse(self, cell):
        assert parse_cells([cell_text(cell)]).tolist() == [cell]

    @pytest.mark.parametrize(
        "text", ["", "|none~0|", "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|"]
    )
    def test_another_grammar_is_refused(self, text):
        with pytest.raises(ConfigError, match="no cell of NAS-Bench-201"):
            parse_cells([text])

    def test_an_unknown_operation_is_refused_by_its_name(self):
        text = cell_text([SKIP] * 6).replace("skip_connect~2", "conv_5x5~2")
        with pytest.raises(UnknownNameError, match="conv_5x5"):
            parse_cells([text])

    def test_there_are_15625_cells(self):
        assert len(np.unique(all_cells(), axis=0)) == len(all_cells()) == 15625


class TestExecuted:
    @given(CELLS)
    def test_live_edges_are_those_on_a_path_from_input_to_output(self, cell):
        on_a_path = {edge for path in paths_of(cell) for edge in path}
        assert set(np.flatnonzero(live_edges(cells_of(cell))[0])) == on_a_path

    @given(CELLS)
    def test_paths_and_depth_are_those_of_an_enumeration(self, cell):
        paths, found = paths_of(cell), columns(cell)
        depths = [sum(cell[edge] in COSTLY for edge in path) for path in paths]
        assert (found["paths"], found["depth"]) == (len(paths), max(depths, default=0))
        assert found["is_dead"] == (not paths)

    def test_counts_leave_out_what_nobody_reads(self):
        # the convolution into node 1 is read by nobody
        cell = [C3, SKIP, NONE, C1, NONE, POOL]
        found = columns(cell)
        assert found["executed_conv_3x3"] == 0
        assert found["executed_conv_1x1"] == found["executed_pool_3x3"] == 1
        assert found["executes_0_1"] == 0 and found["executes_0_3"] == 1
        assert operation_counts(cells_of(cell))[0].tolist() == [2, 1, 1, 1, 1]

    def test_executing_twice_changes_nothing(self):
        once = executed_cells(all_cells())
        assert np.array_equal(executed_cells(once), once)

    def test_one_hot_has_one_for_each_edge(self):
        found = one_hot(all_cells()).reshape(-1, 6, 5)
        assert np.array_equal(found.argmax(axis=2), all_cells()) and (found.sum(axis=2) == 1).all()


class TestTwins:
    def test_a_node_reached_by_a_skip_alone_may_stand_anywhere(self):
        left, right = [SKIP, NONE, C3, NONE, NONE, C1], [C3, NONE, SKIP, NONE, NONE, C1]
        other = [C1, NONE, SKIP, NONE, NONE, C3]
        groups = twin_groups(cells_of(left, right, other))
        assert groups[0] == groups[1] != groups[2]

    def test_dead_edges_make_them_apart(self):
        live, with_dead = [NONE, NONE, NONE, C3, NONE, NONE], [C1, NONE, NONE, C3, NONE, NONE]
        forms = canonical_forms(cells_of(live, with_dead))
        groups = twin_groups(cells_of(live, with_dead))
        assert forms[0] == forms[1] and groups[0] != groups[1]

    def test_dead_cells_with_the_same_operations_are_twins(self):
        groups = twin_groups(cells_of([C3, NONE, NONE, NONE, NONE, NONE], [NONE] * 5 + [C3]))
        assert groups[0] == groups[1]

    def test_equal_forms_compute_the_same_function(self):
        """With generic linear maps for operations, equal forms give equal outputs and others not.

        Operations are matrices that do not commute, so that the output, a polynomial in them,
        tells one executed graph from another except where distributivity joins two of them; hence
        one direction only.
        """
        generator = np.random.default_rng(0)
        maps = [np.zeros((3, 3)), np.eye(3), *generator.normal(size=(3, 3, 3))]
        cells = all_cells()
        forms = canonical_forms(cells)
        outputs: dict[str, np.ndarray] = {}
        for cell, form in zip(cells.tolist(), forms, strict=True):
            nodes = [np.eye(3), np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))]
            for op, (start, end) in zip(cell, EDGES, strict=True):
                nodes[end] = nodes[end] + maps[op] @ nodes[start]
            np.testing.assert_allclose(nodes[3], outputs.setdefault(form, nodes[3]), atol=1e-9)

    def test_exchanging_the_middle_nodes_is_no_difference(self):
        """Where no edge joins them, nodes 1 and 2 can change places."""
        for first, second, third, fourth, direct in product((NONE, SKIP, C3, POOL), repeat=5):
            cell = [first, second, NONE, direct, third, fourth]
            swapped = [second, first, NONE, direct, fourth, third]
            one, two = canonical_forms(cells_of(cell, swapped))
            assert one == two
