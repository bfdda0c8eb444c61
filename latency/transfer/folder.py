"""Transferred models as folders: the samples, what was chosen, and the source models, whole.

Nothing outside the folder is needed to read it: `sources/0`, `sources/1` ... are model folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...core.artefact import canonical_json, read_json, sha256_of, write_json
from ...core.errors import ArtefactError, ConfigError
from ..models.evaluate import CROSS_VALIDATION, HeldOut, HeldOutRow
from ..models.folder import (
    TRANSFERRED,
    LoadedModel,
    check_replaceable,
    read_model,
    write_fitted,
)
from ..operators.serial import kind_of
from ..table import LatencyTable
from .model import Choice, Source, Transferred

CHOICES = "transfer.json"
SOURCES = "sources"


def sources_of(models: Sequence[LoadedModel]) -> tuple[Source, ...]:
    """What transferring needs of loaded models."""
    return tuple(Source(m.condition.device, m.model, m.table) for m in models)


def write_transferred(
    folder: Path, model: Transferred, sources: Sequence[LoadedModel], space: str | None
) -> LoadedModel:
    """Write `model` and the folders of the models it starts from.

    Raises:
        ConfigError: `folder` holds something else, or a source is a bare table file.
    """
    check_replaceable(folder)
    for source in sources:
        if source.folder is None:
            raise ConfigError(
                f"The latencies of {source.condition.device} are a bare table; make a model of it "
                "first with: elat fit."
            )
    name = TRANSFERRED + _hash([source.sha256 for source in sources])
    known = LoadedModel(model, name, model.table, 0, _held_out(model), None, None, space)

    def add(made: Path) -> None:
        for index, source in enumerate(sources):
            if source.folder is not None:
                shutil.copytree(source.folder, made / SOURCES / str(index))
        record = {"choices": [asdict(choice) for choice in model.choices]}
        write_json(made / CHOICES, record)

    parents = {f"source {s.condition.device}": s.sha256 for s in sources}
    return write_fitted(folder, known, parents, add)


def read_transferred(folder: Path, name: str, table: LatencyTable) -> Transferred:
    """The model called `name` whose folder is `folder` and whose samples are `table`.

    Raises:
        ArtefactError: A source is missing, damaged or another one; or the choices are.
    """
    paths = sorted((folder / SOURCES).glob("*"), key=lambda path: int(path.name))
    models = [read_model(path) for path in paths]
    if name != TRANSFERRED + _hash([model.sha256 for model in models]):
        raise ArtefactError(
            f"{folder / SOURCES} holds other models than {name} was made of; transfer again with: "
            "elat fit --transfer-from."
        )
    return Transferred(sources_of(models), table, _read_choices(folder / CHOICES))


def _read_choices(path: Path) -> tuple[Choice, ...]:
    data: Any = read_json(path)
    try:
        rows: Sequence[Mapping[str, Any]] = data["choices"]
        found = tuple(Choice(**row) for row in rows)
    except (KeyError, TypeError) as error:
        raise ArtefactError(
            f"{path} lacks what was chosen ({error!r}); transfer again."
        ) from error
    if not found:
        raise ArtefactError(f"{path} lacks what was chosen; transfer again.")
    return found


def _held_out(model: Transferred) -> HeldOut:
    errors = np.expm1(-model.left_out_log)
    rows = [
        HeldOutRow(operator, kind_of(operator), ms, ms * (1 + error), error)
        for (operator, ms), error in zip(model.table.items(), errors.tolist(), strict=True)
    ]
    return HeldOut(CROSS_VALIDATION, len(rows), tuple(rows))


def _hash(hashes: Sequence[str]) -> str:
    return sha256_of(canonical_json(list(hashes)))[:12]
