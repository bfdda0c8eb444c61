"""Search spaces: YAML files, and a family of spaces a module.

A new space is one YAML file; a new family is one module that registers its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...core.artefact import canonical_json, sha256_of
from ...core.config import read_yaml, with_overrides
from ...core.errors import ArtefactError, ConfigError, UnknownNameError
from ...core.registry import Registry
from .base import SearchSpace
from .blocks import BlockSpace, ChoiceBlock, Step, block_space

families: Registry[SearchSpace] = Registry("space family", __name__, "elat.spaces")

__all__ = [
    "BlockSpace",
    "ChoiceBlock",
    "SearchSpace",
    "Step",
    "block_space",
    "families",
    "find_space",
    "space_from_description",
    "space_names",
]


def space_paths() -> dict[str, Path]:
    """The bundled spaces by name."""
    found = Path(str(files(__name__))).glob("*.yaml")
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def space_names() -> tuple[str, ...]:
    """The names of the bundled spaces."""
    return tuple(space_paths())


def find_space(name_or_path: str, overrides: Sequence[str] = ()) -> SearchSpace:
    """The bundled space of that name, or the one that a YAML file describes.

    Args:
        name_or_path: A name of `space_names()`, or a path that ends in `.yaml` or `.yml`.
        overrides: `key.path=value` assignments applied to the file. A space that they change
            carries a suffix behind its name, so that it is not taken for the other.

    Raises:
        UnknownNameError: There is no such space or family.
        ArtefactError: The file is missing, cut short or not YAML.
        ConfigError: The description is wrong.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
    else:
        paths = space_paths()
        if name_or_path not in paths:
            raise UnknownNameError(
                "space", name_or_path, paths, "List them with: elat spaces; or give a .yaml file."
            )
        path = paths[name_or_path]
    data = read_yaml(path)
    if not isinstance(data, dict) or not data:
        raise ArtefactError(
            f"{path} holds no mapping of settings; it was cut short: repair or copy it again."
        )
    changed = with_overrides(data, overrides)
    suffix = "" if changed == data else f"-{sha256_of(canonical_json(changed))[:6]}"
    return _build(f"{path.stem}{suffix}", changed, str(path))


def space_from_description(description: Mapping[str, Any]) -> SearchSpace:
    """The space that `SearchSpace.describe` described.

    Raises:
        ArtefactError: The description has no name.
        ConfigError: Its family or settings are unknown.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    if not isinstance(name, str):
        raise ArtefactError("The description of the search space has no name; it was cut short.")
    return _build(name, settings, f"space {name}")


def _build(name: str, settings: Mapping[str, Any], source: str) -> SearchSpace:
    family = settings.get("family")
    if not isinstance(family, str):
        raise ConfigError(
            f"{source}: the key `family` is missing; it is one of {', '.join(families)}."
        )
    rest = {key: value for key, value in settings.items() if key != "family"}
    return families[family].from_settings(name, rest, source)
