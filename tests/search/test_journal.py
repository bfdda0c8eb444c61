from __future__ import annotations

import pytest
import torch

from elat.core.errors import ArtefactError
from elat.search.checkpoint import (
    Checkpoint,
    optimiser_tensors,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from elat.search.journal import Journal


def checkpoint(value):
    return Checkpoint({"a/b": torch.full((3,), float(value))}, {"done": value})


def test_checkpoints_round_trip(tmp_path):
    path = tmp_path / "c.safetensors"
    tensors = {"w/0": torch.randn(2, 3), "w/1": torch.arange(4), "v": torch.zeros(()).double()}
    write_checkpoint(path, Checkpoint(tensors, {"done": 3, "nested": {"x": [1.5, None]}}))
    found = read_checkpoint(path)
    assert found.state == {"done": 3, "nested": {"x": [1.5, None]}}
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in tensors.items())
    assert found.part("w").keys() == {"0", "1"}


@pytest.mark.parametrize("keep", [0, 5, 40, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint(1))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtefactError, match="delete it to start again"):
        read_checkpoint(path)


def test_resuming_cuts_the_history_back_to_the_checkpoint(tmp_path):
    journal = Journal(tmp_path, "c", "h.jsonl")
    assert journal.resume() is None
    journal.record({"step": 1})
    journal.save(lambda: checkpoint(1), force=True)
    journal.record({"step": 2})
    found = Journal(tmp_path, "c", "h.jsonl").resume()
    assert found is not None
    assert found.state["done"] == 1
    assert (tmp_path / "h.jsonl").read_text() == '{"step":1}\n'


def test_without_a_checkpoint_the_history_starts_again(tmp_path):
    Journal(tmp_path, "c", "h.jsonl").record({"step": 1})
    assert Journal(tmp_path, "c", "h.jsonl").resume() is None
    assert not (tmp_path / "h.jsonl").exists()


def test_a_history_shorter_than_its_checkpoint_is_refused(tmp_path):
    journal = Journal(tmp_path, "c", "h.jsonl")
    journal.record({"step": 1})
    journal.save(lambda: checkpoint(1), force=True)
    (tmp_path / "h.jsonl").write_text("")
    with pytest.raises(ArtefactError, match="delete"):
        Journal(tmp_path, "c", "h.jsonl").resume()


def test_checkpoints_are_written_only_so_often(tmp_path):
    now = [0.0]
    journal = Journal(tmp_path, "c", "h", every_s=2.0, clock=lambda: now[0])
    taken: list[float] = []

    def take():
        taken.append(now[0])
        return checkpoint(now[0])

    for second in range(7):
        now[0] = float(second)
        journal.save(take)
    assert taken == [2, 4, 6]


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.0, 0.999)),
    ],
)
def test_a_restored_optimiser_goes_on_to_the_bit(tmp_path, make):
    start = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    start = start.contiguous(memory_format=torch.channels_last)

    def steps(parameter, optimiser, indices):
        for index in indices:
            parameter.grad = torch.sin(parameter.detach() * (index + 1))
            optimiser.step()

    whole = start.clone().requires_grad_()
    steps(whole, make([whole]), range(6))
    half = start.clone().requires_grad_()
    unused = torch.zeros(2, requires_grad=True)
    optimiser = make([half, unused])
    steps(half, optimiser, range(3))
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, Checkpoint(optimiser_tensors(optimiser, "o"), {}))
    again = make([half, unused])
    restore_optimiser(again, read_checkpoint(path), "o")
    steps(half, again, range(3, 6))
    assert torch.equal(half, whole)
    with pytest.raises(ArtefactError):
        restore_optimiser(again, Checkpoint({"o/7/step": torch.zeros(())}, {}), "o")
