"""Which supernet holds the weights of a space."""

from __future__ import annotations

import torch

from .block_supernet import BlockSupernet
from .link_supernet import LinkSupernet
from .spaces import SearchSpace, block_space
from .spaces.aggregation import AggregationSpace
from .supernet import Supernet


def supernet_of(
    space: SearchSpace, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Supernet:
    """The supernet of `space`, with weights drawn by `generator`.

    Raises:
        ConfigError: The space has neither choice blocks nor links.
    """
    if isinstance(space, AggregationSpace):
        return LinkSupernet(space, generator, dtype)
    return BlockSupernet(block_space(space, "A supernet"), generator, dtype)
