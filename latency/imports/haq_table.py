"""Costs by layer and number of bits, the lookup tables of HAQ (Wang et al. 2019)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from ..measurement import SIMULATED
from . import importers
from .base import Imported, Importer, Quantity, Row, Statistic
from .parsing import latency

_MAGIC = b"\x93NUMPY"
_BITS = 8
_PREFIX_BYTES = 10
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<>|][iu][1248])', 'fortran_order': False, "
    rb"'shape': \((\d{1,7}), 8, 8\), \} *\n",
    re.S,
)


@importers.register("haq-table")
class HaqTable(Importer):
    """An array of NumPy, layers x 8 weight bits x 8 activation bits, in cycles of a simulator."""

    def recognises(self, data: bytes) -> bool:
        return data.startswith(_MAGIC)

    def read(self, data: bytes) -> Imported:
        cycles = _array(data)
        rows = [
            Row(
                name=f"layer {layer}, weights {weights + 1}, activations {activations + 1} bit",
                value=latency(int(cycles[layer, weights, activations]), "a number of cycles"),
                statistic=Statistic.SINGLE,
                facts={
                    "layer": layer,
                    "weight_bits": weights + 1,
                    "activation_bits": activations + 1,
                },
            )
            for layer, weights, activations in np.ndindex(cycles.shape)
        ]
        return Imported(
            kind="haq-table",
            tool="HAQ",
            variant="layers x weight bits x activation bits",
            unit="cycles",
            unit_source="definition of HAQ's tables: cycles of an analytic simulator",
            resolution=1.0,
            rows=tuple(rows),
            sha256=sha256_of(data),
            quantity=Quantity.CYCLES,
            origin=SIMULATED,
            notes=("A simulator gave these cycles; no device was timed.",),
        )


def _array(data: bytes) -> NDArray[np.integer[Any]]:
    """The array in `data`: whole numbers, which more bits never make smaller.

    Read by hand: NumPy's own reader would take arrays of Python objects, or as much memory as a
    damaged header asks for.
    """
    found = _HEADER.match(data)
    if found is None or int.from_bytes(found.group(1), "little") != found.end() - _PREFIX_BYTES:
        raise ArtefactError(
            "it is an array of NumPy, but none of whole numbers of shape (layers, 8, 8), as HAQ's "
            "tables are; no other array says what it holds."
        )
    dtype, layers = np.dtype(found.group(2).decode("ascii")), int(found.group(3))
    content = data[found.end() :]
    if layers < 1 or len(content) != layers * _BITS**2 * dtype.itemsize:
        raise ArtefactError(
            f"its header announces {layers} layers, and {len(content)} bytes follow: it was cut "
            "short or damaged."
        )
    cycles = np.frombuffer(content, dtype).reshape(layers, _BITS, _BITS)
    if any((np.diff(cycles.astype(np.float64), axis=axis) < 0).any() for axis in (1, 2)):
        raise ArtefactError(
            "more bits cost fewer cycles in it: it is no table of HAQ, or damaged."
        )
    return cycles
