"""Networks by devices in Parquet, as tables of NAS-Bench-201 and FBNet are passed on."""

from __future__ import annotations

import io
from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Row, Statistic, UnitlessImporter
from .parsing import MS_PER, latency, shown
from .rows import judged

_MAGIC = b"PAR1"
_NUMBER = "arch_idx"
_NETWORKS = ("arch_str", "op_idx")
_SUMS = frozenset({"eyeriss", "fpga", "pixel3", "raspi4"})


@importers.register("device-table")
class DeviceTable(UnitlessImporter):
    """One row a network, one column a device; `arch_str` or `op_idx` spells the network.

    A column whose values are all whole numbers was rounded to them.
    """

    def recognises(self, data: bytes) -> bool:
        is_parquet = data.startswith(_MAGIC) and data.endswith(_MAGIC)
        return is_parquet and any(name.encode() in data for name in _NETWORKS)

    def read_as(self, data: bytes, unit: str) -> Imported:
        networks, columns = _columns(data)
        rows: list[Row] = []
        for device, values in columns.items():
            found = [latency(v, f"a latency on {device}") * MS_PER[unit] for v in values]
            is_rounded = all(value == int(value) for value in values)
            step = MS_PER[unit] if is_rounded else None
            facts = {"device": device}
            rows += [
                judged(f"{network} on {device}", v, Statistic.MEAN, resolution=step, facts=facts)
                for network, v in zip(networks, found, strict=True)
            ]
        sums = sorted(_SUMS & columns.keys())
        note = (
            f"{', '.join(sums)}: in the tables of HW-NAS-Bench these are sums of operators or "
            "estimates, so that predicting them tests nothing."
        )
        return Imported(
            kind="device-table",
            tool="a table of networks by devices",
            variant=f"{len(networks)} networks on {len(columns)} devices",
            unit=unit,
            unit_source="named by the user",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
            notes=(note,) if sums else (),
        )


def _columns(data: bytes) -> tuple[list[str], dict[str, list[Any]]]:
    """The networks as they are spelt, and the column of each device."""
    columns = _read(data)
    columns.pop(_NUMBER, None)
    spelt = [name for name in _NETWORKS if name in columns]
    if len(spelt) != 1:
        raise ArtefactError(
            f"of the columns {' and '.join(_NETWORKS)} one should spell the networks, found "
            f"{shown([*columns])}."
        )
    networks = columns.pop(spelt[0])
    if not networks or not all(isinstance(network, str) for network in networks):
        raise ArtefactError(f"{spelt[0]} should spell a network in every row.")
    if len(set(networks)) != len(networks):
        raise ArtefactError(f"{spelt[0]} spells a network twice.")
    if not columns:
        raise ArtefactError("there is no column of a device.")
    return networks, columns


def _read(data: bytes) -> dict[str, list[Any]]:
    """Every column of the Parquet file `data`, by its name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtefactError(f"it is no whole Parquet file ({first}).") from error
    return columns
