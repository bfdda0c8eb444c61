"""NAS-Bench-201 on 27 devices and batch sizes (Lee et al. 2021, HELP, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ElatError
from ...latency.cells.cell import EDGES, CellOp, Cells, parse_cells
from ...latency.cells.executed import twin_groups
from .device_columns import DeviceColumns, read_columns
from .locate import Corpus, corpus_path

NAS_BENCH_201 = Corpus(
    title="Latencies of NAS-Bench-201 on 27 devices (Lee et al. 2021, HELP)",
    file="help/nb201_latency_ms.parquet",
    source="the GitHub project HayeonLee/HELP, data/nasbench201, converted from its pickles",
    licence="MIT",
    sha256="cb90dfac57c7a1dd2825f03c83e6f0aa7fcfe77048c9878125160c85c9f8a340",
)
_CELLS = len(CellOp) ** len(EDGES)


@dataclass(frozen=True, eq=False)
class CellCorpus:
    """Every cell of the space, in the benchmark's own order, and its latencies.

    Attributes:
        cells: `(15625, 6)`.
        table: Latencies in that order.
    """

    cells: Cells
    table: DeviceColumns

    @cached_property
    def twins(self) -> NDArray[np.int64]:
        """A number a cell, the same for twins: keep them on one side of a split."""
        return twin_groups(self.cells)


def read_nas_bench_201(path: Path | None = None) -> CellCorpus:
    """The corpus in the Parquet file `path`, by default in the folder of published files.

    Raises:
        ArtefactError: The file is missing, damaged or another one.
    """
    path = corpus_path(NAS_BENCH_201) if path is None else path
    texts, table = read_columns(NAS_BENCH_201, path, "arch_str", {})
    repair = f"get it again from {NAS_BENCH_201.source}"
    try:
        cells = parse_cells(texts)
    except ElatError as error:
        raise ArtefactError(f"{path}: {error} {repair}.") from error
    if (
        len(np.unique(cells @ len(CellOp) ** np.arange(len(EDGES)))) != _CELLS
        or len(cells) != _CELLS
    ):
        raise ArtefactError(f"{path} does not hold each of {_CELLS} cells once; {repair}.")
    cells.setflags(write=False)
    return CellCorpus(cells, table)
