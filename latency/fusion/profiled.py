"""Whether two primitives are executed as one, by the engine's own profile of both."""

from __future__ import annotations

import re

from ..profiling.profile import Profile
from .graphs import PairGraphs

# The graph writers name what they write after the value that it makes, and values by number.
_VALUE = re.compile(r"t(\d+)(?:\.|$)")


def is_fused(profile: Profile, graphs: PairGraphs) -> bool | None:
    """Whether `profile`, of both, has one node for both; None where that cannot be told.

    Every node that executes the second must execute something of the first, too. Where the file
    has the second inside the first, what is inside must be one node. Changes of layout count for
    nothing.
    """
    executed = [
        {int(found[1]) for name in node.fused if (found := _VALUE.match(name))}
        for node in profile.nodes
        if not node.is_layout
    ]
    if graphs.behind:
        second = [values for values in executed if values & set(graphs.behind)]
        return all(values & set(graphs.values) for values in second) if second else None
    inside = [values for values in executed if graphs.values[-1] in values]
    return len(inside) == 1 if inside else None
