"""Models whose profile is asked for: read, seen on a bench, and made a profile of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...core.errors import MeasurementError, UnavailableError
from ..condition import Cache, Condition
from ..runtimes import runtimes
from .bench import Bench, Effort, Subject
from .combine import combine
from .here import HereBench
from .model_file import ModelFile, read_model
from .profile import Profile


def unavailable_reason(condition: Condition, bench: Bench | None = None) -> str | None:
    """Why nothing can be profiled under `condition`, with what could, or None if it can.

    Args:
        condition: Under which.
        bench: Where; None where that is still to be opened, so that a program on a device, which
            may be too old, is not asked.
    """
    if reason := cold_reason(condition):
        return reason
    is_known = condition.runtime in runtimes
    if bench is None and is_known and runtimes[condition.runtime].is_driven_from_here:
        return None
    return (bench or HereBench()).unavailable_reason(condition)


def cold_reason(condition: Condition) -> str | None:
    """Why nothing is profiled under `condition`, wherever; None where something may be."""
    if condition.cache is Cache.HOT:
        return None
    return f"Profiles are of runs with warm caches; the condition has {condition.cache} ones."


def profile_file(
    path: Path, condition: Condition, *, effort: Effort = Effort(), bench: Bench | None = None
) -> tuple[ModelFile, Profile]:
    """The model at `path`, and where its time goes under `condition`.

    Sizes that the file leaves open are fixed to the condition's batch, and inputs are made up.

    Args:
        path: Of a model file of the condition's runtime, whoever wrote it.
        condition: Under which; its precision says nothing of a file that is not made here.
        effort: How much to profile.
        bench: Where; None is this machine.

    Raises:
        UnavailableError: The runtime has no profiler, or it is not reachable here.
        ArtefactError: The file is missing or no whole model.
        ConfigError: The file is of another format, or nothing can be made up for an input.
        MeasurementError: The runtime refuses the model, or its profiler crashed on it.
    """
    (found,) = profile_files([path], condition, effort=effort, bench=bench)
    if isinstance(found, MeasurementError):
        raise found
    return found


def profile_files(
    paths: Sequence[Path],
    condition: Condition,
    *,
    effort: Effort = Effort(),
    bench: Bench | None = None,
) -> Iterator[tuple[ModelFile, Profile] | MeasurementError]:
    """As `profile_file` of each of `paths`, which the bench sees together, or why one failed.

    Raises:
        UnavailableError, ArtefactError, ConfigError: As `profile_file`.
    """
    if reason := unavailable_reason(condition, bench):
        raise UnavailableError(reason)
    subjects = _subjects(paths, condition)
    seen = (bench or HereBench()).see(subjects, condition, effort)
    for subject, found in zip(subjects, seen, strict=True):
        if isinstance(found, MeasurementError):
            yield found
            continue
        try:
            profile = combine(subject.model, found.passes, found.timed, condition)
        except MeasurementError as error:
            yield error
        else:
            yield subject.model, profile


def ask_times_ms(
    paths: Sequence[Path], condition: Condition, *, bench: Bench | None = None
) -> list[float]:
    """Time of one run of each model at `paths`, without profiling, in milliseconds.

    Raises:
        UnavailableError, ArtefactError, ConfigError, MeasurementError: As `profile_file`.
    """
    if reason := unavailable_reason(condition, bench):
        raise UnavailableError(reason)
    return (bench or HereBench()).times_ms(_subjects(paths, condition), condition)


def _subjects(paths: Sequence[Path], condition: Condition) -> list[Subject]:
    suffix = runtimes[condition.runtime]().suffix
    return [Subject(str(path), read_model(path, suffix, condition.batch)) for path in paths]
