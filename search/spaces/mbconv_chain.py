"""Chains of MBConv blocks: ProxylessNAS (Cai et al. 2019, section 4.2), NAS-Bench-Macro."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import Any, Self

from pydantic import Field

from ...core.config import Settings, parse
from ...latency.graph.ir import Activation
from ...latency.operators import Operator
from ...latency.operators.conv import Conv
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.linear import Linear
from ...latency.operators.mbconv import MBConv
from ...latency.operators.zero import Zero
from . import families
from .blocks import BlockSpace, ChoiceBlock, Step, chain_of

_NAME = "mbconv-chain"


class StemSettings(Settings):
    """The 3x3 convolution on the image."""

    width: int = Field(ge=1)
    stride: int = Field(ge=1, le=2)


class StageSettings(Settings):
    """Choice blocks of one width; the first of them has the stride."""

    width: int = Field(ge=1)
    blocks: int = Field(ge=1)
    stride: int = Field(ge=1, le=2)


class CandidateSettings(Settings):
    """One MBConv to choose from."""

    kernel: int = Field(ge=1)
    expand: int = Field(ge=1)


class Skip(StrEnum):
    """How a block may be left out.

    `LAST` offers `Zero` behind the other candidates where the stride is 1 and the width stays, as
    in ProxylessNAS. `FIRST` offers it ahead of them, and where the shape changes a 1x1 convolution
    with batch norm and no activation in its stead, as in NAS-Bench-Macro.
    """

    LAST = "last"
    FIRST = "first"


class MBConvChainSettings(Settings):
    """What a YAML file of this family says.

    Attributes:
        first: Width of the fixed 3x3 MBConv without expansion behind the stem; none by default.
        candidates: What to choose from, in this order; by default every one of `kernels` with
            every one of `expansions`, kernels outermost.
        skip: Where among the candidates stands the one that leaves the block out.
        head: Width of the 1x1 convolution ahead of the global pooling.
        se: Whether every candidate has squeeze-and-excitation.
    """

    resolution: int = Field(ge=4)
    in_channels: int = Field(ge=1)
    classes: int = Field(ge=2)
    stem: StemSettings
    first: int | None = Field(default=None, ge=1)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    kernels: tuple[int, ...] = Field(default=(3, 5, 7), min_length=1)
    expansions: tuple[int, ...] = Field(default=(3, 6), min_length=1)
    candidates: tuple[CandidateSettings, ...] | None = Field(default=None, min_length=1)
    skip: Skip = Skip.LAST
    head: int = Field(ge=1)
    se: bool = False
    activation: Activation = Activation.RELU6

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """Kernel and expansion of each MBConv of a block, in order."""
        if self.candidates is not None:
            return tuple((c.kernel, c.expand) for c in self.candidates)
        return tuple(product(self.kernels, self.expansions))


@families.register(_NAME)
@dataclass(frozen=True)
class MBConvChain(BlockSpace):
    """Stem, perhaps a fixed MBConv, stages of choice blocks, head, global pooling, classifier.

    Every block offers the same MBConvs at its own shape, and to be left out (`Skip`), so that
    depth is searched as well.
    """

    title: str
    settings: MBConvChainSettings

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any], source: str) -> Self:
        return cls(name, parse(MBConvChainSettings, dict(settings), source))

    def describe(self) -> dict[str, Any]:
        return {"family": _NAME, "name": self.title, **self.settings.model_dump(mode="json")}

    @property
    def name(self) -> str:
        return self.title

    @cached_property
    def before(self) -> tuple[Operator, ...]:
        s = self.settings
        stem = Conv(
            s.in_channels,
            s.stem.width,
            s.resolution,
            kernel=3,
            stride=s.stem.stride,
            activation=s.activation,
        )
        if s.first is None:
            return (stem,)
        first = MBConv(
            s.stem.width,
            s.first,
            stem.output_shape[1],
            kernel=3,
            expand=1,
            activation=s.activation,
        )
        return (stem, first)

    @cached_property
    def blocks(self) -> tuple[ChoiceBlock, ...]:
        width, resolution = self.before[-1].output_shape[:2]
        blocks = []
        for stage in self.settings.stages:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                block = self._block(width, stage.width, resolution, stride)
                blocks.append(block)
                width, resolution = block.candidates[0].output_shape[:2]
        return tuple(blocks)

    @cached_property
    def after(self) -> tuple[Operator, ...]:
        s = self.settings
        width, resolution = self.blocks[-1].candidates[0].output_shape[:2]
        return (
            Conv(width, s.head, resolution, kernel=1, activation=s.activation),
            GlobalPool(s.head, resolution),
            Linear(s.head, s.classes),
        )

    @cached_property
    def program(self) -> tuple[Step, ...]:
        return chain_of(self.before, len(self.blocks), self.after)

    def label(self, operator: Operator) -> str:
        if operator.is_free:
            return "skip"
        if isinstance(operator, MBConv):
            return f"e{operator.expand}k{operator.kernel}"
        return "project"

    def _block(self, width: int, out: int, resolution: int, stride: int) -> ChoiceBlock:
        s = self.settings
        blocks: tuple[Operator, ...] = tuple(
            MBConv(width, out, resolution, kernel, stride, expand, s.se, s.activation)
            for kernel, expand in s.choices
        )
        keeps_shape = stride == 1 and width == out
        if s.skip is Skip.LAST:
            blocks = (*blocks, Zero(width, resolution)) if keeps_shape else blocks
        elif keeps_shape:
            blocks = (Zero(width, resolution), *blocks)
        else:
            project = Conv(width, out, resolution, 1, stride, activation=Activation.NONE)
            blocks = (project, *blocks)
        return ChoiceBlock(blocks, is_residual=keeps_shape)
