"""Child seeds by name, so that one number fixes every random choice of a run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def spawn(seed: int, *names: str | int) -> int:
    """A child seed in [0, 2^63), the same for the same parent and names on every machine."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator on the child seed `names` of `seed`."""
    return np.random.default_rng(spawn(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """A torch CPU generator on the child seed `names` of `seed`."""
    import torch

    return torch.Generator().manual_seed(spawn(seed, *names))
