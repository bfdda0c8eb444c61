"""One network that holds the weights of every option, and executes what the gates open."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .gates import GateMode, one_hot
from .spaces import SearchSpace


class Supernet(nn.Module, ABC):
    """The weights of a space; the probabilities are a `Relaxation`'s, not its own.

    Batch norm always uses the statistics of the batch at hand, in training and in evaluation:
    running statistics of a layer that sees another path at every step describe no network. There
    are no such buffers here, so nothing that is recomputed can disturb them; `derive` hands the
    weights to a plain network, whose statistics `calibrate_batch_norm` computes from data.

    Args:
        space: What to choose from.

    Attributes:
        mask: `choices options`, true for real options. Like gates and probabilities it stays on
            the processor, wherever the weights are.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        counts = torch.tensor(space.options)
        self.mask = torch.arange(int(counts.max()))[None, :] < counts[:, None]

    def uniform(self) -> Tensor:
        """Equal probabilities for the options of a choice: `choices options`, float64."""
        mask = self.mask.to(torch.float64)
        return mask / mask.sum(dim=-1, keepdim=True)

    def weights(self) -> list[nn.Parameter]:
        """Every parameter, in a fixed order."""
        return list(self.parameters())

    def gates(self, architecture: Architecture) -> Tensor:
        """Gates that open the path of `architecture`: `choices options`."""
        self.space.check(architecture)
        return one_hot(torch.tensor(architecture.choices), self.mask.shape[-1])

    @abstractmethod
    def forward(
        self,
        images: Tensor,
        gates: Tensor,
        mode: GateMode = GateMode.RECOMPUTE,
        involved: Tensor | None = None,
    ) -> Tensor:
        """Logits of the classes along the open path.

        Args:
            images: `batch channels height width`, on any device.
            gates: `choices options`. If they require a gradient, exactly one in each row is 1, the
                others 0, and the backward pass finds the gradient as `mode` says. If not, any are
                1 but at least one: what is open is computed and nothing else, and where several
                candidates of a block are open its output is the mean of theirs.
            mode: How the gradients of closed gates come about.
            involved: `choices options`, bool: the sampled options in the mode `two`, the open one
                among them. Only they get a gradient. None for all.

        Returns:
            `batch classes`, on the device of the images.
        """

    @abstractmethod
    def derive(self, architecture: Architecture) -> nn.Module:
        """The architecture as a plain network with a copy of its weights, in training mode.

        Its batch norm has fresh running statistics: call `calibrate_batch_norm` before evaluating.
        """

    def plain(self, architecture: Architecture) -> nn.Module:
        """The plain network of `architecture` where these weights are, with weights of its own."""
        like = next(self.parameters())
        with torch.random.fork_rng(devices=[]):
            network = self.space.network(architecture).build()
        network.to(like.device)
        lay_out(network, like.dtype)
        return network


def lay_out(module: nn.Module, dtype: torch.dtype) -> None:
    """Put weights into `dtype` and the layout in which convolutions are fastest, in place."""
    module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


def forget_statistics(module: nn.Module) -> None:
    """Let every batch norm of `module` use the statistics of the batch at hand, for ever."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
