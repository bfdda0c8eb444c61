"""The page: one HTML file with everything in it, that asks nothing of the network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..search.result import unit_of
from .film import Film
from .glossary import GLOSSARY
from .inputs import ReportInputs
from .key_results import key_results
from .networks import target_of
from .parts import FigurePart, Part
from .provenance import records
from .renderers import to_html
from .source import Source, has_simulated
from .style import DARK, NARROW, WIDE, recoloured, svg_bytes

_MIME = {
    "csv": "text/csv", "md": "text/markdown", "tex": "application/x-tex",
    "pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml",
}  # fmt: skip
_PHONE = "(max-width: 40rem)"
_DARK = "(prefers-color-scheme: dark)"


@dataclass(frozen=True)
class Picture:
    """One appearance of a figure, inline, and the media condition it is for."""

    media: str
    data: str


@dataclass(frozen=True)
class Download:
    """A file of the report carried inside the page."""

    name: str
    data: str

    @property
    def label(self) -> str:
        return self.name.rsplit(".", 1)[-1].upper()


@dataclass(frozen=True)
class Section:
    """What the template prints of one figure or table."""

    name: str
    title: str
    about: str
    missing: str
    caption: str
    pictures: tuple[Picture, ...]
    table: Markup
    notes: tuple[str, ...]
    sources: tuple[Source, ...]
    downloads: tuple[Download, ...]


@dataclass(frozen=True)
class Shot:
    """A moment of a film: the step, what is to be seen, and the picture, dark and light."""

    step: str
    text: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class FilmStrip:
    """What the template prints of one film."""

    label: str
    path: str
    length: str
    shots: tuple[Shot, ...]


def title_of(inputs: ReportInputs) -> str:
    """What the report is about, in a line."""
    targets = sorted({t for t in map(target_of, inputs.runs) if unit_of(t) == "ms"})
    if targets:
        return f"Networks searched for {_listed(targets)}"
    devices = sorted({model.device for model in inputs.models})
    if devices:
        return f"Latency models of {_listed(devices)}"
    examined = sorted({exam.terms.device for exam in inputs.exams})
    if examined and not inputs.sweeps:
        return f"Exams under bounds on {_listed(examined)}"
    studied = sorted({row.measured.device for study in inputs.wirings for row in study.rows})
    if studied and not inputs.sweeps:
        return f"Wirings of equal latency on {_listed(studied)}"
    return "Searched networks"


def lead_of(inputs: ReportInputs) -> str:
    """What the report was made from, in a sentence."""
    spaces = {str(run.result.space.get("name")) for run in inputs.runs}
    spaces |= {model.space for model in inputs.models if model.space}
    counts = [_counted(len(inputs.runs), "search", "searches")] if inputs.runs else []
    if inputs.models:
        counts.append(_counted(len(inputs.models), "latency model", "latency models"))
    if inputs.sweeps:
        spaces |= {row.space for sweep in inputs.sweeps for row in sweep.rows}
        counts.append(_counted(len(inputs.sweeps), "sweep", "sweeps"))
    if inputs.exams:
        spaces |= {exam.terms.space for exam in inputs.exams}
        counts.append(_counted(len(inputs.exams), "exam", "exams"))
    if inputs.aggregations:
        count = len(inputs.aggregations)
        counts.append(_counted(count, "measured cost", "measured costs") + " of aggregation")
    if inputs.wirings:
        counts.append(_counted(len(inputs.wirings), "study of wirings", "studies of wirings"))
    if not counts:
        return "No run, no latency model, no sweep, no exam and no study was read."
    space = f" in the space {_listed(sorted(spaces))}" if spaces else ""
    text = f"{_listed(counts)}{space}."
    return text[:1].upper() + text[1:]


def render_page(
    inputs: ReportInputs,
    parts: tuple[Part, ...],
    written: Mapping[str, bytes],
    films: tuple[Film, ...] = (),
) -> str:
    """The page as HTML.

    Args:
        inputs: From `read_inputs`.
        parts: From `collect_parts`.
        written: The files to offer for download, by path: `tables/accuracy.csv`.
        films: Shown by their key frames, which are in the page; the files lie beside it.
    """
    here = files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    template = environment.from_string(here.joinpath("page.html.j2").read_text())
    return template.render(
        title=title_of(inputs),
        lead=lead_of(inputs),
        version=__version__,
        css=Markup(here.joinpath("page.css").read_text()),
        statements=key_results(inputs),
        parts=[_section(part, written) for part in parts],
        films=[_film(film) for film in films],
        records=records(inputs),
        glossary=GLOSSARY,
    )


def _section(part: Part, written: Mapping[str, bytes]) -> Section:
    downloads = tuple(
        Download(path.rsplit("/", 1)[-1], _inline(data, path.rsplit(".", 1)[-1]))
        for path, data in sorted(written.items())
        if path.rsplit("/", 1)[-1].rsplit(".", 1)[0] == part.name
    )
    if isinstance(part, FigurePart):
        shown = part.figure
        if not part.rows:
            return _missing(part.name, shown.title, shown.about, shown.needs)
        pictures = _pictures(part)
        caption = shown.describe(part.rows)
        if has_simulated(part.sources):
            caption = f"Simulated, not measured. {caption}"
        return Section(
            part.name, shown.title, shown.about, "", caption, pictures,
            Markup(), (), part.sources, downloads,
        )  # fmt: skip
    table, grid = part.table, part.grid
    if grid is None:
        return _missing(part.name, table.title, table.about, table.needs)
    return Section(
        part.name, table.title, table.about, "", "", (), to_html(grid), grid.notes, grid.sources,
        downloads,
    )  # fmt: skip


def _film(film: Film) -> FilmStrip:
    shots = tuple(
        Shot(
            f"{frame.step:,}",
            frame.text,
            (Picture(_DARK, _inline(frame.dark, "png")), Picture("", _inline(frame.light, "png"))),
        )
        for frame in film.key_frames
    )
    return FilmStrip(film.label, film.path, f"{film.seconds:.0f} s", shots)


def _missing(name: str, title: str, about: str, needs: str) -> Section:
    return Section(name, title, about, needs, "", (), Markup(), (), (), ())


def _pictures(part: FigurePart) -> tuple[Picture, ...]:
    """The figure for phones and wider screens, dark and light.

    A browser takes the first whose media condition holds; the last has none.
    """
    found = []
    for phone, style in ((_PHONE, NARROW), ("", WIDE)):
        light = svg_bytes(part.figure.finished(part.rows, style, is_framed=False))
        dark = " and ".join(filter(None, (phone, _DARK)))
        found.append(Picture(dark, _inline(recoloured(light, DARK), "svg")))
        found.append(Picture(phone, _inline(light, "svg")))
    return tuple(found)


def _inline(data: bytes, suffix: str) -> str:
    return f"data:{_MIME[suffix]};base64,{base64.b64encode(data).decode()}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
