from __future__ import annotations

import pytest
import torch

from elat.core.errors import InfeasibleError
from elat.search.comparison import macs_matched
from elat.search.spaces import find_space


@pytest.mark.parametrize("name", ["proxyless-tiny", "proxyless-mobile"])
@pytest.mark.parametrize("seed", range(3))
def test_macs_are_matched_within_two_percent(name, seed):
    space = find_space(name)
    model = space.sample(torch.Generator().manual_seed(seed))
    macs = space.network(model).macs
    found = macs_matched(space, macs, torch.Generator().manual_seed(100), exclude={model})
    assert found != model
    assert abs(space.network(found).macs / macs - 1) <= 0.02
    assert found == macs_matched(space, macs, torch.Generator().manual_seed(100), exclude={model})


def test_macs_that_the_space_does_not_reach_are_refused(toy):
    with pytest.raises(InfeasibleError, match="the space reaches from"):
        macs_matched(toy, 10, torch.Generator().manual_seed(0))
