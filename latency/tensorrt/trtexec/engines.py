"""Engines that trtexec built, each kept beside its model with how it came to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....core.artefact import canonical_json, read_json, sha256_of, write_json
from ....core.errors import ArtefactError, MeasurementError, UnavailableError
from ....devices.device import Gpu
from ....devices.nvml import open_gpu
from ...precision import Precision
from ..engines import DESCRIPTION, LAYERS, PLAN, StoredEngine, kept_engine, timing_cache_path
from .command import TrtexecOptions, build_command
from .model_file import read_ends
from .process import Finished, run_trtexec
from .tool import Tool

BUILD_PATIENCE = 10
"""How much longer building an engine may take than a run."""

_DEVICE = r"\[I\] Selected Device: (.+)"


@dataclass(frozen=True)
class Workshop:
    """What builds engines, and for what.

    Attributes:
        gpu: Name of the GPU, empty where the driver does not tell it.
        limit_s: Seconds that a run may take; building may take `BUILD_PATIENCE` times as long.
        beat: Called twice a second while it builds.
    """

    tool: Tool
    options: TrtexecOptions
    precision: Precision
    gpu: str
    limit_s: float
    beat: Callable[[], None]

    @property
    def timing_cache(self) -> Path:
        """Where the builder keeps what it measured, for every model."""
        gpu = self.gpu or f"gpu {self.options.gpu}"
        return timing_cache_path(f"trtexec {self.tool.version} {gpu}")

    def identity(self, model: bytes) -> dict[str, Any]:
        """All that decides the engine of `model`."""
        options = self.options.model_dump(include={"tf32", "optimisation_level", "workspace_mib"})
        return {
            "model": sha256_of(model),
            "package": "trtexec",
            "version": str(self.tool.version),
            "settings": options,
            "precision": self.precision.value,
            "place": {"gpu": self.gpu, "index": self.options.gpu},
        }


def engine_name(identity: Mapping[str, Any]) -> str:
    """The name of the folder of the engine that `identity` decides."""
    return f"trtexec-{sha256_of(canonical_json(identity))[:32]}"


def find_engine(model: Path, workshop: Workshop) -> StoredEngine:
    """The engine of the ONNX file `model`, built now unless it was built before.

    Raises:
        UnsupportedOperatorError: TensorRT refuses a node.
        ConfigError: The version of trtexec has no such engines.
        MeasurementError: No engine comes out.
        ArtefactError: The engine that is there was changed.
    """
    identity = workshop.identity(model.read_bytes())
    return kept_engine(
        model,
        engine_name(identity),
        lambda made: _build(model.absolute(), workshop, identity, made),
    )


def describe(
    identity: Mapping[str, Any],
    plan: tuple[str, int],
    finished: Finished,
    timing_cache: tuple[str, str],
) -> dict[str, Any]:
    """The description of an engine that `finished` has built.

    Args:
        identity: All that decides it.
        plan: Its hash and its bytes.
        finished: The run of trtexec.
        timing_cache: Hashes of what the builder had measured before and after.
    """
    before, after = timing_cache
    return {
        **identity,
        "sha256": plan[0],
        "bytes": plan[1],
        "build_s": finished.wall_ms / 1e3,
        "device": finished.told(_DEVICE),
        "command": list(finished.command),
        "timing_cache": {"before": before, "after": after},
    }


def no_engine(command: Sequence[str]) -> MeasurementError:
    """The error that says that a build left no engine."""
    return MeasurementError(f"{' '.join(command)} ended well and wrote no engine.")


def ensure_built_here(description: Mapping[str, Any], where: str, finished: Finished) -> None:
    """Refuse to measure an engine on another GPU than it was built on.

    Args:
        description: How it came to be.
        where: The folder that holds it, as people find it.
        finished: A run of it.

    Raises:
        MeasurementError: The GPU that it ran on is another one.
    """
    built_on, ran_on = description["device"], finished.told(_DEVICE)
    if None not in (built_on, ran_on) and built_on != ran_on:
        raise MeasurementError(
            f"{where} was built on {built_on}, and this is {ran_on}. Delete the folder."
        )


def identity_of(gpu: int) -> dict[str, Any]:
    """What the driver tells of the GPU number `gpu`; nothing where it cannot be asked."""
    try:
        with open_gpu(Gpu(index=gpu)) as found:
            return found.identity()
    except UnavailableError:
        return {}


def temperature_of(gpu: int) -> float | None:
    """Temperature of the GPU number `gpu` in degrees Celsius, or None where it is not told."""
    try:
        with open_gpu(Gpu(index=gpu)) as found:
            return found.temperature_c()
    except UnavailableError:
        return None


def _build(model: Path, workshop: Workshop, identity: dict[str, Any], folder: Path) -> None:
    """Write the files of an engine into the empty `folder`, the log too, the description last."""
    cache = workshop.timing_cache
    cache.parent.mkdir(parents=True, exist_ok=True)
    before = _hash_of(cache)
    ends = read_ends(model)
    command = build_command(
        workshop.tool,
        workshop.options,
        workshop.precision,
        model,
        ends,
        folder / PLAN,
        folder / LAYERS,
        cache,
    )
    limit_s = BUILD_PATIENCE * workshop.limit_s
    finished = run_trtexec(command, folder, limit_s, workshop.beat)
    try:
        plan = (folder / PLAN).read_bytes()
    except FileNotFoundError:
        plan = b""
    if not plan:
        raise no_engine(command)
    _drop_unreadable(folder / LAYERS)
    told = describe(identity, (sha256_of(plan), len(plan)), finished, (before, _hash_of(cache)))
    write_json(folder / DESCRIPTION, told)


def _hash_of(path: Path) -> str:
    return sha256_of(path.read_bytes() if path.exists() else b"")


def _drop_unreadable(layers: Path) -> None:
    """Delete what was told of the layers if it is no JSON: names are not escaped there."""
    try:
        read_json(layers)
    except ArtefactError:
        layers.unlink(missing_ok=True)
