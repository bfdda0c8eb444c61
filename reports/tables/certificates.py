"""Table: bound, prediction and measurement of every verified network on its own device."""

from __future__ import annotations

from ..grid import ABSENT, Cell, Column, Grid, decimals_for, number, text_cell
from ..inputs import ReportInputs
from ..networks import Network, networks
from ..source import distinct
from . import ReportTable, tables
from .specialisation import interval_text, interval_title

FULL_USE = 0.9


@tables.register("certificates")
class Certificates(ReportTable[Network]):
    """Whether the measured upper confidence limit of each network is within its bound."""

    title = "Certificates: the bound on the device"
    about = (
        "A bound is kept when the upper limit of the measured interval is within it. The "
        "network that the search chose is measured, and repaired until one keeps the bound."
    )
    needs = "No network bounded in latency was verified; do it with: elat verify RUN --device D."
    place = 20

    def collect(self, inputs: ReportInputs) -> tuple[Network, ...]:
        """The verified networks that have a bound on a device."""
        return tuple(
            row
            for row in networks(inputs)
            if row.bound_ms is not None and row.on(row.target) is not None
        )

    def lay_out(self, rows: tuple[Network, ...]) -> Grid:
        """A row a network: bound, prediction, measurement, share of the bound, verdict."""
        own = [m for row in rows if (m := row.on(row.target)) is not None]
        places = decimals_for((m.latency_ms for m in own), 4)
        return Grid(
            (
                Column("Network", ("network",), is_number=False),
                Column("Bound", ("bound_ms",), "ms"),
                Column("Predicted", ("predicted_ms",), "ms"),
                Column("Measured", ("measured_ms",), "ms"),
                Column(interval_title(own), ("low_ms", "high_ms"), "ms"),
                Column("Prediction error", ("prediction_error",), "%"),
                Column("Of bound", ("latency_over_bound",), "%"),
                Column("Networks measured", ("measurements",)),
                Column("Kept", ("is_met",), is_number=False),
            ),
            tuple(_cells(row, places) for row in rows),
            _notes(rows),
            distinct(s for row in rows for s in row.sources if s.device == row.target),
        )


def prediction_error(row: Network) -> float | None:
    """Predicted over measured latency on the network's own device, less 1."""
    own = row.on(row.target)
    predicted = row.predicted_ms.get(row.target)
    return None if own is None or predicted is None else predicted / own.latency_ms - 1


def _cells(row: Network, places: int) -> tuple[Cell, ...]:
    own = row.on(row.target)
    predicted, error, share = (
        row.predicted_ms.get(row.target),
        prediction_error(row),
        row.used_share,
    )
    low, high, latency = (None,) * 3 if own is None else (own.low_ms, own.high_ms, own.latency_ms)
    return (
        text_cell(row.label),
        Cell(number(row.bound_ms, places), (row.bound_ms,)),
        Cell(number(predicted, places), (predicted,)),
        Cell(number(latency, places), (latency,)),
        Cell(ABSENT, (None, None))
        if low is None or high is None
        else Cell(interval_text(low, high, places), (low, high)),
        Cell(ABSENT if error is None else f"{100 * error:+.1f}", (error,)),
        Cell(ABSENT if share is None else f"{100 * share:.1f}", (share,)),
        Cell(str(row.measurements), (row.measurements,)),
        Cell({True: "yes", False: "no", None: ABSENT}[row.is_met], (row.is_met,)),
    )


def _notes(rows: tuple[Network, ...]) -> tuple[str, ...]:
    notes = []
    for row in rows:
        if row.is_met is False:
            notes.append(
                f"The network {row.label} breaks its bound after {row.measurements} measured "
                "networks; search again with a longer search, or a higher bound."
            )
        elif row.used_share is not None and row.used_share < FULL_USE:
            predicted = row.predicted_ms.get(row.target)
            by_model = (
                f"; the model had put it at {predicted / row.bound_ms:.1%}"
                if predicted is not None and row.bound_ms is not None
                else ""
            )
            why = f": {row.note}" if row.note else ""
            notes.append(
                f"The network {row.label} uses {row.used_share:.1%} of its bound, under "
                f"{FULL_USE:.0%}{by_model}{why}; {row.measurements} networks were measured."
            )
    return tuple(notes)
