"""Engines kept beside the model that they were built from, each with how it was built.

An engine is found again by what went into it: the model, the package and its version, the
settings, and where it is to run. TensorRT chooses kernels by timing them, so that two builds of
one model can differ. An engine is therefore built once and kept, and the builder's timing cache is
kept from one model to the next, for each version and GPU.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import (
    canonical_json,
    elat_home,
    read_json,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)
from ...core.errors import ArtefactError
from .engine import BuildSettings, build_engine
from .package import Package

FOLDER = "engines"
PLAN, DESCRIPTION, LAYERS = "engine.plan", "engine.json", "layers.json"


@dataclass(frozen=True)
class Place:
    """Where an engine is to run.

    Attributes:
        capability: Compute capability, such as `sm86`.
        gpu: Name of the GPU that it is built on and for; empty for any of that capability, built
            ahead of time.
    """

    capability: str
    gpu: str = ""

    @property
    def is_ahead(self) -> bool:
        """Whether it is built ahead of time, without the GPU."""
        return not self.gpu


@dataclass(frozen=True)
class StoredEngine:
    """An engine on disk.

    Attributes:
        folder: Holds it.
        description: How it came to be: package, settings, place, `build_s`, `bytes`, `layers` of
            the parsed network, `sha256`, hashes of the timing cache before and after, warnings.
    """

    folder: Path
    description: Mapping[str, Any] = field(hash=False)

    @property
    def sha256(self) -> str:
        """Hash of the engine."""
        return str(self.description["sha256"])

    def plan(self) -> bytes:
        """The engine.

        Raises:
            ArtefactError: It was changed or cut short since it was built.
        """
        path = self.folder / PLAN
        data = path.read_bytes()
        if sha256_of(data) != self.sha256:
            raise ArtefactError(f"{path} was changed since it was built; delete {self.folder}.")
        return data

    def layers(self) -> Any | None:
        """What TensorRT told of the engine's layers; None before it was loaded on a GPU."""
        path = self.folder / LAYERS
        return read_json(path) if path.exists() else None

    def keep_layers(self, told: str) -> None:
        """Keep what TensorRT told of the layers, once."""
        path = self.folder / LAYERS
        if not path.exists():
            write_text(path, told)


def find_engine(
    model: Path, package: Package, settings: BuildSettings, place: Place
) -> StoredEngine:
    """The engine of the ONNX file `model`, built now unless it was built before.

    Raises:
        UnavailableError: The package cannot be loaded.
        UnsupportedOperatorError: TensorRT refuses a node.
        ConfigError: The package does not build for `place`.
        MeasurementError: No engine comes out.
    """
    data = model.read_bytes()
    identity = {
        "model": sha256_of(data),
        "package": package.name,
        "version": package.version,
        "settings": asdict(settings),
        "place": asdict(place),
    }
    return kept_engine(
        model,
        sha256_of(canonical_json(identity))[:32],
        lambda made: _build(data, str(model), package, settings, place, identity, made),
    )


def kept_engine(model: Path, name: str, build: Callable[[Path], None]) -> StoredEngine:
    """The engine called `name` beside `model`; `build` writes it into an empty folder if need be.

    Raises:
        ArtefactError: The engine that is there was changed.
    """
    engines = model.parent / FOLDER
    folder = engines / name
    if (folder / DESCRIPTION).exists():
        found = StoredEngine(folder, read_json(folder / DESCRIPTION))
        found.plan()
        return found
    engines.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=engines) as new:
        made = Path(new).absolute() / "engine"
        made.mkdir()
        build(made)
        try:
            made.rename(folder)
        except OSError:
            # Another process was faster.
            if not folder.exists():
                raise
    return StoredEngine(folder, read_json(folder / DESCRIPTION))


def _build(
    model: bytes,
    source: str,
    package: Package,
    settings: BuildSettings,
    place: Place,
    identity: dict[str, Any],
    folder: Path,
) -> None:
    """Write the files of an engine into the empty `folder`, the description last."""
    kept = timing_cache_path(f"{package} {place.gpu} {place.capability}")
    before = kept.read_bytes() if package.is_classic and kept.exists() else b""
    built = build_engine(
        package,
        model,
        settings,
        source=source,
        capability=place.capability if place.is_ahead else None,
        timing_cache=before,
    )
    after = built.timing_cache
    if after is not None and after != before:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, after)
    write_bytes(folder / PLAN, built.plan)
    description = {
        **identity,
        "sha256": sha256_of(built.plan),
        "bytes": len(built.plan),
        "build_s": built.seconds,
        "layers": built.layers,
        "inputs": list(built.inputs),
        "output": built.output,
        "scales": _scales(model),
        "timing_cache": None
        if after is None
        else {"before": sha256_of(before), "after": sha256_of(after)},
        "warnings": list(built.warnings),
    }
    write_json(folder / DESCRIPTION, description)


def timing_cache_path(where: str) -> Path:
    """Where a builder keeps what it measured, for all models; `where` is its version and GPU."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", where)
    return elat_home() / "timing-caches" / f"{slug}.bin"


def _scales(model: bytes) -> list[list[float]] | None:
    """Scale and zero point of each input and of the output, if `model` says them."""
    import onnx
    from google.protobuf.message import DecodeError

    from ..graph.onnx_file import scales_in

    try:
        return scales_in(onnx.load_from_string(model))
    except DecodeError as error:
        raise ArtefactError(f"The model is no ONNX file: {error}.") from error
