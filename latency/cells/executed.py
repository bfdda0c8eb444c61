"""What is left of a cell when a runtime has removed what changes nothing.

`none` gives zeros, and nothing is computed from zeros or for an output that nobody reads; a skip
copies nothing. PyTorch run eagerly removes nothing: there every edge that is not `none` or a skip
costs its time, so that models are given both the cell as it stands and what executes of it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .cell import EDGES, NODES, CellOp, Cells

Mask = NDArray[np.bool_]
COSTLY = (CellOp.CONV_1X1, CellOp.CONV_3X3, CellOp.POOL_3X3)


def live_edges(cells: Cells) -> Mask:
    """Which edges carry data from the cell's input to its output, `(cells, 6)`."""
    carries = cells != CellOp.NONE
    is_fed = np.zeros((len(cells), NODES), bool)
    is_read = np.zeros((len(cells), NODES), bool)
    is_fed[:, 0] = is_read[:, -1] = True
    for edge, (start, end) in enumerate(EDGES):  # ordered by their ends
        is_fed[:, end] |= carries[:, edge] & is_fed[:, start]
    for start, end, edge in sorted(((s, e, i) for i, (s, e) in enumerate(EDGES)), reverse=True):
        is_read[:, start] |= carries[:, edge] & is_read[:, end]
    live = [carries[:, i] & is_fed[:, s] & is_read[:, e] for i, (s, e) in enumerate(EDGES)]
    return np.stack(live, axis=1)


def executed_cells(cells: Cells) -> Cells:
    """`cells` with `none` on every edge that is not live."""
    return np.where(live_edges(cells), cells, np.int8(CellOp.NONE))


def canonical_forms(cells: Cells) -> list[str]:
    """One text a cell, the same where executed graphs are the same, skips contracted.

    The text is the output's expression over the input `x`: operations applied to sums of sorted
    terms, a skip being its argument (the `unique string` of NAS-Bench-201, extended to zeros).
    """
    return [_form(tuple(cell)) for cell in executed_cells(cells).tolist()]


def operation_counts(cells: Cells) -> NDArray[np.int64]:
    """How often each operation stands in a cell, `(cells, 5)`."""
    return np.stack([(cells == op).sum(axis=1) for op in CellOp], axis=1)


def twin_groups(cells: Cells) -> NDArray[np.int64]:
    """A number a cell, the same for twins: `(cells,)`.

    Twins have the same canonical executed graph and, with dead edges, the same operations. They
    are one program to a compiling runtime and nearly one to an eager one: a test that holds twins
    of training cells is no test.
    """
    counts = operation_counts(cells).tolist()
    keys = [*zip(canonical_forms(cells), map(tuple, counts), strict=True)]
    numbers: dict[tuple[str, tuple[int, ...]], int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


@lru_cache(maxsize=15625)
def _form(cell: tuple[int, ...]) -> str:
    terms: list[list[str]] = [["x"], *([] for _ in range(1, NODES))]
    for op, (start, end) in zip(cell, EDGES, strict=True):
        if op == CellOp.NONE:
            continue
        argument = "+".join(sorted(terms[start]))
        if op == CellOp.SKIP:
            terms[end].append(argument if len(terms[start]) == 1 else f"({argument})")
        else:
            terms[end].append(f"{op}({argument})")
    return "+".join(sorted(terms[-1])) or "0"
