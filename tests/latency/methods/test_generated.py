"""Recipes of operators of random configuration: every model lowers and runs."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.seeding import numpy_generator
from elat.latency.condition import Method
from elat.latency.graph import reference
from elat.latency.methods import METHODS, Subjects
from elat.latency.methods.recipe import RecipeMethod
from elat.latency.operators import Operator
from elat.latency.operators.generate import generate, generated_kinds

BY_RECIPE = [name for name, method in METHODS.items() if isinstance(method, RecipeMethod)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cheapest(kind: str, seed: int) -> Operator:
    return min(generate(6, seed, (kind,)), key=lambda o: o.traffic_elements + o.macs)


@given(st.sampled_from(generated_kinds()), st.integers(0, 1000), st.sampled_from(BY_RECIPE))
@settings(deadline=None, max_examples=60)
def test_every_model_of_a_recipe_lowers_and_runs(kind: str, seed: int, method: Method):
    operator = cheapest(kind, seed)
    cases = METHODS[method].cases(Subjects((operator,)))
    assert cases
    for case in cases:
        graph = case.lower(case.build().eval())
        random = numpy_generator(0, "inputs")
        inputs = [random.standard_normal(v.shape, np.float32) for v in graph.inputs]
        values = reference.run(graph, inputs, np.float32)
        assert values[graph.output.name].shape == (1, *case.output_shape)


@pytest.mark.parametrize("kind", generated_kinds())
@pytest.mark.parametrize("method", [Method.BLOCK, Method.ISOLATED, Method.SLOPE])
def test_what_adds_up_in_a_graph_adds_up_to_one_operator(kind: str, method: Method):
    """Of in-situ hosts halves of neighbours are left, which cancel in a network alone."""
    found = METHODS[method]
    assert isinstance(found, RecipeMethod)
    for operator in generate(10, 0, (kind,)):
        terms = found.recipe(operator).terms
        for count in (attrgetter("macs"), attrgetter("params"), attrgetter("traffic_elements")):
            assert sum(w * count(model) for model, w in terms) == count(operator)
