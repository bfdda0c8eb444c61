"""What a search's folder says of its distribution, against the parameters that were written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elat.core.artefact import manifest, write_json
from elat.core.errors import ArtefactError
from elat.search.checkpoint import Checkpoint, write_checkpoint
from elat.search.course import COURSE, Layout
from elat.search.distribution import read_distribution
from elat.search.spaces import find_space
from elat.search.strategies import SearchStep

SPACE = find_space("proxyless-tiny")
WIDEST = max(SPACE.options)
MASK = torch.tensor([[o < n for o in range(WIDEST)] for n in SPACE.options])


@pytest.fixture
def folder(tmp_path):
    config = {"space": SPACE.describe()}
    write_json(tmp_path / "manifest.json", manifest("search", config=config, seed=0, parents={}))
    return tmp_path


def logits(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(MASK.shape, generator=generator, dtype=torch.float64) * 3 + 800


def frame(probabilities, step=1):
    rows = tuple(
        tuple(row[:count].tolist())
        for row, count in zip(probabilities, SPACE.options, strict=True)
    )
    return SearchStep(
        step=step, total=9, phase="search", loss=None, accuracy=None, validation_loss=None,
        expected=(1.0,), lam=(0.0,), entropy=0.5, probabilities=rows,
    )  # fmt: skip


def write_course(folder, *steps):
    layout = Layout.of(steps[0])
    (folder / COURSE).write_bytes(layout.header + b"".join(map(layout.frame, steps)))


def test_a_running_search_is_read_from_its_parameters_exactly(folder):
    values = logits()
    path = folder / "checkpoint.safetensors"
    write_checkpoint(path, Checkpoint({"relaxation/logits": values}, {}))
    found = read_distribution(folder)
    assert found.space == SPACE
    for row, row_logits, count in zip(found.probabilities, values, SPACE.options, strict=True):
        shifted = np.exp(row_logits[:count].numpy() - 800)
        assert row[:count].numpy() == pytest.approx(shifted / shifted.sum(), rel=1e-12)
        assert not row[count:].any()


def test_probabilities_of_a_checkpoint_go_before_the_course(folder):
    uniform = MASK.double() / MASK.double().sum(dim=-1, keepdim=True)
    write_course(folder, frame(torch.eye(WIDEST, dtype=torch.float64)[0].expand(MASK.shape)))
    path = folder / "checkpoint.safetensors"
    write_checkpoint(path, Checkpoint({"relaxation/probabilities": uniform}, {}))
    assert torch.allclose(read_distribution(folder).probabilities, uniform, atol=1e-15)


def test_a_finished_search_is_read_from_the_last_frame(folder):
    first, last = (torch.softmax(logits(s).masked_fill(~MASK, -torch.inf), dim=-1) for s in (1, 2))
    write_course(folder, frame(first), frame(last, step=2))
    found = read_distribution(folder).probabilities
    assert found.numpy() == pytest.approx(last.numpy(), abs=1e-3)
    assert found.sum(dim=-1).numpy() == pytest.approx(np.ones(len(MASK)))


def test_what_has_not_begun_or_is_damaged_says_so(folder, tmp_path):
    with pytest.raises(ArtefactError, match="neither a course"):
        read_distribution(folder)
    path = folder / "checkpoint.safetensors"
    write_checkpoint(path, Checkpoint({"relaxation/logits": torch.zeros(2, 3)}, {}))
    with pytest.raises(ArtefactError, match="no probabilities of its space"):
        read_distribution(folder)
    with pytest.raises(ArtefactError):
        read_distribution(tmp_path / "nothing")
