"""Cells of NAS-Bench-201 (Dong and Yang 2020, section 2.1): operations on the edges of a DAG."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError, UnknownNameError

Cells = NDArray[np.int8]
"""Operation on each edge, `(cells, 6)`, values of `CellOp`; edges in the order of `EDGES`."""


class CellOp(IntEnum):
    """An operation of an edge, in the order of the search space's own list."""

    NONE = 0
    SKIP = 1
    CONV_1X1 = 2
    CONV_3X3 = 3
    POOL_3X3 = 4


NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NODES = 4
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edges as (from, to): node 0 is the cell's input, node 3 its output; a node sums its edges."""

_CODES = {name: code for code, name in enumerate(NAMES)}


def parse_cells(texts: Iterable[str]) -> Cells:
    """The cells that `texts` describe, such as `|none~0|+|none~0|none~1|+|none~0|none~1|none~2|`.

    Raises:
        ConfigError: A text is of another grammar.
        UnknownNameError: A text names an operation that the space has not.
    """
    return np.array([_parse(text) for text in texts], np.int8).reshape(-1, len(EDGES))


def cell_text(cell: Iterable[int]) -> str:
    """The text of one cell, as NAS-Bench-201 writes it."""
    names = [NAMES[op] for op in cell]
    nodes = (
        "|".join(
            f"{name}~{start}"
            for name, (start, end) in zip(names, EDGES, strict=True)
            if end == node
        )
        for node in range(1, NODES)
    )
    return "+".join(f"|{node}|" for node in nodes)


def all_cells() -> Cells:
    """Every cell of the space, `(15625, 6)`."""
    return np.indices((len(CellOp),) * len(EDGES)).reshape(len(EDGES), -1).T.astype(np.int8)


def _parse(text: str) -> list[int]:
    parts = text.replace("+", "").strip("|").replace("||", "|").split("|")
    pairs = [part.partition("~") for part in parts]
    if text.count("+") != NODES - 2 or [pair[2] for pair in pairs] != [str(s) for s, _ in EDGES]:
        raise ConfigError(
            f"{text!r} is no cell of NAS-Bench-201; it should read like "
            f"{cell_text([CellOp.NONE] * len(EDGES))}."
        )
    for name, _, _ in pairs:
        if name not in _CODES:
            raise UnknownNameError("operation of a cell", name, NAMES)
    return [_CODES[name] for name, _, _ in pairs]
