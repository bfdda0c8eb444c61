"""Weights of untrained modules: as training starts from them, and as training leaves them."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Initialise every layer in place as ProxylessNAS does (Cai et al. 2019, `init_model`).

    Convolutions, depthwise ones too, are normal with variance `2 / (kernel² · out_channels)` (He
    et al. 2015, equation 14, counting all output channels); batch norm is the identity; linear
    layers are uniform within `1 / sqrt(in_features)`; biases are zero.
    """
    import torch
    from torch import nn

    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
                layer.weight.normal_(0, sqrt(2 / fan_out), generator=generator)
            elif isinstance(layer, nn.Linear):
                bound = 1 / sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.weight.fill_(1)
            else:
                continue
            if layer.bias is not None:
                layer.bias.zero_()


def randomise_statistics(module: nn.Module, generator: torch.Generator) -> None:
    """Give batch norms and biases random values in place, such as training leaves behind.

    The running variance is about what the preceding convolution makes of an input of unit
    variance, so that activations keep their scale through a deep network: nothing overflows and
    nothing becomes denormal, which would change the time a processor needs.
    """
    import torch
    from torch import nn

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    gain: torch.Tensor | None = None
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                gain = layer.weight.square().sum(dim=(1, 2, 3))
            elif isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
                known = gain is not None and len(gain) == layer.num_features
                variance = gain if known and gain is not None else torch.ones_like(layer.weight)
                variance = variance * uniform(variance, 0.5, 1.5)
                layer.running_var.copy_(variance)
                shift = torch.randn(variance.shape, generator=generator)
                if layer.running_mean is not None:
                    layer.running_mean.copy_(0.2 * shift * variance.sqrt())
                layer.weight.copy_(uniform(layer.weight, 0.5, 1.5))
                layer.bias.normal_(0, 0.3, generator=generator)
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                layer.bias.normal_(0, 0.1, generator=generator)
