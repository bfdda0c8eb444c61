"""One grid as HTML, Markdown, CSV, LaTeX and plain text; each escapes what it prints."""

from __future__ import annotations

import csv
import io
import re

from markupsafe import Markup, escape

from .grid import Cell, Column, Grid, Value

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "−": r"$-$",
    "–": "--", "—": "---", "·": r"$\cdot$", "ρ": r"$\rho$", "τ": r"$\tau$", "λ": r"$\lambda$",
    "…": r"\dots{}",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\|*_`\[\]<>#~])")


def to_html(grid: Grid) -> Markup:
    """`grid` as an HTML `<table>`, every text escaped; notes and sources are left to the page."""
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}{}</th>').format(
            _numeric(column),
            column.title,
            Markup(' <span class="unit">{}</span>').format(column.unit) if column.unit else "",
        )
        for column in grid.columns
    )
    spans = Markup("").join(
        Markup('<th scope="colgroup" colspan="{}">{}</th>').format(count, group)
        if group
        else Markup('<td colspan="{}"></td>').format(count)
        for group, count in grid.groups
    )
    top = Markup('<tr class="groups">{}</tr>').format(spans) if grid.has_groups else ""
    body = Markup("\n").join(_html_row(grid, row) for row in grid.rows)
    return Markup("<table>\n<thead>{}<tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>").format(
        top, heads, body
    )


def to_markdown(grid: Grid, title: str) -> str:
    """`grid` as a pipe table under a heading, notes and sources below."""
    lines = [
        f"### {_markdown(title)}",
        "",
        _pipes([_markdown(_full_head(column)) for column in grid.columns]),
        _pipes(["---:" if column.is_number else ":---" for column in grid.columns]),
    ]
    for row in grid.rows:
        texts = [(_markdown(_joined(cell)), cell.is_best) for cell in row]
        lines.append(_pipes([f"**{text}**" if best else text for text, best in texts]))
    tail = [f"- {_markdown(line)}" for line in _tail(grid)]
    return "\n".join([*lines, "", *tail, ""])


def to_csv(grid: Grid) -> str:
    """The exact values of `grid`, a field a column, with the origin in the last one.

    Texts that a spreadsheet would read as a formula are quoted with a leading apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    origins = "+".join(sorted({source.origin for source in grid.sources}))
    writer.writerow([*(field for column in grid.columns for field in column.fields), "origin"])
    for row in grid.rows:
        writer.writerow([*(_csv(value) for cell in row for value in cell.values), origins])
    return buffer.getvalue()


def to_latex(grid: Grid, title: str, label: str) -> str:
    r"""`grid` as a `table` environment with `booktabs` rules; needs `\usepackage{booktabs}`."""
    shape = "".join("r" if column.is_number else "l" for column in grid.columns)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(title)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{shape}}}",
        r"\toprule",
    ]
    if grid.has_groups:
        lines += _latex_groups(grid)
    lines += [_ampersands([_latex(column.head) for column in grid.columns]), r"\midrule"]
    for row in grid.rows:
        texts = [(_latex(_joined(cell)), cell.is_best) for cell in row]
        lines.append(_ampersands([rf"\textbf{{{t}}}" if best else t for t, best in texts]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_latex(line)}" for line in _tail(grid)]
    return "\n".join([*lines, r"\end{table}", ""])


def to_text(grid: Grid) -> str:
    """`grid` in aligned columns of plain text; `*` marks the best of a column."""
    heads = [
        [column.group if column.group != before else "" for column, before in _with_before(grid)],
        [column.head for column in grid.columns],
    ]
    body = [[_joined(cell) + ("*" if cell.is_best else "") for cell in row] for row in grid.rows]
    lines = (heads if grid.has_groups else heads[1:]) + body
    # A spanning head may be wider than its first column; it is not asked to fit there.
    measured = [heads[1], *body]
    widths = [max(len(line[i]) for line in measured) for i in range(len(grid.columns))]
    texts = [_aligned(line, widths, grid.columns) for line in lines]
    if grid.has_groups:
        texts[0] = _group_line(grid, widths)
    rule = "-" * max(len(text) for text in texts)
    head_count = 2 if grid.has_groups else 1
    marks = ["* best of the column"] if any(c.is_best for row in grid.rows for c in row) else []
    return "\n".join(
        [*texts[:head_count], rule, *texts[head_count:], "", *marks, *_tail(grid), ""]
    )


def _html_row(grid: Grid, row: tuple[Cell, ...]) -> Markup:
    cells = []
    for position, (column, cell) in enumerate(zip(grid.columns, row, strict=True)):
        text = (
            Markup("<strong>{}</strong>").format(cell.text) if cell.is_best else escape(cell.text)
        )
        if cell.detail:
            text = text + Markup(' <span class="detail">{}</span>').format(cell.detail)
        form = '<th scope="row"{}>{}</th>' if position == 0 else "<td{}>{}</td>"
        cells.append(Markup(form).format(_numeric(column), text))
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _numeric(column: Column) -> Markup:
    return Markup(' class="num"') if column.is_number else Markup("")


def _joined(cell: Cell) -> str:
    return f"{cell.text} {cell.detail}" if cell.detail else cell.text


def _full_head(column: Column) -> str:
    return f"{column.group}: {column.head}" if column.group else column.head


def _tail(grid: Grid) -> list[str]:
    return [*grid.notes, *(f"Source: {source}" for source in grid.sources)]


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;")


def _pipes(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _csv(value: Value) -> Value:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))


def _ampersands(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_groups(grid: Grid) -> list[str]:
    heads, rules, start = [], [], 1
    for group, count in grid.groups:
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{_latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    return [_ampersands(heads), "".join(rules)]


def _with_before(grid: Grid) -> list[tuple[Column, str | None]]:
    groups = [column.group for column in grid.columns]
    return list(zip(grid.columns, [None, *groups[:-1]], strict=True))


def _aligned(line: list[str], widths: list[int], columns: tuple[Column, ...]) -> str:
    cells = [
        text.rjust(width) if column.is_number else text.ljust(width)
        for text, width, column in zip(line, widths, columns, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _group_line(grid: Grid, widths: list[int]) -> str:
    parts, start = [], 0
    for group, count in grid.groups:
        width = sum(widths[start : start + count]) + 2 * (count - 1)
        parts.append(group[:width].center(width))
        start += count
    return "  ".join(parts).rstrip()
