"""What layers aggregate: the earlier outputs that each of them reads (Zhu et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from ...core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Topology:
    """Which earlier outputs each of N layers reads; output 0 is the input, output `l` layer `l`'s.

    Args:
        sources: For layer `l` at index `l - 1` the outputs it reads: of 0 to `l - 1` in ascending
            order, one at least.
    """

    sources: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.sources, tuple) or not self.sources:
            raise ConfigError(
                f"A topology is a tuple of the sources of 1 or more layers, found "
                f"{self.sources!r}."
            )
        for layer, read in enumerate(self.sources, start=1):
            valid = (
                isinstance(read, tuple)
                and all(type(source) is int for source in read)
                and list(read) == sorted(set(read))
                and len(read) > 0
                and read[0] >= 0
                and read[-1] < layer
            )
            if not valid:
                raise ConfigError(
                    f"Layer {layer} reads one or more of the outputs 0 to {layer - 1} in "
                    f"ascending order, found {read!r}."
                )

    @classmethod
    def plain(cls, layers: int) -> Self:
        """Every layer reads the one before it."""
        return cls(tuple((layer - 1,) for layer in _numbers(layers)))

    @classmethod
    def dense(cls, layers: int) -> Self:
        """Every layer reads all before it (Huang et al. 2017, equation 2)."""
        return cls(tuple(tuple(range(layer)) for layer in _numbers(layers)))

    @classmethod
    def residual(cls, layers: int) -> Self:
        """Every layer reads all before it: a ResNet unrolled (Veit et al. 2016).

        As a sum `x_l = x_(l-1) + y_l` is `y_0 + y_1 + ... + y_l`. It is *built* with a running
        sum, one skip a layer, not with these links: see `closed_forms.residual_skips`.
        """
        return cls.dense(layers)

    @classmethod
    def exponential(cls, layers: int, base: int) -> Self:
        """Layer `l` reads the outputs `l - base^k`, k = 0, 1, ... (Zhu et al. 2018).

        Args:
            layers: How many.
            base: The paper's c, 2 or more.
        """
        if base < 2:
            raise ConfigError(f"The base of the offsets must be 2 or more, found {base}.")
        offsets = [1]
        while offsets[-1] * base <= layers:
            offsets.append(offsets[-1] * base)
        return cls(
            tuple(
                tuple(layer - offset for offset in reversed(offsets) if offset <= layer)
                for layer in _numbers(layers)
            )
        )

    @classmethod
    def masked(cls, mask: Sequence[Sequence[bool]] | NDArray[np.bool_]) -> Self:
        """The links that a square matrix marks.

        Args:
            mask: Row `l - 1` is layer `l`, column `s` output `s`; false from column `l` on.
        """
        rows = [tuple(bool(mark) for mark in row) for row in mask]
        if any(len(row) != len(rows) for row in rows):
            raise ConfigError(
                f"The mask of {len(rows)} layers has as many columns, one for each output, found "
                f"rows of {sorted({len(row) for row in rows})}."
            )
        return cls(tuple(tuple(s for s, mark in enumerate(row) if mark) for row in rows))

    @classmethod
    def random_like(cls, topology: Topology, generator: np.random.Generator) -> Self:
        """A shuffled control: as many links into each layer, one of them from the layer before.

        The other sources are drawn uniformly, without replacement.
        """
        found = []
        for layer, read in enumerate(topology.sources, start=1):
            drawn = generator.choice(layer - 1, size=len(read) - 1, replace=False)
            found.append((*sorted(int(source) for source in drawn), layer - 1))
        return cls(tuple(found))

    @property
    def layers(self) -> int:
        """N."""
        return len(self.sources)

    @cached_property
    def aggregated(self) -> tuple[int, ...]:
        """How many outputs each layer reads, by depth."""
        return tuple(map(len, self.sources))

    @property
    def links(self) -> int:
        """How many outputs all layers read together."""
        return sum(self.aggregated)

    def gradient_paths(self) -> NDArray[np.float64]:
        """The fewest links from each output back to which the gradient of a later one flows.

        Exact: along layers in order, `d(s, l) = 1 + min d(s, r)` over the sources `r` of `l`.

        Returns:
            `(N + 1, N + 1)`; row `s` and column `l` are outputs, infinite where no path leads from
            `s` to `l`, as where `s > l`; the diagonal is 0.
        """
        import numpy as np

        paths = np.full((self.layers + 1, self.layers + 1), np.inf)
        np.fill_diagonal(paths, 0.0)
        for layer, read in enumerate(self.sources, start=1):
            paths[:layer, layer] = 1.0 + paths[:layer, list(read)].min(axis=1)
        return paths

    @cached_property
    def _paths_of_pairs(self) -> NDArray[np.float64]:
        """The lengths of all pairs of an output and a later one."""
        import numpy as np

        paths: NDArray[np.float64] = self.gradient_paths()[np.triu_indices(self.layers + 1, k=1)]
        return paths

    @property
    def unjoined_pairs(self) -> int:
        """How many pairs of an output and a later one no path joins."""
        import numpy as np

        return int(np.isinf(self._paths_of_pairs).sum())

    @property
    def longest_shortest_path(self) -> int:
        """The longest of the shortest paths over all pairs that a path joins, in links."""
        import numpy as np

        paths = self._paths_of_pairs
        return int(paths[np.isfinite(paths)].max())

    @property
    def mean_shortest_path(self) -> float:
        """The mean of the shortest paths over all pairs that a path joins, in links."""
        import numpy as np

        paths = self._paths_of_pairs
        return float(paths[np.isfinite(paths)].mean())

    @cached_property
    def is_connected(self) -> bool:
        """Whether a path leads from every output, the input among them, to the last layer."""
        needed = {self.layers}
        for layer in range(self.layers, 0, -1):
            if layer in needed:
                needed.update(self.sources[layer - 1])
        return len(needed) == self.layers + 1


def _numbers(layers: int) -> range:
    if layers < 1:
        raise ConfigError(f"A topology has 1 or more layers, found {layers}.")
    return range(1, layers + 1)
