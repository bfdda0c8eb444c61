"""Files written whole or not at all, and the manifest that says how each came to be."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .errors import ArtefactError, ConfigError

SCHEMA = 1
MANIFEST = "manifest.json"
_PACKAGES = (
    "elat",
    "torch",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
    "scikit-learn",
    "xgboost-cpu",
    "xgboost",
)
# Made once: `json.dumps` makes another for each call, which takes longer than a small document.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(data: Any) -> str:
    """`data` as JSON with sorted keys and no spaces: equal data, equal text."""
    return _CANONICAL.encode(data)


def sha256_of(data: bytes | str) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it when the block ends without error.

    The file is synced before it takes the name: a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON document at `path`.

    Raises:
        ArtefactError: It is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(
            f"{path} is not readable JSON ({error}); it was cut short or edited: make it again."
        ) from error


def manifest(
    kind: str, *, config: Mapping[str, Any], seed: int | None, parents: Mapping[str, str]
) -> dict[str, Any]:
    """How an artefact came to be: schema, config and its hash, seed, versions, parents' hashes."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "schema": SCHEMA,
        "kind": kind,
        "config": dict(config),
        "config_sha256": sha256_of(canonical_json(dict(config))),
        "seed": seed,
        "parents": dict(parents),
        "versions": versions,
        "python": platform.python_version(),
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_manifest(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest in `folder`, checked to be of `kind` and of a schema this version reads.

    Raises:
        ArtefactError: There is none, or it is of another kind or schema.
    """
    if not folder.is_dir():
        raise ArtefactError(f"{folder} is no folder; a {kind} folder was expected.")
    data = read_json(folder / MANIFEST)
    found = data.get("kind") if isinstance(data, dict) else None
    if found != kind:
        raise ArtefactError(f"{folder} holds a {found or 'nameless thing'}, not a {kind}.")
    if data.get("schema") != SCHEMA:
        raise ArtefactError(
            f"{folder} has schema {data.get('schema')}, this elat reads schema {SCHEMA}."
        )
    return dict(data)


def elat_home() -> Path:
    """The folder of the store and the fitted models: `ELAT_HOME`, else the user's data folder."""
    if home := os.environ.get("ELAT_HOME"):
        return Path(home)
    data = os.environ.get("XDG_DATA_HOME")
    try:
        return (Path(data) if data else Path.home() / ".local" / "share") / "elat"
    except RuntimeError as error:
        raise ConfigError("No home folder is known; set ELAT_HOME to a folder.") from error
