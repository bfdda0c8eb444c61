"""A step of ProxylessNAS here and in nni 3.0, side by side in one interleaved run.

nni pins old packages, so it lives in a virtual environment of its own (Python 3.11):

    python3.11 -m venv nnienv
    nnienv/bin/pip install nni==3.0 "torch==2.13.0" "pytorch-lightning<2.2" "torchmetrics<1.3" \
        "numpy<2" "setuptools<81"
    .venv/bin/python tests/benchmarks/compare_nni.py --nni nnienv/bin/python

Both sides hold the same space: 10 blocks of 6 or 7 candidates (MBConv of kernel 3, 5, 7 and
expansion 3, 6; a skip where shapes allow) with the same number of weights, 32 x 32 images, batch
32, one thread. Each is a process; they take turns, one at a time, and execute the same paths in
the same order. A weight step is forward, backward and SGD with Nesterov momentum; an architecture
step is forward, backward and Adam, without a bound. nni's own training loop (Lightning) is left
out, in its favour. What is counted is CPU time of the process, which other load disturbs little.

nni is measured as it is, and once more with its network and images in the memory layout that is
used here (channels last).

Three figures of memory: the greatest number of bytes kept for the backward pass at once, weights
left out; the greatest number of bytes alive at once of all that the step allocated; and the
greatest resident set of the process, with all that it imports (Linux).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BATCH, RESOLUTION, CLASSES = 32, 32, 10
STEM, HEAD = 16, 128
STAGES = ((24, 4, 1), (40, 3, 2), (64, 3, 2))
SIDES = {"elat": ("elat", False), "nni": ("nni", False), "nni, channels last": ("nni", True)}
KINDS = ("weight", "architecture")
Step = Callable[[list[int]], None]


def block_sizes() -> list[int]:
    """How many candidates each block has."""
    return [6 if index == 0 else 7 for _, blocks, _ in STAGES for index in range(blocks)]


def batch(is_channels_last: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, 3, RESOLUTION, RESOLUTION, generator=generator)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    return images.contiguous(
        memory_format=torch.channels_last if is_channels_last else torch.contiguous_format
    ), labels


def sgd(weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.05, momentum=0.9, nesterov=True, weight_decay=4e-5)


def elat_side() -> tuple[dict[str, Step], int]:
    """Steps by kind, and the number of weights."""
    from elat.search.block_supernet import BlockSupernet
    from elat.search.gates import one_hot, straight_through
    from elat.search.spaces import block_space, space_from_description

    space = block_space(space_from_description(
        {
            "family": "mbconv-chain", "name": "side-by-side", "resolution": RESOLUTION,
            "in_channels": 3, "classes": CLASSES, "stem": {"width": STEM, "stride": 2},
            "first": STEM, "head": HEAD,
            "stages": [{"width": w, "blocks": b, "stride": s} for w, b, s in STAGES],
        }
    ), "a test")  # fmt: skip
    supernet = BlockSupernet(space, torch.Generator().manual_seed(0))
    images, labels = batch(is_channels_last=True)
    weights = sgd(supernet.weights())
    logits = nn.Parameter(torch.zeros(supernet.mask.shape, dtype=torch.float64))
    alphas = torch.optim.Adam([logits], lr=1e-3)

    def weight(choices: list[int]) -> None:
        weights.zero_grad(set_to_none=True)
        gates = one_hot(torch.tensor(choices), supernet.mask.shape[-1])
        nn.functional.cross_entropy(supernet(images, gates), labels).backward()
        weights.step()

    def architecture(choices: list[int]) -> None:
        probs = logits.masked_fill(~supernet.mask, -torch.inf).softmax(dim=-1)
        gates = straight_through(probs, torch.tensor(choices))
        loss = nn.functional.cross_entropy(supernet(images, gates), labels)
        (logits.grad,) = torch.autograd.grad(loss, [logits])
        alphas.step()

    steps: dict[str, Step] = {"weight": weight, "architecture": architecture}
    return steps, sum(p.numel() for p in supernet.weights())


def nni_side(is_channels_last: bool) -> tuple[dict[str, Step], int]:
    """As `elat_side`; follows `DartsLightningModule.training_step` of nni 3.0."""
    from nni.nas.nn.pytorch import LayerChoice, ModelSpace  # type: ignore[import-not-found]
    from nni.nas.oneshot.pytorch.supermodule.base import (  # type: ignore[import-not-found]
        BaseSuperNetModule,
    )
    from nni.nas.strategy import Proxyless  # type: ignore[import-not-found]

    class Space(ModelSpace):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.stem = convolution(3, STEM, 3, 2)
            self.first = InvertedResidual(STEM, STEM, 3, 1, 1)
            width = STEM
            blocks: list[nn.Module] = []
            for out, count, stride in STAGES:
                for index in range(count):
                    step = stride if index == 0 else 1
                    candidates: list[nn.Module] = [
                        InvertedResidual(width, out, kernel, step, expand)
                        for kernel in (3, 5, 7)
                        for expand in (3, 6)
                    ]
                    if step == 1 and width == out:
                        candidates.append(nn.Identity())
                    blocks.append(LayerChoice(candidates, label=f"block{len(blocks)}"))
                    width = out
            self.blocks = nn.Sequential(*blocks)
            self.head = convolution(width, HEAD, 1)
            self.classifier = nn.Linear(HEAD, CLASSES)

        def forward(self, x: torch.Tensor) -> Any:
            x = self.head(self.blocks(self.first(self.stem(x))))
            return self.classifier(x.mean((2, 3)))

    torch.manual_seed(0)
    model = Proxyless().mutate_model(Space())
    if is_channels_last:
        model = model.to(memory_format=torch.channels_last)
    mixed = [m for m in model.modules() if isinstance(m, BaseSuperNetModule)]
    alpha = {id(p): p for m in mixed for p in m.arch_parameters()}
    own = [p for p in model.parameters() if id(p) not in alpha]
    images, labels = batch(is_channels_last)
    weights = sgd(own)
    alphas = torch.optim.Adam(list(alpha.values()), lr=1e-3)

    def loss(choices: list[int]) -> torch.Tensor:
        memo: dict[str, Any] = {}
        for module, choice in zip(mixed, choices, strict=True):
            memo.update(module.resample(memo))
            # The same path as on the other side.
            module._sample_idx, module._sampled = choice, module.names[choice]
        return nn.functional.cross_entropy(model(images), labels)

    def weight(choices: list[int]) -> None:
        found = loss(choices)
        weights.zero_grad()
        found.backward()
        weights.step()

    def architecture(choices: list[int]) -> None:
        alphas.zero_grad()
        loss(choices).backward()
        alphas.step()

    return {"weight": weight, "architecture": architecture}, sum(p.numel() for p in own)


def convolution(width: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """The candidate of both sides in plain torch, for the side that cannot import the other."""

    def __init__(self, width: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = width * expand
        parts = [] if expand == 1 else [convolution(width, hidden, 1)]
        parts += [
            convolution(hidden, hidden, kernel, stride, hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.body = nn.Sequential(*parts)
        self.has_skip = stride == 1 and width == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.has_skip else y


class Alive(TorchDispatchMode):
    """Greatest number of bytes alive at once of what was allocated under it."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {t.untyped_storage().data_ptr() for t in tensors((args, kwargs or {}))}
        result = function(*args, **(kwargs or {}))
        self._live = {k: v for k, v in self._live.items() if not v[0].expired()}
        for tensor in tensors(result):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in given:
                self._live[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._live.values()))
        return result


def tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


class Kept:
    """Bytes of distinct storages that saved tensors refer to, now and at most."""

    def __init__(self) -> None:
        self.live_bytes = self.peak_bytes = 0
        self._counts: dict[int, int] = {}

    def pack(self, tensor: torch.Tensor) -> Any:
        if isinstance(tensor, nn.Parameter):
            return tensor
        key = tensor.untyped_storage().data_ptr()
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] == 1:
            self.live_bytes += tensor.untyped_storage().nbytes()
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return Saved(tensor.detach() if tensor.requires_grad else tensor, self)

    def drop(self, tensor: torch.Tensor) -> None:
        key = tensor.untyped_storage().data_ptr()
        self._counts[key] -= 1
        if self._counts[key] == 0:
            self.live_bytes -= tensor.untyped_storage().nbytes()


class Saved:
    """A saved tensor that tells its counter when it is let go."""

    def __init__(self, tensor: torch.Tensor, kept: Kept) -> None:
        self.tensor, self._kept = tensor, kept

    def __del__(self) -> None:
        self._kept.drop(self.tensor)


def kept_peak(step: Callable[[], None]) -> int:
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(
        kept.pack, lambda found: found.tensor if isinstance(found, Saved) else found
    ):
        step()
    return kept.peak_bytes


def alive_peak(step: Callable[[], None]) -> int:
    alive = Alive()
    with alive:
        step()
    return alive.peak_bytes


