"""What every bundled search space must hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from elat.core.errors import ConfigError
from elat.search.architecture import Architecture
from elat.search.expected_latency import ExpectedLatency
from elat.search.gates import one_hot
from elat.search.spaces import BlockSpace, find_space, space_from_description, space_names


@pytest.fixture(params=space_names())
def space(request: pytest.FixtureRequest):
    return find_space(request.param)


@pytest.fixture(
    params=[name for name in space_names() if isinstance(find_space(name), BlockSpace)]
)
def blocks(request: pytest.FixtureRequest):
    return find_space(request.param)


def test_description_builds_an_equal_space(space):
    description = json.loads(json.dumps(space.describe()))
    assert space_from_description(description) == space


def test_candidates_of_a_block_are_distinct_and_interchangeable(blocks):
    for block in blocks.blocks:
        assert len(set(block.candidates)) == len(block.candidates) >= 2
        assert len({(c.input_shapes, c.output_shape) for c in block.candidates}) == 1
        assert len({blocks.label(c) for c in block.candidates}) == len(block.candidates)
        assert sum(c.is_free for c in block.candidates) <= 1
        if block.is_skippable or block.is_residual:
            assert block.candidates[0].input_shapes[0] == block.candidates[0].output_shape


def test_residual_blocks_add_their_input(blocks):
    """With batch norms that give zeros, every candidate of a residual block is the identity."""
    residual = [block for block in blocks.blocks if block.is_residual]
    if not residual:
        pytest.skip(f"{blocks.name} has no residual choice blocks")
    block = min(residual, key=lambda block: max(c.macs for c in block.candidates))
    for candidate in (c for c in block.candidates if not c.is_free):
        module = candidate.build().eval()
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                torch.nn.init.zeros_(part.weight)
        x = torch.randn(
            (1, *candidate.input_shapes[0]), generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            assert torch.equal(module(x.clone()), x)


def test_program_reads_what_is_there_and_blocks_in_order(blocks):
    assert [s.block for s in blocks.program if s.block is not None] == list(
        range(len(blocks.blocks))
    )
    for index, step in enumerate(blocks.program):
        assert (step.operator is None) != (step.block is None)
        assert all(0 <= number <= index for number in step.inputs)
    read = {number for step in blocks.program for number in step.inputs}
    assert read == set(range(len(blocks.program))), "every value but the last is read"


def test_sampled_architectures_chain_and_round_trip(space):
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        architecture = space.sample(generator)
        assert Architecture.from_json(architecture.to_json()) == architecture
        network = space.network(architecture)
        assert network.input_shapes == (space.input_shape,)
        assert network.output_shape == (space.classes,)
        assert set(space.operators(architecture)) <= set(space.all_operators())
        assert len(space.text(architecture)) > 0


def test_options_are_told_apart_and_rows_are_what_is_executed(space):
    for choice, count in enumerate(space.options):
        assert len({space.option_label(choice, option) for option in range(count)}) == count >= 2
        assert sum(space.is_left_out(choice, option) for option in range(count)) <= 1
    generator = torch.Generator().manual_seed(2)
    for choices in space.draw(3, generator).tolist():
        rows = space.row_choices(choices)
        chosen = [row[index] for row, index in zip(space.rows, rows, strict=True)]
        executed = space.operators(Architecture(space.name, tuple(choices)))
        busy = [operator for operator in (*space.fixed, *chosen) if not operator.is_free]
        assert sorted(map(str, busy)) == sorted(map(str, executed))


def test_the_best_choices_of_rows_have_the_score_of_the_rows(space):
    """Where every option of greatest score leaves all outputs read; elsewhere they have less."""
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(len(space.options), max(space.options)))
    rows = space.row_choices(space.draw(1, torch.Generator().manual_seed(3))[0].tolist())
    choices = space.from_rows(rows, scores)
    assert space.fault(choices) is None
    assert space.row_choices(choices) == rows
    found = sum(scores[place, choice] for place, choice in enumerate(choices))
    best = sum(space.row_scores(scores)[row, index] for row, index in enumerate(rows))
    assert found <= best + 1e-9
    if space.name != "aggregation-free":
        assert found == pytest.approx(best, rel=1e-12)


def test_row_probabilities_are_distributions_and_exact_at_the_corners(space):
    draws = torch.rand((len(space.options), max(space.options)), dtype=torch.float64)
    cost = ExpectedLatency.from_params(space)
    probs = torch.softmax(draws.masked_fill(~cost.mask, -torch.inf), dim=-1)
    rows = space.row_probabilities(probs)
    assert torch.allclose(rows.sum(dim=-1), torch.ones(len(space.rows), dtype=torch.float64))
    architecture = space.sample(torch.Generator().manual_seed(4))
    corner = one_hot(torch.tensor(architecture.choices), max(space.options))
    assert float(cost(corner)) == space.network(architecture).params


def test_all_operators_are_distinct_and_not_free(space):
    operators = space.all_operators()
    assert len(set(operators)) == len(operators)
    assert not any(operator.is_free for operator in operators)


def test_macs_are_those_of_the_network(space):
    generator = torch.Generator().manual_seed(1)
    macs = ExpectedLatency.from_macs(space)
    for _ in range(5):
        architecture = space.sample(generator)
        assert macs.of(architecture) == space.network(architecture).macs


@pytest.mark.parametrize("choices", [(), (0,), (99,) * 21, (-1,) * 12])
def test_foreign_architectures_are_refused(space, choices):
    with pytest.raises(ConfigError):
        space.check(Architecture(space.name, choices))
    with pytest.raises(ConfigError, match="is of space 'other'"):
        space.check(Architecture("other", tuple(0 for _ in space.options)))
