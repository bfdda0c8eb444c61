"""Measuring a space for so many minutes: what tells most about its networks comes first."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from ..latency.choosing import Appearances, Beliefs, Offer, Selection, choose
from ..latency.counts import operator_counts
from ..latency.measure import Progress, Stage
from ..latency.methods import METHODS, Subjects
from ..latency.operators import Operator
from ..search.distribution import read_distribution
from ..search.spaces import SearchSpace
from .choosing_work import Pace, Stock, repeating
from .measuring import Campaign, known_entries, measure_cases, measure_operators

NETWORKS = 400
"""Random networks that stand for all of a space where no sum over its choices does."""
BATCH = 24
"""Operators measured between two looks at what is known."""

_MOST_REPEATS = 8
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

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
        repeated: Operators that it measured again.
        failed: Operators that could not be measured.
        network_error: What is expected of the latency of a network drawn from the distribution as
            predicted from these: the root of the squared error over the mean latency.
        elapsed_s: Time that the call took.
        launches: That it added.
    """

    operators: int
    of: int
    repeated: int
    failed: int
    network_error: float
    elapsed_s: float
    launches: int


def searched(folder: Path, space: SearchSpace) -> Vector:
    """The probabilities of the choices of `space` by the search in `folder`, `(choices, options)`.

    Raises:
        ArtefactError: The folder holds no search that has begun to choose.
        ConfigError: It searches another space.
    """
    found = read_distribution(folder)
    if found.space != space:
        raise ConfigError(
            f"{folder} searches {found.space.name}, and {space.name} is to be measured; give the "
            "search's own --space."
        )
    return np.asarray(found.probabilities.numpy())


def measure_for(
    campaign: Campaign,
    space: SearchSpace,
    seconds: float,
    probabilities: Vector | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Generator[Progress, None, Known]:
    """Measure the operators of `space` that tell most about its networks, for so many seconds.

    In batches; what was found decides the next. A noisy operator is measured again where that
    tells more than a new one. Everything is stored as it comes, so that another call goes on. It
    ends early where all operators are known and none is noisy. It stops between two groups of
    cases, so that it takes longer than asked by one group at most.

    Args:
        campaign: With which protocol and into which store.
        space: Whose networks matter.
        seconds: For this call.
        probabilities: Of the choices that make networks, `(choices, options)`; all networks
            alike without.
        now_s: The time in seconds; tests give another.

    Raises:
        ConfigError: The space has too few operators to learn from one another.
    """
    started = now_s()
    prior = Beliefs.prior(space.all_operators(), campaign.condition)
    appearances = appearances_of(space, prior.operators, probabilities, campaign.seed)
    pace = Pace(campaign.protocol)
    tried: Counter[Operator] = Counter()
    again: set[Operator] = set()
    stock = _stock(campaign, space, prior.operators, pace)
    launches = 0
    while (left_s := seconds - (now_s() - started)) > 0:
        selection = _next(prior, appearances, stock, tried, left_s)
        if not selection.operators:
            break
        tried.update(selection.operators)
        again.update(o for o in selection.operators if o in stock.entries)
        begun = now_s()
        for step in _measuring(campaign, stock, selection):
            launches += step.stage is Stage.MEASURE and step.launch is not None
            yield step
            if now_s() - started >= seconds:
                break
        before, stock = stock, _stock(campaign, space, prior.operators, pace)
        pace.learn(Counter(stock.counts) - Counter(before.counts), now_s() - begun)
    is_over = now_s() - started >= seconds
    return Known(
        operators=len(stock.entries),
        of=len(prior.operators),
        repeated=len(again),
        failed=0 if is_over else len(set(tried) - set(stock.entries)),
        network_error=prior.given(stock.entries).network_error(appearances),
        elapsed_s=now_s() - started,
        launches=launches,
    )


def appearances_of(
    space: SearchSpace,
    operators: tuple[Operator, ...],
    probabilities: Vector | None,
    seed: int,
) -> Appearances:
    """How often networks of `space` hold `operators`, where choices have `probabilities`.

    Exact for independent choices. Without probabilities all networks are alike; where these are
    not independent choices, as in a space of links, random networks stand for them.
    """
    import torch

    if probabilities is None and not space.is_additive:
        return Appearances.of_networks(random_networks(space, operators, seed))
    if probabilities is None:
        probabilities = np.zeros((len(space.options), max(space.options)))
        for row, count in zip(probabilities, space.options, strict=True):
            row[:count] = 1 / count
    rows = space.row_probabilities(torch.from_numpy(probabilities)).numpy()
    return Appearances.of_rows(operators, space.rows, rows, space.fixed)


def _stock(
    campaign: Campaign, space: SearchSpace, operators: tuple[Operator, ...], pace: Pace
) -> Stock:
    """What the store holds now; asked once for each batch."""
    condition, protocol = campaign.condition.of_models, campaign.protocol
    method = METHODS[campaign.condition.method]
    return Stock(
        cases={o: method.cases(Subjects((o,))) for o in operators},
        entries=known_entries(campaign, space),
        counts=campaign.store.launch_counts(condition),
        wanted=lambda case: protocol.max_launches,
        launch_s=pace.launch_s,
        again=protocol.min_launches,
        completed=campaign.store.completed(condition, protocol),
    )


def _next(
    prior: Beliefs,
    appearances: Appearances,
    stock: Stock,
    tried: Mapping[Operator, int],
    left_s: float,
) -> Selection:
    """The next batch: operators that were not tried, and noisy ones again."""
    beliefs = prior.given(stock.entries)
    return choose(
        beliefs,
        beliefs.importance(appearances),
        list(_offers(prior.operators, stock, tried)),
        seconds=left_s,
        most=BATCH,
        seen=stock.entries,
    )


def _offers(
    operators: tuple[Operator, ...], stock: Stock, tried: Mapping[Operator, int]
) -> Iterator[Offer]:
    for operator in operators:
        if operator not in stock.entries:
            if not tried[operator]:
                yield stock.first(operator)
        elif tried[operator] <= _MOST_REPEATS and stock.is_worth_repeating(operator):
            yield stock.repeat(operator)


def _measuring(campaign: Campaign, stock: Stock, selection: Selection) -> Iterator[Progress]:
    """Measure what was selected; what is known already gets more launches."""
    chosen = selection.operators
    yield from measure_operators(
        campaign, Subjects(tuple(o for o in chosen if o not in stock.entries))
    )
    by_target: dict[int, dict[Operator, None]] = defaultdict(dict)
    for operator in chosen:
        if operator in stock.entries:
            by_target[stock.target(operator)] |= dict.fromkeys(stock.cases[operator])
    for target, cases in sorted(by_target.items()):
        careful = replace(campaign, protocol=repeating(campaign.protocol, target))
        yield from measure_cases(careful, tuple(cases))


def random_networks(space: SearchSpace, operators: tuple[Operator, ...], seed: int) -> Vector:
    """How often random networks of `space` hold each of `operators`, `(networks, operators)`."""
    generator = torch_generator(seed, "networks that matter", space.name)
    drawn = [space.operators(space.sample(generator)) for _ in range(NETWORKS)]
    return operator_counts(drawn, operators)
