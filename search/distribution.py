"""The distribution of architectures that a search has come to, from its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..core.artefact import read_manifest
from ..core.errors import ArtefactError
from .checkpoint import read_checkpoint
from .course import read_course
from .run import CHECKPOINT, KIND
from .spaces import SearchSpace, space_from_description


@dataclass(frozen=True, eq=False)
class Distribution:
    """Independent choices of a search space, each with probabilities.

    Attributes:
        probabilities: `choices options`, float64; 0 in the padding, each row sums to one.
    """

    space: SearchSpace
    probabilities: Tensor


def read_distribution(folder: Path) -> Distribution:
    """The distribution of the search in `folder`, running or finished.

    Where it runs by architecture parameters, those of its last checkpoint, exactly; else, and of
    a finished search, which keeps no checkpoint, the last frame of its course, where a probability
    is known to 1 in 2,000.

    Raises:
        ArtefactError: The folder holds no search, a file of it is damaged, or nothing was chosen
            yet.
    """
    config = read_manifest(folder, KIND)["config"]
    space = space_from_description(config["space"])
    counts = torch.tensor(space.options)
    mask = torch.arange(int(counts.max()))[None, :] < counts[:, None]
    found = _of_checkpoint(folder / CHECKPOINT, mask)
    if found is None:
        found = _of_course(folder)
    return Distribution(space, _checked(found, mask, folder))


def _of_checkpoint(path: Path, mask: Tensor) -> Tensor | None:
    """Probabilities by the architecture parameters at `path`; None where there are none."""
    if not path.exists():
        return None
    parameters = read_checkpoint(path).part("relaxation")
    logits = parameters.get("logits")
    if logits is None or logits.shape != mask.shape:
        return parameters.get("probabilities", logits)
    return torch.softmax(logits.double().masked_fill(~mask, -torch.inf), dim=-1)


def _of_course(folder: Path) -> Tensor:
    course = read_course(folder)
    if not course.is_shown:
        raise ArtefactError(
            f"The search in {folder} has taken no architecture step yet; wait for it, or leave "
            "--search out."
        )
    return torch.from_numpy(course.probabilities[-1].astype("float64"))


def _checked(found: Tensor, mask: Tensor, folder: Path) -> Tensor:
    """`found` with rows that sum to one, and 0 in the padding."""
    rows = torch.where(mask, found.double(), 0.0) if found.shape == mask.shape else torch.zeros(1)
    total = rows.sum(dim=-1, keepdim=True)
    is_sound = torch.isfinite(rows).all() and (rows >= 0).all() and (total > 0.5).all()
    if not bool(is_sound):
        raise ArtefactError(
            f"{folder} holds architecture parameters that are no probabilities of its space; it "
            "is damaged: search again into another folder."
        )
    return rows / total
