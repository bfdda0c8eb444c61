"""Table: what networks spend on aggregating earlier outputs."""

from __future__ import annotations

from dataclasses import dataclass

from ..aggregation import NetworkCost
from ..grid import Cell, Column, Grid, number_cell, text_cell
from ..inputs import ReportInputs
from ..source import Source, distinct
from . import ReportTable, tables

_SHARES = "Share of the layers' time"


@dataclass(frozen=True)
class CostRow:
    """One network on one device."""

    source: Source
    protocol: str
    cost: NetworkCost


@tables.register("aggregation_cost")
class AggregationCostTable(ReportTable[CostRow]):
    """Where the time of dense and sparse networks goes, by sum and by concatenation."""

    title = "What aggregation costs"
    about = (
        "Parts of a layer as they run behind what stands before them, summed over all layers; "
        "brackets hold half of the 95% interval. Parts over whole: the sum of all parts over the "
        "network measured as it stands, 1 where latencies add up."
    )
    needs = (
        "No cost of aggregation was given; measure it with: elat exam aggregation-cost --device "
        "local-ort --out DIR."
    )
    place = 45

    def collect(self, inputs: ReportInputs) -> tuple[CostRow, ...]:
        """A row a network and device, in the order of the files."""
        return tuple(
            CostRow(device.source, device.protocol, cost)
            for costs in inputs.aggregations
            for device in costs.devices
            for cost in device.networks
        )

    def lay_out(self, rows: tuple[CostRow, ...]) -> Grid:
        """Shape, what it is made of, the three shares, and the check against the whole."""
        columns: list[tuple[Column, list[Cell]]] = [
            (
                Column("Device", ("device",), is_number=False),
                [text_cell(row.source.device) for row in rows],
            ),
            (
                Column("Network", ("network",), is_number=False),
                [text_cell(row.cost.name, str(row.cost.shape)) for row in rows],
            ),
            (Column("Layers", ("layers",)), [_count(row.cost.shape.layers) for row in rows]),
            (Column("Links", ("links",)), [_count(row.cost.links) for row in rows]),
            (
                Column("Parameters", ("params_m",), "M"),
                [number_cell(row.cost.params / 1e6, 3) for row in rows],
            ),
            (
                Column("Traffic of joins", ("join_traffic_mib",), "MiB"),
                [number_cell(row.cost.join_traffic_bytes / 2**20, 1) for row in rows],
            ),
            *_share_columns(rows),
            (
                Column("Layers", ("layers_ms",), "ms"),
                [number_cell(row.cost.layers.ms, 3) for row in rows],
            ),
            (
                Column("Parts / whole", ("sum_over_whole",)),
                [number_cell(row.cost.sum_over_whole, 2) for row in rows],
            ),
        ]
        notes = dict.fromkeys(
            f"{row.source.device}: protocol {row.protocol}, latencies {row.source.origin}."
            for row in rows
        )
        return Grid(
            tuple(column for column, _ in columns),
            tuple(zip(*(cells for _, cells in columns), strict=True)),
            tuple(notes),
            distinct(row.source for row in rows),
        )


def _share_columns(rows: tuple[CostRow, ...]) -> list[tuple[Column, list[Cell]]]:
    parts = {
        "join": [row.cost.join for row in rows],
        "norm": [row.cost.norm for row in rows],
        "convolution": [row.cost.conv for row in rows],
    }
    found = []
    for name, times in parts.items():
        cells = []
        for row, time in zip(rows, times, strict=True):
            share, half = 100 * row.cost.share(time), 100 * time.half_ms / row.cost.layers.ms
            cells.append(Cell(f"{share:.1f}", (share, half), f"[±{half:.1f}]"))
        fields = (f"{name}_share", f"{name}_half")
        found.append((Column(name.capitalize(), fields, "%", _SHARES), cells))
    return found


def _count(value: int) -> Cell:
    return Cell(str(value), (value,))
