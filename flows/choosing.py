"""Measuring a space for so many minutes: what tells most about its networks comes first."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from ..latency.choosing import Beliefs, Selection, choose
from ..latency.counts import operator_counts
from ..latency.entry import Entry
from ..latency.measure import Progress, Stage
from ..latency.methods import METHODS, Subjects
from ..latency.operators import Operator
from ..latency.operators.generate import roofline_ms
from ..latency.protocol import Protocol
from ..search.spaces import SearchSpace
from .measuring import Campaign, known_entries, measure_operators

NETWORKS = 400
"""Random networks that stand for all of a space."""
BATCH = 24
"""Operators measured between two looks at what is known."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
# Loading and warming a case, and the slices of the sentinel that fall to it, for each launch.
_FIXED_S = 0.03
_SETTLED = 1.15

Vector = NDArray[np.float64]


def seconds_in(text: str) -> float:
    """The seconds of `90s`, `20m` or `1.5h`.

    Raises:
        ConfigError: It is none of these, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"A time is a number and s, m or h: 90s, 20m, 1.5h; found {text!r}.")
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Known:
    """Where a call of `measure_for` ended.

    Attributes:
        operators: Of the space that are measured, and `of` how many.
        failed: Operators that could not be measured.
        network_error: What is expected of a random network's latency as predicted from these: the
            root of the squared error over the mean latency.
        elapsed_s: Time that the call took.
        launches: That it added.
    """

    operators: int
    of: int
    failed: int
    network_error: float
    elapsed_s: float
    launches: int


@dataclass
class Pace:
    """How long a case takes: by the protocol at first, then by what was seen."""

    protocol: Protocol
    slowness: float = 1.0
    seen_s: float = field(default=0.0, init=False)
    expected_s: float = field(default=0.0, init=False)

    def seconds(self, cases: Collection[Operator]) -> float:
        """About how long measuring `cases` takes."""
        return self.slowness * sum(map(self._nominal_s, cases))

    def learn(self, cases: Collection[Operator], seconds: float) -> None:
        """Note that measuring `cases` took `seconds`."""
        self.seen_s += seconds
        self.expected_s += sum(map(self._nominal_s, cases))
        if self.expected_s:
            self.slowness = self.seen_s / self.expected_s

    def _nominal_s(self, case: Operator) -> float:
        run_ms = roofline_ms(case)
        slice_ms = ceil(self.protocol.slice_ms / run_ms) * run_ms
        timed_s = _SETTLED * self.protocol.passes * slice_ms / 1e3
        return self.protocol.max_launches * (timed_s + _FIXED_S)


def measure_for(
    campaign: Campaign,
    space: SearchSpace,
    seconds: float,
    now_s: Callable[[], float] = time.monotonic,
) -> Generator[Progress, None, Known]:
    """Measure the operators of `space` that tell most about its networks, for so many seconds.

    In batches; what was found decides the next. Everything is stored as it comes, so that another
    call goes on. It ends early where all operators are measured. It stops between two groups of
    cases, so that it takes longer than asked by one group at most.

    Args:
        campaign: With which protocol and into which store.
        space: Whose networks matter, all alike.
        seconds: For this call.
        now_s: The time in seconds; tests give another.

    Raises:
        ConfigError: The space has too few operators to learn from one another.
    """
    started = now_s()
    method = METHODS[campaign.condition.method]
    prior = Beliefs.prior(space.all_operators(), campaign.condition)
    counts = random_networks(space, prior.operators, campaign.seed)
    pace = Pace(campaign.protocol)
    tried: set[Operator] = set()
    launches = 0
    while True:
        known = known_entries(campaign, space)
        left_s = seconds - (now_s() - started)
        selection = _next(campaign, prior, counts, known, tried, pace, left_s)
        if not selection.operators:
            break
        tried |= set(selection.operators)
        begun = now_s()
        subjects = Subjects(selection.operators)
        new = _unmeasured(campaign, method.cases(subjects))
        for step in measure_operators(campaign, subjects):
            launches += step.stage is Stage.MEASURE and step.launch is not None
            yield step
            if now_s() - started >= seconds:
                break
        pace.learn(new, now_s() - begun)
        if now_s() - started >= seconds:
            break
    known = known_entries(campaign, space)
    return Known(
        operators=len(known),
        of=len(prior.operators),
        failed=len(tried - set(known)) if now_s() - started < seconds else 0,
        network_error=prior.given(known).network_error(counts),
        elapsed_s=now_s() - started,
        launches=launches,
    )


def _next(
    campaign: Campaign,
    prior: Beliefs,
    counts: Vector,
    known: Mapping[Operator, Entry],
    tried: set[Operator],
    pace: Pace,
    left_s: float,
) -> Selection:
    """The next batch: of operators that are not known and were not tried by this call."""
    beliefs = prior.given(known)
    candidates = [o for o in prior.operators if o not in known and o not in tried]
    method = METHODS[campaign.condition.method]
    done = campaign.store.completed(campaign.condition.of_models, campaign.protocol)
    cases = {o: frozenset(method.cases(Subjects((o,)))) - done for o in candidates}
    return choose(
        beliefs,
        beliefs.importance(counts),
        candidates,
        lambda some: pace.seconds(frozenset().union(*(cases[o] for o in some))),
        seconds=left_s,
        most=BATCH,
        seen=known,
    )


def _unmeasured(campaign: Campaign, cases: Collection[Operator]) -> list[Operator]:
    done = campaign.store.completed(campaign.condition.of_models, campaign.protocol)
    return [case for case in cases if case not in done]


def random_networks(space: SearchSpace, operators: tuple[Operator, ...], seed: int) -> Vector:
    """How often random networks of `space` hold each of `operators`, `(networks, operators)`."""
    generator = torch_generator(seed, "networks that matter", space.name)
    drawn = [space.operators(space.sample(generator)) for _ in range(NETWORKS)]
    return operator_counts(drawn, operators)
