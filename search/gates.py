"""Binary gates over candidate paths and their gradient (Cai et al. 2019, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

Candidate = Callable[[Tensor], Tensor]


def sample_choices(probs: Tensor, generator: torch.Generator) -> Tensor:
    """One candidate a block, drawn with its probability.

    Args:
        probs: `blocks choices`; each row sums to one.
        generator: Draws them.

    Returns:
        `blocks`, int64.
    """
    return torch.multinomial(probs.detach(), 1, generator=generator).squeeze(-1)


def sample_two(probs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two candidates a block without replacement, and which of the two is open.

    The pair `i, j` comes up with `p_i p_j / (1 - p_i) + p_j p_i / (1 - p_j)`; of the two `i` is
    open with `p_i / (p_i + p_j)` (Cai et al. 2019, section 3.2.1).

    Args:
        probs: `blocks choices`; each row sums to one. A row with a single candidate of
            probability above 0 gives it alone.
        generator: Draws them.

    Returns:
        The open candidates, `blocks`, int64; and the involved ones, `blocks choices`, bool.
    """
    p = probs.detach()
    # The two first arrivals of a race at rates p are a draw without replacement.
    arrivals = torch.empty_like(p).exponential_(generator=generator) / p
    first = arrivals.topk(min(2, p.shape[-1]), dim=-1, largest=False).indices
    involved = torch.zeros_like(p, dtype=torch.bool).scatter(-1, first, True) & (p > 0)
    return sample_choices(p * involved, generator), involved


def one_hot(choices: Tensor, width: int) -> Tensor:
    """Gates `blocks width` in float64 that open exactly the paths of `choices`."""
    return torch.nn.functional.one_hot(choices, width).to(torch.float64)


def straight_through(probs: Tensor, choices: Tensor) -> Tensor:
    """Gates that open `choices` and hand their gradient on to `probs` unchanged.

    Through `probs = softmax(alpha)` a gate gradient `d` becomes `p * (d - <p, d>)`, which is
    equation 4 of Cai et al. 2019 in closed form.

    Args:
        probs: `blocks choices`, with a gradient.
        choices: `blocks`, int64.
    """
    hard = one_hot(choices, probs.shape[-1]).to(probs.dtype)
    gates: Tensor = _Hard.apply(probs, hard)  # type: ignore[no-untyped-call]
    return gates


class _Hard(torch.autograd.Function):
    """`onehot - p.detach() + p` without its rounding: exactly one-hot, gradient one."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, hard: Tensor) -> Tensor:
        return hard.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


class GateMode(StrEnum):
    """How the gradients of closed gates come about (Cai et al. 2019, section 3.2).

    `full`: every candidate is executed, the closed ones without a graph, and their outputs are
    kept for the backward pass. `two`: the same for two sampled candidates of each block.
    `recompute`: the open path alone is executed and kept; the backward pass executes the others
    again, one at a time.
    """

    FULL = "full"
    TWO = "two"
    RECOMPUTE = "recompute"


class GateGradient(torch.autograd.Function):
    """Passes the output of the open path on, and works out the gradient of every gate backwards.

    The block computes `y = x + sum_j g_j (o_j(x) - x)` if it is residual, else
    `y = sum_j g_j o_j(x)`, with exactly one `g_j` equal to 1. Forward runs that one path alone.
    Backward recomputes the others one at a time without a graph, so that the activations of a
    single path are kept: `dL/dg_j = <dL/dy, o_j(x) - x>`, and `<dL/dy, o_j(x)>`. A candidate that
    leaves the block out has `o_j(x) = x`, hence in a residual block the gate gradient 0 and none
    of its own work; it takes part like the others, open or not.

    To the weights and to `x` the closed paths give nothing: their gates are 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        images: Tensor,
        gates: Tensor,
        active: int,
        candidates: tuple[Candidate | None, ...],
        is_residual: bool,
    ) -> Tensor:
        # Both tensors are kept by the neighbouring operators as well: no storage is added.
        ctx.save_for_backward(images, output)
        ctx.width, ctx.dtype, ctx.where = gates.shape[0], gates.dtype, gates.device
        ctx.active, ctx.candidates, ctx.is_residual = active, candidates, is_residual
        kind = images.device.type
        ctx.autocast = (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        images, output = ctx.saved_tensors
        gates = torch.zeros(ctx.width, dtype=ctx.dtype, device=grad.device)
        kind, dtype, is_enabled = ctx.autocast
        with torch.no_grad(), torch.autocast(kind, dtype=dtype, enabled=is_enabled):
            through = inner(grad, images, ctx.dtype) if ctx.is_residual else 0.0
            for index, candidate in enumerate(ctx.candidates):
                if candidate is None and ctx.is_residual:
                    continue
                if index == ctx.active:
                    found = output
                else:
                    found = images if candidate is None else candidate(images)
                gates[index] = inner(grad, found, ctx.dtype) - through
        return grad, None, gates.to(ctx.where), None, None, None


class StoredGateGradient(torch.autograd.Function):
    """As `GateGradient`, from outputs of the closed candidates that the forward pass has kept.

    `found` are the outputs of the candidates `numbers`, without a graph, the open one's included;
    a candidate that leaves the block out has its input for an output. The gates of all other
    candidates get the gradient 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        images: Tensor,
        gates: Tensor,
        numbers: tuple[int, ...],
        is_residual: bool,
        *found: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(images, *found)
        ctx.width, ctx.dtype, ctx.where = gates.shape[0], gates.dtype, gates.device
        ctx.numbers, ctx.is_residual = numbers, is_residual
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        images, *found = ctx.saved_tensors
        gates = torch.zeros(ctx.width, dtype=ctx.dtype, device=grad.device)
        with torch.no_grad():
            through = inner(grad, images, ctx.dtype) if ctx.is_residual else 0.0
            for index, output in zip(ctx.numbers, found, strict=True):
                gates[index] = inner(grad, output, ctx.dtype) - through
        return grad, None, gates.to(ctx.where), None, None, *(None for _ in found)


def inner(grad: Tensor, output: Tensor, dtype: torch.dtype) -> Tensor:
    """The inner product of two tensors of one shape, summed in `dtype`."""
    exact = torch.promote_types(grad.dtype, torch.float32)  # products of halves would be rounded
    return (grad.to(exact) * output.to(exact)).sum(dtype=dtype)
