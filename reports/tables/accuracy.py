"""Table: the verified network against a network of equal MACs of the same space."""

from __future__ import annotations

from dataclasses import dataclass

from ...search.result import Run, Trained
from ..grid import Cell, Column, Grid, decimals_for, number, text_cell
from ..inputs import ReportInputs
from ..networks import Accuracy, labelled
from . import ReportTable, tables
from .specialisation import accuracy_cells


@dataclass(frozen=True)
class TrainedRow:
    """One network trained from scratch; `kind` is `verified` or `equal MACs`."""

    label: str
    kind: str
    data: str
    macs: int
    params: int
    epochs: int
    validation: Accuracy | None
    test: Accuracy | None


@tables.register("accuracy")
class AccuracyTable(ReportTable[TrainedRow]):
    """Accuracy after training from scratch, beside that of a network of equal MACs."""

    title = "Accuracy, trained from scratch"
    about = (
        "The verified network and a network of as many MACs of the same space, trained alike. "
        "The test set was used once, after training."
    )
    needs = "No network was trained; train the verified one with: elat train RUN --data DATA."
    place = 30

    def collect(self, inputs: ReportInputs) -> tuple[TrainedRow, ...]:
        """Two rows a trained run, or one where no network of equal MACs was trained."""
        return tuple(row for found in labelled(inputs) for row in _rows(found.run, found.label))

    def lay_out(self, rows: tuple[TrainedRow, ...]) -> Grid:
        """Size, length of training and accuracies with their spread over seeds."""
        macs = decimals_for(row.macs / 1e6 for row in rows)
        params = decimals_for(row.params / 1e3 for row in rows)
        validation = accuracy_cells([row.validation for row in rows])
        test = accuracy_cells([row.test for row in rows])
        return Grid(
            (
                Column("Network", ("network",), is_number=False),
                Column("Kind", ("kind",), is_number=False),
                Column("Data", ("data",), is_number=False),
                Column("MACs", ("macs",), "M"),
                Column("Parameters", ("params",), "k"),
                Column("Epochs", ("epochs",)),
                Column(
                    "Validation accuracy",
                    ("validation_accuracy", "validation_std", "validation_seeds"),
                    "%",
                ),
                Column("Test accuracy", ("test_accuracy", "test_std", "test_seeds"), "%"),
            ),
            tuple(
                (
                    text_cell(row.label),
                    text_cell(row.kind),
                    text_cell(row.data),
                    Cell(number(row.macs / 1e6, macs), (row.macs,)),
                    Cell(number(row.params / 1e3, params), (row.params,)),
                    Cell(str(row.epochs), (row.epochs,)),
                    validation[position],
                    test[position],
                )
                for position, row in enumerate(rows)
            ),
            ("The spread is the sample standard deviation over training seeds.",),
        )


def _rows(run: Run, label: str) -> list[TrainedRow]:
    if run.training is None:
        return []
    data = run.training.data
    rows = [_row(label, "verified", data, run.training.network)]
    if run.training.macs_matched is not None:
        rows.append(_row(label, "equal MACs", data, run.training.macs_matched))
    return rows


def _row(label: str, kind: str, data: str, trained: Trained) -> TrainedRow:
    return TrainedRow(
        label, kind, data, trained.macs, trained.params, trained.epochs,
        Accuracy(trained.validation_accuracy) if trained.validation_accuracy else None,
        Accuracy(trained.test_accuracy) if trained.test_accuracy else None,
    )  # fmt: skip
