"""A report as files: the page, every figure and table, and all of it as one PDF and one PNG."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..core.artefact import MANIFEST, manifest, sha256_of, write_bytes, write_json
from .document import lead_of, render_page, title_of
from .film import FOLDER as FILMS
from .film import Film
from .film_files import FilmFormat
from .inputs import ReportInputs
from .key_results import key_results
from .parts import FigurePart, Part, TablePart, collect_parts
from .renderers import to_csv, to_latex, to_markdown
from .sheet import table_sheet, text_sheet
from .style import WIDE, pdf_bytes, png_bytes

PAGE = "index.html"
_OVERVIEW_DPI = 110
_GUTTER = 24

Pixels = NDArray[np.uint8]


def write_report(inputs: ReportInputs, out: Path, films: tuple[Film, ...] = ()) -> Path:
    """Write the whole report into the folder `out`; the same inputs give the same bytes.

    `index.html` is self-contained; beside it lie `figures/NAME.pdf|png`,
    `tables/NAME.csv|md|tex`, `report.pdf` and `report.png`. Parts whose inputs are missing are
    named on the page with what would make them, and have no file.

    Args:
        inputs: From `read_inputs`.
        out: Made if missing.
        films: From `write_films` into `out`; the page shows their key frames and names the files,
            and others of an earlier report are removed.

    Returns:
        The path of `index.html`, which is written last.
    """
    parts = collect_parts(inputs)
    pictures = _pictures(parts)
    written = {**_figure_files(pictures), **_table_files(parts)}
    page = render_page(inputs, parts, written, films)
    for path in _possible_files(parts):
        if path not in written:
            (out / path).unlink(missing_ok=True)
    _remove_other_films(out, films)
    for path, data in written.items():
        write_bytes(out / path, data)
    sheets = [_front(inputs), *_sheets(parts, pictures)]
    write_bytes(out / "report.pdf", _pdf(sheets))
    write_bytes(out / "report.png", _overview(sheets))
    write_json(out / MANIFEST, _manifest(inputs))
    write_bytes(out / PAGE, page.encode())
    return out / PAGE


def write_parts(inputs: ReportInputs, out: Path, names: Collection[str]) -> tuple[Path, ...]:
    """Write the figures and tables called `names` alone, as a report would; gives their paths."""
    parts = tuple(part for part in collect_parts(inputs) if part.name in names)
    written = {**_figure_files(_pictures(parts)), **_table_files(parts)}
    for path, data in written.items():
        write_bytes(out / path, data)
    return tuple(out / path for path in written)


def _pictures(parts: tuple[Part, ...]) -> dict[str, Figure]:
    return {
        part.name: part.figure.finished(part.rows, WIDE, is_framed=True)
        for part in parts
        if isinstance(part, FigurePart) and part.rows
    }


def _figure_files(pictures: Mapping[str, Figure]) -> dict[str, bytes]:
    found = {}
    for name, picture in pictures.items():
        found[f"figures/{name}.pdf"] = pdf_bytes(picture)
        found[f"figures/{name}.png"] = png_bytes(picture)
    return found


def _table_files(parts: tuple[Part, ...]) -> dict[str, bytes]:
    found = {}
    for part in parts:
        if isinstance(part, TablePart) and part.grid is not None:
            title = part.table.title
            found[f"tables/{part.name}.csv"] = to_csv(part.grid).encode()
            found[f"tables/{part.name}.md"] = to_markdown(part.grid, title).encode()
            found[f"tables/{part.name}.tex"] = to_latex(part.grid, title, part.name).encode()
    return found


def _possible_files(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        folder, suffixes = (
            ("figures", ("pdf", "png"))
            if isinstance(part, FigurePart)
            else ("tables", ("csv", "md", "tex"))
        )
        for suffix in suffixes:
            yield f"{folder}/{part.name}.{suffix}"


def _remove_other_films(out: Path, films: tuple[Film, ...]) -> None:
    kept = {out / film.path for film in films}
    for form in FilmFormat:
        for path in (out / FILMS).glob(f"*.{form.value}"):
            if path not in kept:
                path.unlink()


def _front(inputs: ReportInputs) -> Figure:
    items = [(statement.head, statement.text) for statement in key_results(inputs)]
    with WIDE.applied():
        return text_sheet(title_of(inputs), lead_of(inputs), items, WIDE)


def _sheets(parts: tuple[Part, ...], pictures: Mapping[str, Figure]) -> Iterator[Figure]:
    for part in parts:
        if isinstance(part, TablePart):
            if part.grid is not None:
                with WIDE.applied():
                    yield table_sheet(part.table.title, part.table.about, part.grid, WIDE)
        elif part.name in pictures:
            yield pictures[part.name]


def _pdf(sheets: list[Figure]) -> bytes:
    buffer = io.BytesIO()
    nothing: Any = {"CreationDate": None, "Creator": None, "Producer": None}
    with mpl.rc_context({"pdf.fonttype": 42}), PdfPages(buffer, metadata=nothing) as pages:
        for sheet in sheets:
            pages.savefig(sheet)
    return buffer.getvalue()


def _overview(sheets: list[Figure]) -> bytes:
    """All sheets in two columns; each goes to the shorter one, so that they end about level."""
    columns: tuple[list[Pixels], list[Pixels]] = ([], [])
    for sheet in sheets:
        shorter = min(columns, key=lambda column: sum(len(pixels) for pixels in column))
        shorter.append(_pixels(sheet))
    height = max(sum(len(p) + _GUTTER for p in column) for column in columns) + _GUTTER
    width = max(p.shape[1] for column in columns for p in column)
    whole = np.full((height, 2 * width + 3 * _GUTTER, 3), 255, np.uint8)
    for number, column in enumerate(columns):
        left, top = _GUTTER + number * (width + _GUTTER), _GUTTER
        for pixels in column:
            whole[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
            top += len(pixels) + _GUTTER
    buffer = io.BytesIO()
    no_software: Any = {"Software": None}
    image.imsave(buffer, whole, format="png", metadata=no_software)
    return buffer.getvalue()


def _pixels(sheet: Figure) -> Pixels:
    sheet.set_dpi(_OVERVIEW_DPI)
    canvas = FigureCanvasAgg(sheet)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


def _manifest(inputs: ReportInputs) -> dict[str, object]:
    parents = {
        str(record.folder): sha256_of((record.folder / MANIFEST).read_bytes())
        for record in inputs.manifests
    }
    return manifest("report", config={}, seed=None, parents=parents)
