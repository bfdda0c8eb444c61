"""What a figure and a table of the report are: `collect` computes rows, the rest shows them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from matplotlib.figure import Figure

from .grid import Grid
from .inputs import ReportInputs
from .source import Source, distinct, has_simulated
from .style import Style, footer, freeze_layout, headline, watermark

Row = TypeVar("Row")


class ReportTable(ABC, Generic[Row]):
    """One table. No row means that its inputs were not given; `needs` then says what would.

    Attributes:
        title: What the table shows.
        about: How to read it, in a sentence or two.
        needs: What is missing where there is no row, and the command that makes it.
        place: Where it stands on the page; lower comes first.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    needs: ClassVar[str]
    place: ClassVar[int]

    @abstractmethod
    def collect(self, inputs: ReportInputs) -> tuple[Row, ...]:
        """The rows that `inputs` give, computed; draws nothing."""

    @abstractmethod
    def lay_out(self, rows: tuple[Row, ...]) -> Grid:
        """The rows under heads with units, best marked, with notes and sources."""


class ReportFigure(ABC, Generic[Row]):
    """One figure. No row means that its inputs were not given; `needs` then says what would.

    Attributes:
        title: What the figure shows.
        about: How to read it, in a sentence or two.
        needs: What is missing where there is no row, and the command that makes it.
        place: Where it stands on the page; lower comes first.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    needs: ClassVar[str]
    place: ClassVar[int]

    @abstractmethod
    def collect(self, inputs: ReportInputs) -> tuple[Row, ...]:
        """The rows that `inputs` give, computed; draws nothing."""

    @abstractmethod
    def sources(self, rows: tuple[Row, ...]) -> tuple[Source, ...]:
        """Where the drawn numbers come from."""

    @abstractmethod
    def describe(self, rows: tuple[Row, ...]) -> str:
        """What the figure shows of these rows in words and numbers; its caption."""

    @abstractmethod
    def draw(self, rows: tuple[Row, ...], style: Style) -> Figure:
        """The picture alone, without source lines."""

    def finished(self, rows: tuple[Row, ...], style: Style, *, is_framed: bool) -> Figure:
        """The picture, laid out, with a watermark where any number is simulated.

        Args:
            rows: From `collect`, at least one.
            style: Theme and width.
            is_framed: Whether the title and the sources are part of the picture, for one that
                stands alone; a page prints them as text.
        """
        sources = distinct(self.sources(rows))
        with style.applied():
            figure = self.draw(rows, style)
            if is_framed:
                headline(figure, self.title)
                footer(figure, style, [f"Source: {source}" for source in sources])
            if has_simulated(sources):
                watermark(figure, style, "SIMULATED")
            freeze_layout(figure)
        return figure
