"""What the processes of `test_distributed.py` do; run as `python THIS_FILE TASK FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from elat.search.block_supernet import BlockSupernet
from elat.search.data import TensorData
from elat.search.distributed import ShardedData, World, open_world, working_folder
from elat.search.gates import one_hot, sample_choices
from elat.search.journal import Journal
from elat.search.spaces import BlockSpace, block_space, space_from_description
from elat.search.training import TrainingSettings, train_network

STOP = 5
SETTINGS = TrainingSettings(
    epochs=2, batch_size=16, rate=0.02, freeze_batch_norm=True, ema=0.9, mixup=0.4, gradient_clip=1
)
SPACE = {
    "family": "mbconv-chain",
    "name": "toy",
    "resolution": 8,
    "in_channels": 1,
    "classes": 4,
    "stem": {"width": 4, "stride": 1},
    "first": 4,
    "stages": [{"width": 4, "blocks": 2, "stride": 1}],
    "kernels": [3, 5],
    "expansions": [1, 2],
    "head": 8,
}


def space() -> BlockSpace:
    return block_space(space_from_description(SPACE), "a test")


def data() -> TensorData:
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(4, (112,), generator=generator)
    images = torch.randn((112, 1, 8, 8), generator=generator) + labels[:, None, None, None]
    return TensorData("shifted", 4, (images[:96], labels[:96]), (images[96:], labels[96:]), 3)


def everything(folder: Path) -> None:
    with open_world() as world:
        averages(folder, world)
        supernet_step(folder, world)
        train(folder, world, "whole", stop=None)
        train(folder, world, "part", stop=STOP)


def training(folder: Path) -> None:
    with open_world() as world:
        train(folder, world, "killed", stop=None)


def averages(folder: Path, world: World) -> None:
    generator = torch.Generator().manual_seed(world.rank)
    tensors = [
        torch.randn(3, 4, 2, 2, generator=generator).contiguous(memory_format=torch.channels_last),
        torch.randn(5, generator=generator, dtype=torch.float64),
        torch.randn(7, generator=generator),
    ]
    before = [tensor.clone() for tensor in tensors]
    world.average(tensors)
    agreed = world.agreed(2**62 + world.rank)
    torch.save((before, tensors, agreed), folder / f"averages-{world.rank}.pt")


def supernet_step(folder: Path, world: World) -> None:
    """One weight step along the paths of a seed that only process 0 knows."""
    seed = world.agreed(100 + world.rank)
    supernet = BlockSupernet(space(), torch.Generator().manual_seed(0))
    freeze(supernet)
    probs = torch.full((len(space().blocks), 5), 0.2, dtype=torch.float64)
    choices = sample_choices(probs, torch.Generator().manual_seed(seed))
    images, labels = ShardedData(data(), world).train_batch(3, 16)
    nn.functional.cross_entropy(supernet(images, one_hot(choices, 5)), labels).backward()
    grads = {n: p.grad for n, p in supernet.named_parameters() if p.grad is not None}
    world.average(grads.values())
    torch.save((choices, grads), folder / f"supernet-{world.rank}.pt")


def freeze(module: nn.Module) -> None:
    """Take batch norm out: its statistics are of the part of the batch that a process sees."""
    for part in module.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                part.add_module(name, nn.Identity())


def train(folder: Path, world: World, name: str, *, stop: int | None) -> None:
    network = space().network(space().sample(torch.Generator().manual_seed(1))).build()
    with working_folder(folder, world) as own:
        steps = train_network(network, data(), SETTINGS, 0, folder=own, name=name, world=world)
        for step in steps:
            print(step.step, flush=True)
            if step.step == stop:
                break
        steps.close()


def at_every_step() -> None:
    """Write a checkpoint after every step, however fast they are."""
    save = Journal.save
    Journal.save = lambda self, take, force=False: save(self, take, force=True)  # type: ignore


if __name__ == "__main__":
    torch.set_num_threads(1)
    at_every_step()
    {"everything": everything, "training": training}[sys.argv[1]](Path(sys.argv[2]))
