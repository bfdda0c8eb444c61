"""A figure that a command was asked to write, besides those of a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from ..core.artefact import write_bytes
from ..core.errors import ConfigError
from .style import WIDE, Style, pdf_bytes, png_bytes, svg_bytes

_MAKERS = {".png": png_bytes, ".svg": svg_bytes, ".pdf": pdf_bytes}


def check_figure(path: Path) -> None:
    """Refuse a `path` that no figure can be written to, before anything is computed for it.

    Raises:
        ConfigError: Its suffix is none of .png, .svg and .pdf, or its folder is missing.
    """
    if path.suffix not in _MAKERS:
        raise ConfigError(f"A figure is a .png, .svg or .pdf, found {path}; rename --figure.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{path} cannot be written; make its folder, or choose another.")


def write_figure(path: Path, draw: Callable[[Style], Figure]) -> None:
    """Write what `draw` makes to `path`, whole or not at all.

    Raises:
        ConfigError: As `check_figure`.
    """
    check_figure(path)
    with WIDE.applied():
        write_bytes(path, _MAKERS[path.suffix](draw(WIDE)))
