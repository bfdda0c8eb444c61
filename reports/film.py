"""The film of every search: which frames it shows, written beside the report."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.artefact import replacing
from ..core.errors import ArtefactError, UnavailableError
from .courses import ShownCourse, shown_courses
from .film_canvas import FilmCanvas
from .film_files import FilmFormat, encoder, png, unavailable_reason
from .film_links import open_links
from .inputs import ReportInputs
from .networks import written
from .style import DARK, WIDE, Style

FOLDER = "films"
_SHORTEST_S = 10
_LONGEST_S = 16
_HELD_S = 2
_KEY_FRAMES = 9


@dataclass(frozen=True)
class KeyFrame:
    """One frame for the page, in light and dark, as PNG; `text` says what it shows."""

    step: int
    text: str
    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Film:
    """A film that was written.

    Attributes:
        path: From the report's folder: `films/for-local-ort.mp4`.
        seconds: How long it runs.
        key_frames: The first, some in between, and the last.
    """

    label: str
    path: str
    seconds: float
    key_frames: tuple[KeyFrame, ...]


@dataclass(frozen=True)
class FilmProgress:
    """`done` of `total` frames of the film at `path` are drawn."""

    path: str
    done: int
    total: int


def write_films(
    inputs: ReportInputs, out: Path, form: FilmFormat, fps: int
) -> Generator[FilmProgress, None, tuple[Film, ...]]:
    """Write a film of every search of `inputs` into `out/films`; yields after every frame.

    Each file is written whole or not at all. A film runs 12 to 18 seconds, however long the
    search was, and holds its last frame for two.

    Args:
        inputs: From `read_inputs`.
        out: The report's folder.
        form: MP4 or GIF.
        fps: Frames a second, at least 1.

    Returns:
        The films, in the order of the report.

    Raises:
        UnavailableError: A package for `form` is missing.
        ConfigError: `form` cannot be so fast.
        ArtefactError: No search recorded its course, or a course is damaged.
    """
    if reason := unavailable_reason(form):
        raise UnavailableError(reason)
    courses = shown_courses(inputs)
    if not courses:
        raise ArtefactError(
            "No search recorded probabilities, so there is nothing to film; "
            "search again with: elat search ..."
        )
    films = []
    for shown, name in zip(courses, _names(courses), strict=True):
        path = f"{FOLDER}/{name}.{form.value}"
        films.append((yield from _write_film(shown, out, path, form, fps)))
    return tuple(films)


def film_frames(frames: int, fps: int) -> NDArray[np.intp]:
    """Which frame of a course of `frames` is shown at each moment of its film.

    A long course is thinned evenly, of a short one each frame is held; the first and the last
    are always shown.
    """
    count = min(max(frames, _SHORTEST_S * fps), _LONGEST_S * fps)
    moving = np.linspace(0, frames - 1, count).round().astype(np.intp)
    return np.append(moving, np.full(_HELD_S * fps, frames - 1, np.intp))


def _write_film(
    shown: ShownCourse, out: Path, path: str, form: FilmFormat, fps: int
) -> Generator[FilmProgress, None, Film]:
    canvas, dark = FilmCanvas(shown, WIDE), FilmCanvas(shown, Style(DARK, WIDE.width_in))
    count = shown.course.frames
    keys = np.unique(np.linspace(0, count - 1, _KEY_FRAMES).round().astype(int)).tolist()
    samples = [canvas.draw(key) for key in keys]
    wanted = film_frames(count, fps)
    with replacing(out / path) as temporary, encoder(form, temporary, fps, samples) as add:
        last, pixels = keys[-1], samples[-1]
        for done, frame in enumerate(wanted.tolist(), start=1):
            if frame != last:
                last, pixels = frame, canvas.draw(frame)
            add(pixels)
            yield FilmProgress(path, done, len(wanted))
    key_frames = tuple(
        KeyFrame(
            int(shown.course.step[key]), _described(shown, key), png(sample), png(dark.draw(key))
        )
        for key, sample in zip(keys, samples, strict=True)
    )
    return Film(shown.label, path, len(wanted) / fps, key_frames)


def _described(shown: ShownCourse, frame: int) -> str:
    course = shown.course
    costs = [
        f"E[cost] on {written(limit.name)} {float(value) / limit.limit:.1%} of the bound"
        for limit, value in zip(shown.limits, course.expected[frame], strict=True)
    ]
    head = f"Search {shown.label} at step {course.step[frame]:,}: {', '.join(costs)}; "
    if shown.stages:
        return (
            f"{head}{open_links(shown, frame)} of {shown.blocks} links likelier open than closed"
        )
    chosen = [
        labels[choice].text
        for labels, choice in zip(shown.labels, course.likeliest(frame), strict=True)
    ]
    return f"{head}most probable architecture {' '.join(chosen)}"


def _names(courses: Iterable[ShownCourse]) -> list[str]:
    """A file name a search, made of its label; none occurs twice."""
    found: list[str] = []
    for shown in courses:
        name = re.sub(r"[^A-Za-z0-9._]+", "-", shown.label).strip("-.") or "search"
        number = 2
        unique = name
        while unique in found:
            unique, number = f"{name}-{number}", number + 1
        found.append(unique)
    return found
