"""Names to classes: by file, by entry point, and never twice."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from elat.core.errors import UnknownNameError
from elat.core.registry import Registry

INIT = """
from elat.core.registry import Registry
shapes = Registry("shape", __name__, "elat.toy-shapes")
"""
SHAPE = """
from . import shapes

@shapes.register("{name}")
class Shape:
    pass
"""


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """The registry of a package with the shapes `circle` and `square`."""
    folder = tmp_path / "toyshapes"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    for name in ("square", "circle"):
        (folder / f"{name}.py").write_text(SHAPE.format(name=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [name for name in sys.modules if name.partition(".")[0] == "toyshapes"]:
        monkeypatch.delitem(sys.modules, module)
    import toyshapes  # type: ignore[import-not-found]

    found: Registry[Any] = toyshapes.shapes
    return found


def test_a_new_file_is_a_new_name(shapes: Registry[Any]) -> None:
    assert list(shapes) == ["circle", "square"]
    assert len(shapes) == 2
    assert "circle" in shapes
    assert "hexagon" not in shapes
    assert shapes["circle"].__module__ == "toyshapes.circle"


def test_files_are_imported_on_first_use_only(shapes: Registry[Any]) -> None:
    assert "toyshapes.circle" not in sys.modules
    assert "circle" in shapes
    assert "toyshapes.square" in sys.modules


def test_an_unknown_name_is_an_error_with_a_suggestion(shapes: Registry[Any]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        shapes["cirlce"]
    assert str(caught.value) == (
        "Unknown shape 'cirlce'. Did you mean 'circle'? Known: circle, square."
    )
    assert (caught.value.noun, caught.value.name) == ("shape", "cirlce")
    with pytest.raises(UnknownNameError, match=r"^Unknown shape 'x'\. Known: circle, square\.$"):
        shapes["x"]


def test_a_name_is_registered_once(shapes: Registry[Any]) -> None:
    shapes.register("triangle")(int)
    with pytest.raises(ValueError, match="shape 'triangle' is registered twice"):
        shapes.register("triangle")(int)
    assert shapes["triangle"] is int


def test_outside_packages_join_through_entry_points(
    shapes: Registry[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outsider.py").write_text(
        'from toyshapes import shapes\n@shapes.register("star")\nclass Star: ...\n'
    )
    asked = []

    def entry_points(*, group: str) -> EntryPoints:
        asked.append(group)
        return EntryPoints([EntryPoint("star", "outsider:Star", group)])

    monkeypatch.setattr("elat.core.registry.entry_points", entry_points)
    monkeypatch.delitem(sys.modules, "outsider", raising=False)
    assert list(shapes) == ["circle", "square", "star"]
    assert list(shapes) == ["circle", "square", "star"]
    assert asked == ["elat.toy-shapes"], "looked up once"
