from __future__ import annotations

import itertools

import pytest
import torch

from elat.core.errors import ArtefactError, ConfigError
from elat.search.training import TrainingSettings, read_weights, train_network

SETTINGS = TrainingSettings(epochs=4, batch_size=16, rate=0.1)


@pytest.fixture
def network(toy):
    architecture = toy.sample(torch.Generator().manual_seed(1))
    return lambda: toy.network(architecture).build()


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_training_learns_and_leaves_weights(toy_data, network, tmp_path):
    module = network()
    steps = list(train_network(module, toy_data, SETTINGS, 0, folder=tmp_path, name="found"))
    assert [s.step for s in steps] == list(range(1, 25))
    assert {s.total for s in steps} == {24}
    assert steps[-1].loss < steps[0].loss
    assert steps[-1].validation_accuracy is not None
    assert steps[-1].validation_accuracy > 0.4  # four classes
    assert not module.training
    assert not list(tmp_path.glob("*checkpoint*"))
    other = network()
    read_weights(other, tmp_path / "found.safetensors")
    assert all(torch.equal(a, weights(module)[k]) for k, a in weights(other).items())
    again = network()
    (last,) = train_network(again, toy_data, SETTINGS, 0, folder=tmp_path, name="found")
    assert last == steps[-1]
    assert all(torch.equal(a, weights(module)[k]) for k, a in weights(again).items())


@pytest.mark.parametrize("stop", [1, 10, 23])
def test_an_interrupted_training_ends_in_the_same_bits(
    toy_data, network, tmp_path, monkeypatch, stop
):
    monkeypatch.setattr("elat.search.journal.Journal.save", every_time())
    module = network()
    whole = list(train_network(module, toy_data, SETTINGS, 0, folder=tmp_path / "a", name="n"))
    part = network()
    run = train_network(part, toy_data, SETTINGS, 0, folder=tmp_path / "b", name="n")
    list(itertools.islice(run, stop))
    run.close()
    resumed = network()
    rest = list(train_network(resumed, toy_data, SETTINGS, 0, folder=tmp_path / "b", name="n"))
    assert rest == whole[stop:]
    for name in ("n.safetensors", "n.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def every_time():
    from elat.search.journal import Journal

    original = Journal.save
    return lambda self, take, force=False: original(self, take, force=True)


def test_files_of_another_training_are_refused(toy_data, network, tmp_path):
    list(train_network(network(), toy_data, SETTINGS, 0, folder=tmp_path, name="n"))
    other = SETTINGS.model_copy(update={"rate": 0.05})
    with pytest.raises(ConfigError, match="delete them"):
        list(train_network(network(), toy_data, other, 0, folder=tmp_path, name="n"))
    (tmp_path / "n.safetensors").write_bytes(b"")
    with pytest.raises(ArtefactError):
        read_weights(network(), tmp_path / "n.safetensors")


def test_another_seed_gives_other_weights(toy_data, network, tmp_path):
    losses = [
        next(train_network(network(), toy_data, SETTINGS, s, folder=tmp_path, name=f"n{s}")).loss
        for s in (0, 1)
    ]
    assert losses[0] != losses[1]
