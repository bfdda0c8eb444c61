"""What Gaussian processes of operators and of loops share: Matérn kernels, and random subsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.seeding import numpy_generator

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]


def matern52(squares: Matrix) -> Matrix:
    """Matérn-5/2 of squared distances (Rasmussen and Williams 2006, equation 4.17), of 1 at 0."""
    r = np.sqrt(5 * squares)
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def matern52_among(points: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The same among all `points`, differentiable, `(points, points)`.

    Args:
        points: `(points, features)`.
        lengths: Logarithms of a length for every feature.
    """
    import torch

    p = points / torch.exp(lengths)
    own = (p**2).sum(1)
    squares = own[:, None] + own[None] - 2 * p @ p.T
    r = torch.sqrt(5 * torch.clamp(squares, min=1e-12))
    return (1 + r + r**2 / 3) * torch.exp(-r)


def subset(name: str, count: int, most: int, seed: int) -> NDArray[np.intp]:
    """Positions of at most `most` of `count`, in order; `name` and `seed` decide which."""
    if count <= most:
        return np.arange(count)
    order = numpy_generator(seed, name, str(most)).permutation(count)
    return np.sort(order[:most])
