"""The searches of a report that can be shown step by step, and what the words beside them are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..search.course import Course, read_course
from ..search.result import Limit, Run, unit_of
from ..search.spaces import SearchSpace, space_from_description
from ..search.spaces.aggregation import AggregationSpace
from .inputs import ReportInputs
from .link_maps import StageMap, stage_maps
from .networks import labelled
from .source import Source


@dataclass(frozen=True)
class Label:
    """A candidate in a few characters; one that `is_free` leaves the block out."""

    text: str
    is_free: bool


@dataclass(frozen=True, eq=False)
class ShownCourse:
    """One search with at least one frame.

    Attributes:
        total: Weight steps of the whole search.
        limits: One for each column of the course's `expected`.
        labels: Of each option of each choice.
        stages: Where each choice is drawn that is a link; none where choices are blocks.
        sources: Of the latencies that the search added up.
    """

    label: str
    course: Course
    total: int
    limits: tuple[Limit, ...]
    labels: tuple[tuple[Label, ...], ...]
    stages: tuple[StageMap, ...]
    sources: tuple[Source, ...]

    @property
    def blocks(self) -> int:
        return len(self.labels)

    @property
    def widest(self) -> int:
        """Candidates of the block that has most of them."""
        return max(map(len, self.labels))

    @property
    def row_labels(self) -> tuple[str, ...]:
        """What the candidates of one number have in common: their label, else the number."""
        found = []
        for number in range(self.widest):
            texts = {row[number].text for row in self.labels if number < len(row)}
            found.append(texts.pop() if len(texts) == 1 else str(number + 1))
        return tuple(found)


def shown_courses(inputs: ReportInputs) -> tuple[ShownCourse, ...]:
    """Every search of `inputs` that recorded probabilities, in the order of all figures.

    Raises:
        ArtefactError: A course is damaged.
    """
    known = known_sources(inputs)
    found = []
    for item in labelled(inputs):
        course = read_course(item.run.folder)
        if course.is_shown:
            result = item.run.result
            space = space_from_description(result.space)
            found.append(
                ShownCourse(
                    label=item.label,
                    course=course,
                    total=max(result.steps, int(course.step[-1])),
                    limits=result.limits,
                    labels=_labels(space, course.choices),
                    stages=_stages(space, course.choices),
                    sources=tuple(
                        source
                        for limit in result.limits
                        if (source := source_of(item.run, limit.name, known)) is not None
                    ),
                )
            )
    return tuple(found)


def known_sources(inputs: ReportInputs) -> dict[str, Source]:
    """What the models and certificates of `inputs` tell of each device."""
    known = {model.device: model.source for model in inputs.models}
    for run in inputs.runs:
        for found in run.certificate.measured if run.certificate else ():
            known.setdefault(found.device, Source.of(found.origin, found.condition))
    return known


def source_of(run: Run, target: str, known: Mapping[str, Source]) -> Source | None:
    """Where the latencies of `target` in `run` came from; None where it was counted."""
    if unit_of(target) != "ms":
        return None
    condition = known[target].condition if target in known else None
    return Source(run.result.origin, target, condition)


def _stages(space: SearchSpace, choices: tuple[int, ...]) -> tuple[StageMap, ...]:
    """The links of a space of links, where the course is of its choices."""
    if not isinstance(space, AggregationSpace) or space.options != choices:
        return ()
    return stage_maps(space, space.settings.base)


def _labels(space: SearchSpace, choices: tuple[int, ...]) -> tuple[tuple[Label, ...], ...]:
    """The space's own labels; numbers where the course is not of its choices."""
    if space.options != choices:
        return tuple(tuple(Label(str(n + 1), False) for n in range(count)) for count in choices)
    return tuple(
        tuple(
            Label(space.option_label(choice, option), space.is_left_out(choice, option))
            for option in range(count)
        )
        for choice, count in enumerate(space.options)
    )
