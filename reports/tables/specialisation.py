"""Table: each searched network on every device (as in Cai et al. 2019, specialised models)."""

from __future__ import annotations

from collections.abc import Sequence

from ...search.result import MeasuredLatency
from ..grid import ABSENT, Cell, Column, Grid, best_index, decimals_for, number, number_cell
from ..inputs import ReportInputs
from ..networks import Accuracy, Network, devices, networks
from ..source import distinct
from ..specialisation import compare
from . import ReportTable, tables


@tables.register("specialisation")
class Specialisation(ReportTable[Network]):
    """The networks searched for each device and for MACs, each measured on every device."""

    title = "Specialisation: every network on every device"
    about = (
        "Each row is one network. Best of a column in bold. A network should be fastest in the "
        "column of the device that it was searched for."
    )
    needs = "No searched network was given; make one with: elat search, then elat verify."
    place = 10

    def collect(self, inputs: ReportInputs) -> tuple[Network, ...]:
        """The searched networks, those for devices first."""
        return networks(inputs)

    def lay_out(self, rows: tuple[Network, ...]) -> Grid:
        """Latency with its interval on each device, bound, size and accuracy."""
        bounds = decimals_for((row.bound_ms for row in rows), 4)
        columns = [
            [(Column("Network", ("network",), is_number=False), _names(rows))],
            *(_on_device(rows, device) for device in devices(rows)),
            [
                (Column("Bound", ("bound_ms", "bound_macs"), "ms"), _bounds(rows, bounds)),
                (Column("Of bound", ("latency_over_bound",), "%"), _shares(rows)),
                (
                    Column("Accuracy", ("accuracy", "accuracy_std", "seeds"), "%"),
                    accuracy_cells([row.accuracy for row in rows]),
                ),
                (Column("MACs", ("macs",), "M"), _millions([row.macs for row in rows])),
                (Column("Params", ("params",), "k"), _thousands([row.params for row in rows])),
            ],
        ]
        flat = [pair for group in columns for pair in group]
        return Grid(
            tuple(column for column, _ in flat),
            tuple(zip(*(cells for _, cells in flat), strict=True)),
            _notes(rows),
            distinct(source for row in rows for source in row.sources),
        )


def accuracy_cells(accuracies: Sequence[Accuracy | None]) -> list[Cell]:
    """Accuracies in percent with the spread over seeds, the best marked."""
    means = [None if a is None else a.mean for a in accuracies]
    best = best_index(means, is_lower_better=False)
    return [
        Cell(ABSENT, (None, None, None))
        if a is None
        else Cell(
            f"{100 * a.mean:.2f}",
            (a.mean, a.std, len(a.values)),
            "(one seed)" if a.std is None else f"± {100 * a.std:.2f}",
            position == best,
        )
        for position, a in enumerate(accuracies)
    ]


def interval_text(low_ms: float, high_ms: float, decimals: int) -> str:
    """An interval as read: `0.309 – 0.316`."""
    return f"{number(low_ms, decimals)} – {number(high_ms, decimals)}"


def interval_title(latencies: Sequence[MeasuredLatency]) -> str:
    """`95% interval`, or without a level where several are mixed."""
    levels = {m.level for m in latencies}
    return f"{100 * levels.pop():g}% interval" if len(levels) == 1 else "Confidence interval"


def _names(rows: Sequence[Network]) -> list[Cell]:
    return [
        Cell(row.label, (row.label,), "" if row.is_verified else "(not verified)") for row in rows
    ]


def _on_device(rows: Sequence[Network], device: str) -> list[tuple[Column, list[Cell]]]:
    found = [row.on(device) for row in rows]
    known = [m for m in found if m is not None]
    places = decimals_for((m.latency_ms for m in known), 4)
    best = best_index(None if m is None else m.latency_ms for m in found)
    name = device.replace("-", "_")
    group = f"On {device}"
    latency = [
        number_cell(None if m is None else m.latency_ms, places, is_best=i == best)
        for i, m in enumerate(found)
    ]
    interval = [
        Cell(ABSENT, (None, None))
        if m is None
        else Cell(interval_text(m.low_ms, m.high_ms, places), (m.low_ms, m.high_ms))
        for m in found
    ]
    return [
        (Column("Latency", (f"{name}_ms",), "ms", group), latency),
        (
            Column(interval_title(known), (f"{name}_low_ms", f"{name}_high_ms"), "ms", group),
            interval,
        ),
    ]


def _bounds(rows: Sequence[Network], places: int) -> list[Cell]:
    return [
        Cell(f"{row.bound_macs / 1e6:.3g} M MACs", (None, row.bound_macs))
        if row.bound_macs is not None
        else Cell(number(row.bound_ms, places), (row.bound_ms, None))
        for row in rows
    ]


def _shares(rows: Sequence[Network]) -> list[Cell]:
    return [
        Cell(
            ABSENT if row.used_share is None else f"{100 * row.used_share:.1f}", (row.used_share,)
        )
        for row in rows
    ]


def _millions(counts: Sequence[int]) -> list[Cell]:
    return _scaled(counts, 1e6)


def _thousands(counts: Sequence[int]) -> list[Cell]:
    return _scaled(counts, 1e3)


def _scaled(counts: Sequence[int], scale: float) -> list[Cell]:
    places = decimals_for(count / scale for count in counts)
    best = best_index(counts)
    return [
        Cell(number(count / scale, places), (count,), is_best=position == best)
        for position, count in enumerate(counts)
    ]


def _notes(rows: Sequence[Network]) -> tuple[str, ...]:
    flags = [
        f"{row.label} on {m.device}: measurement marked {', '.join(m.flags)}."
        for row in rows
        for m in row.latencies
        if m.flags
    ]
    return (*(str(found) for found in compare(rows)), *flags)
