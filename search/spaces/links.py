"""Links into aggregations: in-degrees, the best links of a degree, and what is read by nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Node:
    """One aggregation: a layer of a stage, or the stage's output.

    Attributes:
        number: From 1; the outputs 0 to `number - 1` of the stage come before it.
        layers: Of the stage; one more is the number of its output.
        kept: The sources that it always reads.
        free: The sources that it may read, in ascending order; each is a choice.
        first: The first of these choices.
    """

    stage: int
    number: int
    layers: int
    kept: tuple[int, ...]
    free: tuple[int, ...]
    first: int

    @property
    def behind(self) -> int:
        """The choice behind its last one."""
        return self.first + len(self.free)

    @property
    def is_output(self) -> bool:
        """Whether it is the stage's output."""
        return self.number == self.layers + 1

    @property
    def candidates(self) -> tuple[int, ...]:
        """All that it may read, in ascending order."""
        return tuple(sorted((*self.kept, *self.free)))

    def sources(self, choices: Sequence[int]) -> tuple[int, ...]:
        """What it reads where the space's links are `choices`, in ascending order."""
        chosen = choices[self.first : self.behind]
        opened = (source for source, is_open in zip(self.free, chosen, strict=True) if is_open)
        return tuple(sorted((*self.kept, *opened)))

    def __str__(self) -> str:
        what = "the output" if self.is_output else f"layer {self.number}"
        return f"{what} of stage {self.stage + 1}"


def in_degrees(nodes: Sequence[Node], opened: Tensor) -> Tensor:
    """How many links into each node are open, when each is open independently of the others.

    The Poisson-binomial distribution by its recursion over links: with `q_n` the probability of
    `n` open ones, a further link of probability `p` makes it `(1 - p) q_n + p q_(n-1)`.

    Args:
        nodes: Whose links are counted.
        opened: `*batch links`, the probability that each is open.

    Returns:
        `*batch nodes degrees`, the degrees 0 to the greatest number of links of a node; rows sum
        to one. Differentiable in `opened`.
    """
    import torch

    index = _link_index(tuple(nodes))
    width = index.shape[1]
    # A link that is not there is never open.
    padded = torch.cat([opened, opened.new_zeros((*opened.shape[:-1], 1))], dim=-1)
    found = padded[..., index]
    degrees = found.new_zeros((*found.shape[:-1], width + 1))
    degrees[..., 0] = 1.0
    for k in range(width):
        p = found[..., k, None]
        shifted = torch.nn.functional.pad(degrees[..., :-1], (1, 0))
        degrees = (1 - p) * degrees + p * shifted
    return degrees


@lru_cache(maxsize=64)
def _link_index(nodes: tuple[Node, ...]) -> Tensor:
    """The choices of each node, `nodes links`; -1 where a node has fewer. Asked for every step."""
    import torch

    width = max(len(node.free) for node in nodes)
    return torch.tensor(
        [[node.first + k if k < len(node.free) else -1 for k in range(width)] for node in nodes]
    )


def node_scores(nodes: Sequence[Node], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the `n` best links of each node score together with its other links closed.

    Args:
        nodes: Whose links are chosen.
        scores: `links 2`, of each link closed and open.

    Returns:
        `nodes degrees`; the last value is repeated where a node has fewer links.
    """
    import numpy as np

    width = max(len(node.free) for node in nodes)
    found = np.zeros((len(nodes), width + 1))
    for row, node in zip(found, nodes, strict=True):
        closed, opened = scores[node.first : node.behind].T if node.free else (np.zeros(0),) * 2
        sums = np.concatenate([[0.0], np.cumsum(np.sort(opened - closed)[::-1])])
        row[: len(sums)] = sums + closed.sum()
        row[len(sums) :] = row[len(sums) - 1]
    return found


def best_links(
    nodes: Sequence[Node], degrees: Sequence[int], scores: NDArray[np.float64] | None
) -> tuple[int, ...]:
    """The links of greatest score with `degrees` open ones a node, so that every output is read.

    Of links that score the same the shortest is taken. An output that nobody reads is given to the
    next node in place of the worst that this one reads: degrees, and so all costs, stay, and the
    replaced one lies further back, where it is looked after in its turn.

    Args:
        nodes: In execution order, stage by stage.
        degrees: Open links of each node.
        scores: `links 2`, of each link closed and open; None where all are worth the same.
    """
    import numpy as np

    count = sum(len(node.free) for node in nodes)
    gains = np.zeros(count) if scores is None else scores[:, 1] - scores[:, 0]
    choices = [0] * count
    for node, degree in zip(nodes, degrees, strict=True):
        links = range(node.first, node.behind)
        order = sorted(links, key=lambda link: (-gains[link], -link))
        for link in order[:degree]:
            choices[link] = 1
    for stage in _stages(nodes):
        _read_all(stage, choices, gains)
    return tuple(choices)


def unread(nodes: Sequence[Node], choices: Sequence[int]) -> tuple[int, int] | None:
    """Stage and number of the first output that no node reads, if there is one."""
    for stage in _stages(nodes):
        read = {source for node in stage for source in node.sources(choices)}
        for number in range(len(stage)):
            if number not in read:
                return stage[0].stage, number
    return None


def readers(nodes: Sequence[Node]) -> tuple[tuple[int, ...], ...]:
    """Of each output that no node always reads, the links from it: one must be open."""
    found: list[tuple[int, ...]] = []
    for stage in _stages(nodes):
        for number in range(len(stage)):
            if not any(number in node.kept for node in stage):
                behind = (node for node in stage if number in node.free)
                found.append(tuple(node.first + node.free.index(number) for node in behind))
    return tuple(found)


def count_wirings(layers: int) -> int:
    """In how many ways a stage can be wired so that all read something and all are read.

    Inclusion and exclusion over the outputs that nobody reads: with `u` of them before it, number
    `n` reads a part of the other `n - u` that is not empty.

    Args:
        layers: Of the stage, whose aggregations 1 to `layers + 1` may read all before them.
    """
    # Signed ways by how many of the outputs so far are left unread on purpose.
    ways = {0: 1}
    for number in range(1, layers + 2):
        # Output number - 1 is there now: read by somebody, or left unread.
        after: dict[int, int] = {}
        for left, way in ways.items():
            after[left] = after.get(left, 0) + way
            after[left + 1] = after.get(left + 1, 0) - way
        ways = {left: way * (2 ** (number - left) - 1) for left, way in after.items()}
    return sum(ways.values())


def _stages(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    stage: list[Node] = []
    for node in nodes:
        stage.append(node)
        if node.is_output:
            yield stage
            stage = []


def _read_all(stage: Sequence[Node], choices: list[int], gains: NDArray[np.float64]) -> None:
    """Let every output of a stage be read by someone, in place."""
    for number in reversed(range(len(stage))):
        if any(number in node.sources(choices) for node in stage):
            continue
        reader = stage[number]  # the node behind output `number`
        links = range(reader.first, reader.behind)
        opened = [link for link in links if choices[link]]
        # The last candidate is the output just before the reader.
        choices[min(opened, key=lambda link: gains[link])] = 0
        choices[reader.behind - 1] = 1
