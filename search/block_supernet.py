"""The supernet of choice blocks: the weights of every candidate of every block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from ..latency.operators.weights import initialise
from .architecture import Architecture
from .gates import Candidate, GateGradient, GateMode, StoredGateGradient
from .spaces import BlockSpace
from .supernet import Supernet, forget_statistics, lay_out


@final
class BlockSupernet(Supernet):
    """Weights per (block, candidate).

    Args:
        space: What to choose from.
        generator: Draws the weights.
        dtype: Of the weights.
    """

    space: BlockSpace

    def __init__(
        self, space: BlockSpace, generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(space)
        with torch.random.fork_rng(devices=[]):
            self.fixed = nn.ModuleList(
                nn.Identity() if operator.is_free else operator.build() for operator in space.fixed
            )
            self.blocks = nn.ModuleList(
                nn.ModuleList(
                    nn.Identity() if candidate.is_free else candidate.build()
                    for candidate in block.candidates
                )
                for block in space.blocks
            )
        for part in (self.fixed, self.blocks):
            initialise(part, generator)
        for block, candidates in zip(space.blocks, self.blocks, strict=True):
            if block.is_residual:
                _start_as_identity(candidates)
        forget_statistics(self)
        lay_out(self, dtype)
        self._unread = _last_readers([step.inputs for step in space.program])

    def forward(
        self,
        images: Tensor,
        gates: Tensor,
        mode: GateMode = GateMode.RECOMPUTE,
        involved: Tensor | None = None,
    ) -> Tensor:
        device = next(self.parameters()).device
        values = {0: images.to(device).contiguous(memory_format=torch.channels_last)}
        choices = gates.detach().argmax(dim=-1).tolist()
        fixed = iter(self.fixed)
        for number, step in enumerate(self.space.program):
            read = [values[source] for source in step.inputs]
            if step.block is None:
                values[number + 1] = next(fixed)(*read)
            elif not gates.requires_grad:
                values[number + 1] = self._opened(step.block, read[0], gates[step.block])
            else:
                index = step.block
                row, choice = gates[index], choices[index]
                if mode is GateMode.RECOMPUTE and involved is None:
                    values[number + 1] = self._recomputed(index, read[0], row, choice)
                else:
                    numbers = self._numbers(index, involved)
                    values[number + 1] = self._stored(index, read[0], row, choice, numbers)
            for source in self._unread[number]:
                del values[source]
        return values[len(self.space.program)].to(images.device)

    def _candidates(self, index: int) -> Sequence[nn.Module]:
        return cast(Sequence[nn.Module], self.blocks[index])

    def _opened(self, index: int, x: Tensor, row: Tensor) -> Tensor:
        """The mean of the open candidates' outputs."""
        candidates = self._candidates(index)
        outputs = [candidates[number](x) for number in row.nonzero().flatten().tolist()]
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(dim=0)

    def _numbers(self, index: int, involved: Tensor | None) -> tuple[int, ...]:
        """The candidates of block `index` that take part."""
        taking_part = self.mask[index] if involved is None else involved[index]
        return tuple(taking_part.nonzero().flatten().tolist())

    def _recomputed(self, index: int, x: Tensor, row: Tensor, choice: int) -> Tensor:
        """The output of choice block `index` on `x` where `choice` is open."""
        candidates = self._candidates(index)
        paths: tuple[Candidate | None, ...] = tuple(
            None if isinstance(candidate, nn.Identity) else candidate for candidate in candidates
        )
        y: Tensor = candidates[choice](x)
        is_residual = self.space.blocks[index].is_residual
        found: Tensor = GateGradient.apply(y, x, row, choice, paths, is_residual)  # type: ignore[no-untyped-call]
        return found

    def _stored(
        self, index: int, x: Tensor, row: Tensor, choice: int, numbers: tuple[int, ...]
    ) -> Tensor:
        """As `_recomputed`, with the candidates `numbers` executed at once."""
        candidates = self._candidates(index)
        y: Tensor = candidates[choice](x)
        with torch.no_grad():
            outputs = [y if number == choice else candidates[number](x) for number in numbers]
        is_residual = self.space.blocks[index].is_residual
        found: Tensor = StoredGateGradient.apply(y, x, row, numbers, is_residual, *outputs)  # type: ignore[no-untyped-call]
        return found

    def derive(self, architecture: Architecture) -> nn.Module:
        fixed = iter(self.fixed)
        parts = [
            next(fixed)
            if step.block is None
            else cast(nn.ModuleList, self.blocks[step.block])[architecture.choices[step.block]]
            for step in self.space.program
        ]
        source = [value for part in parts for value in part.parameters()]
        network = self.plain(architecture)
        with torch.no_grad():
            for target, value in zip(network.parameters(), source, strict=True):
                target.copy_(value)
        return network


def _start_as_identity(candidates: nn.Module) -> None:
    """Let every residual branch begin at zero (Goyal et al. 2017, section 5.1).

    A random path is then a short network at first, and candidates grow out of it: on 28-pixel
    digits 200 steps of random paths reach a training loss of 1.4 nats instead of 2.2.
    """
    for candidate in cast(nn.ModuleList, candidates):
        norms = [part for part in candidate.modules() if isinstance(part, nn.BatchNorm2d)]
        if norms:
            nn.init.zeros_(norms[-1].weight)


def _last_readers(inputs: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """For each step the values that no later step reads; the output of the last is read."""
    last = {number: step for step, numbers in enumerate(inputs) for number in numbers}
    return tuple(
        tuple(number for number, reader in last.items() if reader == step)
        for step in range(len(inputs))
    )
