"""Binary gates over candidate paths and their gradient (Cai et al. 2019, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
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


class GateGradient(torch.autograd.Function):
    """Passes the output of the open path on, and works out the gradient of every gate backwards.

    The block computes `y = x + sum_j g_j (o_j(x) - x)` if it is residual, else
    `y = sum_j g_j o_j(x)`, with exactly one `g_j` equal to 1. Forward runs that one path alone.
    Backward recomputes the others one at a time without a graph, so that the activations of a
    single path are kept: `dL/dg_j = <dL/dy, o_j(x) - x>`, and `<dL/dy, o_j(x)>`. A candidate that
    leaves the block out has `o_j(x) = x`, hence the gate gradient 0 and none of its own work; it
    takes part like the others, open or not.

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
        ctx.width, ctx.dtype = gates.shape[0], gates.dtype
        ctx.active, ctx.candidates, ctx.is_residual = active, candidates, is_residual
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        images, output = ctx.saved_tensors
        gates = torch.zeros(ctx.width, dtype=ctx.dtype, device=grad.device)
        with torch.no_grad():
            through = _inner(grad, images, ctx.dtype) if ctx.is_residual else 0.0
            for index, candidate in enumerate(ctx.candidates):
                if candidate is None:
                    continue
                found = output if index == ctx.active else candidate(images)
                gates[index] = _inner(grad, found, ctx.dtype) - through
        return grad, None, gates, None, None, None


def _inner(grad: Tensor, output: Tensor, dtype: torch.dtype) -> Tensor:
    return (grad * output).sum(dtype=dtype)