def work(side: str) -> None:
    """Serve one side: a JSON line asks for a step, a JSON line answers."""
    torch.set_num_threads(1)
    name, is_channels_last = SIDES[side]
    steps, count = elat_side() if name == "elat" else nni_side(is_channels_last)
    print(json.dumps({"weights": count, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        step, paths = steps[asked["kind"]], asked["paths"]
        if asked["what"] == "time":
            started = time.process_time()
            for path in paths:
                step(path)
            answer = 1e3 * (time.process_time() - started) / len(paths)
        elif asked["what"] == "resident":
            answer = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        else:
            measure = {"kept": kept_peak, "alive": alive_peak}[asked["what"]]
            answer = statistics.mean(measure(partial(step, path)) for path in paths)
        print(json.dumps(answer), flush=True)


def compare(interpreter: str, rounds: int, steps: int) -> None:
    """Run all sides in turns and print medians and ratios to nni as it is."""
    shuffle = random.Random(0)
    with ExitStack() as stack:
        workers = {}
        for side, (name, _) in SIDES.items():
            command = [sys.executable if name == "elat" else interpreter, __file__, "--side", side]
            workers[side] = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                    stderr=subprocess.DEVNULL if name == "nni" else None,
                )
            )  # fmt: skip
        for side, worker in workers.items():
            print(f"{side}: {hear(worker)}")

        def paths() -> list[list[int]]:
            return [[shuffle.randrange(n) for n in block_sizes()] for _ in range(steps)]

        def ask(side: str, kind: str, what: str, given: list[list[int]]) -> float:
            worker = workers[side]
            say(worker, {"kind": kind, "what": what, "paths": given})
            return float(hear(worker))

        for side in SIDES:
            for kind in KINDS:
                ask(side, kind, "time", paths())
        found: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds):
            given = paths()
            order = [(side, kind) for side in SIDES for kind in KINDS]
            shuffle.shuffle(order)
            for side, kind in order:
                found.setdefault((side, kind), []).append(ask(side, kind, "time", given))
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        resident = {side: [ask(side, "weight", "resident", []) / 2**20] for side in SIDES}
        report("greatest resident memory of the process, MiB", resident)
        given = paths()
        for kind in KINDS:
            report(f"{kind} step, CPU ms", {side: found[side, kind] for side in SIDES})
            for what in ("kept", "alive"):
                report(
                    f"{kind} step, peak {what}, MiB",
                    {side: [ask(side, kind, what, given) / 2**20] for side in SIDES},
                )
        both = {
            side: [sum(pair) for pair in zip(*(found[side, k] for k in KINDS), strict=True)]
            for side in SIDES
        }
        report("weight and architecture step, CPU ms", both)
        for worker in workers.values():
            worker.stdin.close()  # type: ignore[union-attr]


def say(worker: subprocess.Popen[str], what: Any) -> None:
    worker.stdin.write(json.dumps(what) + "\n")  # type: ignore[union-attr]


def hear(worker: subprocess.Popen[str]) -> Any:
    line = worker.stdout.readline()  # type: ignore[union-attr]
    if not line:
        raise SystemExit("A side ended early; run it alone with --side to see why.")
    return json.loads(line)


def report(title: str, found: dict[str, list[float]]) -> None:
    """Medians, and the medians of the rounds' ratios to nni as it is."""
    cells = []
    for side, values in found.items():
        ratio = statistics.median(v / n for v, n in zip(values, found["nni"], strict=True))
        cells.append(f"{side} {statistics.median(values):.1f} (x{ratio:.2f})")
    print(f"{title}: {', '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nni", help="The Python of the environment that has nni.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="Of each kind in a round.")
    parser.add_argument("--side", choices=SIDES, help="Serve one side; for this script itself.")
    arguments = parser.parse_args()
    if arguments.side:
        work(arguments.side)
    elif arguments.nni:
        compare(arguments.nni, arguments.rounds, arguments.steps)
    else:
        parser.error("give --nni")


if __name__ == "__main__":
    main()
