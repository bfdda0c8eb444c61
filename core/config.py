"""YAML in, validated pydantic models out: the only place where text becomes settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ArtefactError, ConfigError


class Settings(BaseModel):
    """Base of every settings model: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=BaseModel)
_DEEPEST = 100


def read_yaml(path: Path) -> Any:
    """The YAML document at `path`.

    Raises:
        ArtefactError: It is missing, truncated or not YAML.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = path.read_text()
        _check_depth(text, loader, path)
        return yaml.load(text, Loader=loader)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise ArtefactError(
            f"{path} is not readable YAML ({first}); it was cut short or mistyped: repair it."
        ) from error


def _check_depth(text: str, loader: Any, path: Path) -> None:
    """Refuse nesting at which composing a document would end the process.

    Raises:
        ArtefactError: It is nested deeper than any document of elat.
    """
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ArtefactError(f"{path} is nested over {_DEEPEST} levels deep: it is damaged.")


def parse(model: type[S], data: Any, source: str) -> S:
    """`data` as `model`.

    Raises:
        ConfigError: Keys are unknown or missing, or values are out of range; names the first one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        known = ", ".join(model.model_fields)
        raise ConfigError(f"{source}: {where}: {first['msg']}{more}. Keys: {known}.") from error


def with_overrides(data: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`data` with `key.path=value` assignments applied; values are read as YAML.

    Raises:
        ConfigError: An assignment has no `=`, or its path runs through a value.
    """
    result: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in data.items()}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {assignment!r} is not of the form key=value.")
        node = result
        *parents, leaf = path.split(".")
        for name in parents:
            child = node.setdefault(name, {})
            if not isinstance(child, dict):
                raise ConfigError(f"--set {assignment!r}: {name!r} holds a value, not a section.")
            node = child
        try:
            node[leaf] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {assignment!r}: {text!r} is not a YAML value.") from error
    return result
