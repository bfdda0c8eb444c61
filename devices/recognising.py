"""Which machines of the catalogue a machine is, by what it told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .asking import Answers
from .catalogue import KnownMachine, Recognised, plain_cpu

_LEAST_LEFT = 0.8
"""Of a machine's memory, the share that is left when firmware and GPU have taken theirs."""

_LEAST_LEFT_GPU = 0.95
_MOST = 1.01


def recognise(answers: Answers, machines: Iterable[KnownMachine]) -> list[KnownMachine]:
    """The machines that `answers` fit: itself and its GPU, or nothing.

    Where several fit in one respect they cannot be told apart, and none is taken.
    """
    found = list(machines)
    itself = [m for m in found if not m.recognised.gpu and _fits(m.recognised, answers)]
    gpu = [m for m in found if m.recognised.gpu and _fits_gpu(m.recognised, answers)]
    return [matches[0] for matches in (itself, gpu) if len(matches) == 1]


def _fits(recognised: Recognised, answers: Answers) -> bool:
    tests = list(_tests(recognised, answers))
    memory = _holds(recognised.memory_gb, answers.memory_bytes, _LEAST_LEFT)
    return bool(tests) and all(tests) and memory


def _tests(recognised: Recognised, answers: Answers) -> Iterator[bool]:
    """Whether each thing that is named fits."""
    if recognised.model:
        yield any(_is_like(answers.text("model"), name) for name in recognised.model)
    if recognised.device:
        yield answers.device in recognised.device
    if recognised.soc:
        yield answers.text("soc") in recognised.soc
    if recognised.board:
        yield any(name in answers.text("board") for name in recognised.board)
    if recognised.cpu:
        yield plain_cpu(answers.cpu) in recognised.cpu


def _is_like(text: str, name: str) -> bool:
    return text.startswith(name[:-1]) if name.endswith("*") else text == name


def _fits_gpu(recognised: Recognised, answers: Answers) -> bool:
    """Whether it is the first GPU: cards measure on that one."""
    if not answers.gpus or answers.gpus[0].name not in recognised.gpu:
        return False
    return _holds(recognised.memory_gb, answers.gpus[0].memory_bytes, _LEAST_LEFT_GPU)


def _holds(nominal_gb: float | None, found_bytes: int | None, least: float) -> bool:
    """Whether so many bytes can be of a machine that is sold with `nominal_gb`."""
    if nominal_gb is None:
        return True
    return found_bytes is not None and least < found_bytes / (nominal_gb * 2**30) <= _MOST
