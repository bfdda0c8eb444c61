from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.reports.grid import Cell, Column, Grid, best_index, decimals_for, number, text_cell
from elat.reports.renderers import to_csv, to_html, to_latex, to_markdown, to_text

HOSTILE = '<script>alert("x")</script> & 50% a_b | c $d$ #e {f} \\g ~h ^i *j* `k`'


@pytest.fixture
def grid() -> Grid:
    return Grid(
        (
            Column("Name", ("name",), is_number=False),
            Column("Latency", ("ms",), "ms", "On a"),
            Column("Interval", ("low", "high"), "ms", "On a"),
        ),
        (
            (text_cell(HOSTILE), Cell("0.50", (0.5,), is_best=True), Cell("0 – 1", (0.1, 0.9))),
            (text_cell("plain"), Cell("—", (None,)), Cell("—", (None, None))),
        ),
        (f"note {HOSTILE}",),
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_html_keeps_any_text_as_text(text: str) -> None:
    grid = Grid((Column("n", ("n",)),), ((text_cell(text),),))
    found = _Tags()
    found.feed(str(to_html(grid)))
    found.close()
    assert set(found.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "strong", "span"}


def test_html_escapes_and_marks_the_best(grid: Grid) -> None:
    html = str(to_html(grid))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<strong>0.50</strong>" in html
    assert '<th scope="colgroup" colspan="2">On a</th>' in html
    assert '<span class="unit">ms</span>' in html


def test_markdown_keeps_one_cell_a_column(grid: Grid) -> None:
    lines = [line for line in to_markdown(grid, "T").splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
    assert "<script>" not in to_markdown(grid, "T").replace("\\<script\\>", "")
    assert "| **0.50** |" in lines[2]
    assert lines[0] == "| Name | On a: Latency (ms) | On a: Interval (ms) |"


def test_csv_holds_the_exact_values(grid: Grid) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(grid))))
    assert rows[0] == ["name", "ms", "low", "high", "origin"]
    assert rows[1] == [HOSTILE, "0.5", "0.1", "0.9", ""]
    assert rows[2][1:] == ["", "", "", ""]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_csv_disarms_formulas(formula: str) -> None:
    grid = Grid((Column("n", ("n",)),), ((text_cell(formula),),))
    assert to_csv(grid).splitlines()[1] == f"'{formula},"


def test_latex_escapes_everything_special(grid: Grid) -> None:
    latex = to_latex(grid, HOSTILE, "t")
    escaped = (
        r"\textless{}script\textgreater{}alert(\textquotedbl{}x\textquotedbl{})"
        r"\textless{}/script\textgreater{} \& 50\% a\_b \textbar{} c \$d\$ \#e \{f\} "
        r"\textbackslash{}g \textasciitilde{}h \textasciicircum{}i *j* `k`"
    )
    assert rf"\caption{{{escaped}}}" in latex
    assert rf"{escaped} & \textbf{{0.50}} & 0 -- 1 \\" in latex
    assert r"\multicolumn{2}{c}{On a}" in latex
    assert r"\cmidrule(lr){2-3}" in latex
    for rule in ("toprule", "midrule", "bottomrule"):
        assert latex.count(f"\\{rule}") == 1
    assert all(ord(char) < 128 for char in latex)


def test_text_is_aligned(grid: Grid) -> None:
    lines = to_text(grid).splitlines()
    assert lines[2].startswith("---")
    ends = {line.rstrip().rfind("0.50*") for line in lines if "0.50*" in line}
    assert ends == {lines[1].index("Latency (ms)") + len("Latency (ms)") - len("0.50*")}
    assert "* best of the column" in lines


def test_a_grid_refuses_rows_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="a row of 2 cells under 1 columns"):
        Grid((Column("a", ("a",)),), ((text_cell("x"), text_cell("y")),))
    with pytest.raises(ValueError, match="2 values in column 'a' of 1 fields"):
        Grid((Column("a", ("a",)),), ((Cell("x", (1, 2)),),))


def test_numbers_as_read() -> None:
    assert number(None, 2) == number(float("nan"), 2) == "—"
    assert number(1.005, 1) == "1.0"
    assert decimals_for([0.123, 12.0]) == 3
    assert decimals_for([1234.0]) == 0
    assert decimals_for([None, 0.0]) == 3
    assert best_index([None, 2.0, 1.0]) == 2
    assert best_index([1.0, 2.0, None], is_lower_better=False) == 1
    assert best_index([None, 2.0]) is None
