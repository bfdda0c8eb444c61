"""The table itself as a model: it answers for what was measured, and for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .limits import StudentT


@latency_models.register("lookup")
class Lookup(LatencyModel):
    """Measured latencies; the deviation is that between launches.

    Limits are of a second measurement with as many launches, by Student's t.
    """

    def __init__(self, table: LatencyTable) -> None:
        self._table = table

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        del seed
        return cls(table)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        latency = [self._table[o] for o in operators]
        std = [0.0 if o.is_free else self._table.entry(o).std_ms for o in operators]
        counts = [1 if o.is_free else self._table.entry(o).count for o in operators]
        return Prediction(
            np.array(latency, np.float64),
            np.array(std, np.float64),
            StudentT(np.array(counts, np.intp)),
        )
