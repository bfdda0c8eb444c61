"""Probabilities as a softmax of parameters that Adam moves: the relaxation of ProxylessNAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from ...core.errors import ConfigError
from ..checkpoint import Checkpoint, optimiser_tensors, restore_optimiser
from ..expected_latency import ExpectedLatency
from ..relaxation import Relaxation
from .objective import Objective

_NOISE = 1e-3
_BETAS = (0.0, 0.999)


@final
class SoftmaxRelaxation(Relaxation):
    """`p = softmax(alpha)` for each block; `alpha` begins at `N(0, 1e-3)` (Cai et al. 2019).

    With `d = dJ/dp` of the objective `J` the gradient is `dJ/dalpha = p (d - <p, d>)`: the closed
    form of equation 4 of the paper, and of the gradient of E[LAT] alike. Adam takes the step with
    betas (0, 0.999), as in the released code: without a first moment, what was not involved in a
    step does not move in it.

    Where two candidates a block were sampled (`involved`), probabilities are those of the two
    alone, `q = p / (p_i + p_j)`, and so is the gradient, `q (d - <q, d>)`; after the step the two
    are shifted by what their mass changed, so that every other probability stays as it was (the
    paper's section 3.2.1). The expected costs, and so the violation of a bound, are of all
    candidates: those of the two alone would be of another distribution (`renormalised`).

    Args:
        costs: One for each bound, all of one space.
        objective: Of the task's loss and the expected costs, in the order of `costs`.
        rate: Adam's rate.
        generator: Draws where `alpha` begins.
        renormalised: Take expected costs over the two involved alone, as the release does.
    """

    def __init__(
        self,
        costs: Sequence[ExpectedLatency],
        objective: Objective,
        *,
        rate: float,
        generator: torch.Generator,
        renormalised: bool = False,
    ) -> None:
        if not costs:
            raise ConfigError("A relaxation needs the costs of the space, one for each bound.")
        self._costs = tuple(costs)
        self._objective = objective
        self._renormalised = renormalised
        self._mask = costs[0].mask
        noise = torch.randn(self._mask.shape, generator=generator, dtype=torch.float64)
        self._logits = (_NOISE * noise * self._mask).requires_grad_()
        self._adam = torch.optim.Adam([self._logits], lr=rate, betas=_BETAS)

    def probabilities(self) -> Tensor:
        return self._over(self._mask)

    def step(self, task: float, gradient: Tensor, involved: Tensor | None = None) -> None:
        taking_part = self._mask if involved is None else self._mask & involved
        probs, everywhere = self._over(taking_part), self.probabilities()
        expected = self._expected(probs if self._renormalised else everywhere)
        scale, slopes = self._slopes(task, expected)
        total = scale * gradient.to(probs)
        for cost, slope in zip(self._costs, slopes, strict=True):
            total = total + slope * cost.slopes(everywhere)
        total = total.masked_fill(~taking_part, 0.0)
        before = self._mass(taking_part)
        self._logits.grad = probs * (total - (probs * total).sum(dim=-1, keepdim=True))
        self._adam.step()
        self._logits.grad = None
        if involved is not None:
            with torch.no_grad():
                shift = self._mass(taking_part) - before
                self._logits -= torch.where(taking_part, shift, 0.0)
        self._objective = self._objective.after(task, expected)

    @property
    def multipliers(self) -> tuple[float, ...]:
        return self._objective.multipliers

    def checkpoint(self) -> Checkpoint:
        tensors = {"logits": self._logits.detach(), **optimiser_tensors(self._adam, "adam")}
        copies = {name: value.clone() for name, value in tensors.items()}
        return Checkpoint(copies, self._objective.to_json())

    def restore(self, checkpoint: Checkpoint) -> None:
        with torch.no_grad():
            self._logits.copy_(checkpoint.tensors["logits"])
        restore_optimiser(self._adam, checkpoint, "adam")
        self._objective = self._objective.restored(checkpoint.state)

    def _over(self, taking_part: Tensor) -> Tensor:
        return torch.softmax(self._logits.detach().masked_fill(~taking_part, -torch.inf), dim=-1)

    def _mass(self, taking_part: Tensor) -> Tensor:
        """Logarithm of the sum of `exp(alpha)` over those taking part: `blocks 1`."""
        shown = self._logits.detach().masked_fill(~taking_part, -torch.inf)
        return shown.logsumexp(dim=-1, keepdim=True)

    def _expected(self, probs: Tensor) -> list[float]:
        return [float(cost(probs)) for cost in self._costs]

    def _slopes(self, task: float, expected: Sequence[float]) -> tuple[float, list[float]]:
        """Derivatives of the objective: by the task's loss, and by each expected cost."""
        loss = torch.tensor(task, dtype=torch.float64, requires_grad=True)
        costs = torch.tensor(expected, dtype=torch.float64, requires_grad=True)
        scale, slopes = torch.autograd.grad(self._objective.of(loss, costs), [loss, costs])
        return float(scale), slopes.tolist()
