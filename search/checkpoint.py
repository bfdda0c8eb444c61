"""The state of a run as one safetensors file: tensors, and scalars as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core.artefact import replacing
from ..core.errors import ArtefactError

_STATE = "state"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors by name, and a JSON object of everything else."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix/`, by the rest of their names."""
        start = f"{prefix}/"
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` whole or not at all."""
    tensors = {name: value.detach().contiguous() for name, value in checkpoint.tensors.items()}
    state = json.dumps(checkpoint.state, sort_keys=True, allow_nan=False)
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata={_STATE: state})


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`.

    Raises:
        ArtefactError: It is missing, cut short or no checkpoint.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(tensors, json.loads(metadata[_STATE]))
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ArtefactError(
            f"{path} is no readable checkpoint ({error}); delete it to start again."
        ) from error


def module_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Parameters and persistent buffers of `module` as checkpoint entries."""
    return {f"{prefix}/{name}": value for name, value in module.state_dict().items()}


def restore_module(module: nn.Module, checkpoint: Checkpoint, prefix: str) -> None:
    """Copy what `module_tensors` named into `module`, keeping its memory layout.

    Raises:
        ArtefactError: Names or shapes differ.
    """
    try:
        module.load_state_dict(checkpoint.part(prefix))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ArtefactError(
            f"The checkpoint holds another network ({first}); delete it to start again."
        ) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimiser's state of each parameter as checkpoint entries; empty state has none."""
    return {
        f"{prefix}/{index}/{key}": value
        for index, parameter in enumerate(_parameters(optimiser))
        for key, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, checkpoint: Checkpoint, prefix: str
) -> None:
    """Give `optimiser` the state that `optimiser_tensors` named.

    Each tensor gets the memory layout of its parameter, as gradients have: elementwise kernels
    round differently where layouts are mixed.

    Raises:
        ArtefactError: An entry belongs to no parameter.
    """
    parameters = list(_parameters(optimiser))
    optimiser.state.clear()
    for name, value in checkpoint.part(prefix).items():
        index, _, key = name.partition("/")
        if not index.isdigit() or int(index) >= len(parameters):
            raise ArtefactError(
                f"The checkpoint's optimiser entry {name!r} fits no parameter; "
                "delete the checkpoint to start again."
            )
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter.detach(), dtype=value.dtype).copy_(value)
        optimiser.state[parameter][key] = value


def _parameters(optimiser: torch.optim.Optimizer) -> Iterable[Tensor]:
    groups: Iterable[Mapping[str, Any]] = optimiser.param_groups
    return (parameter for group in groups for parameter in group["params"])
