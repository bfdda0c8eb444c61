"""What a report says first, in plain words: the bound, the specialisation, the predictor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..latency.models.evaluate import CROSS_VALIDATION
from .exams import QueryExam, ReadExam
from .inputs import ReportInputs
from .models import ModelFolder
from .networks import Network, networks
from .source import has_simulated
from .specialisation import check_specialisation, compare
from .sweep import gains, groups
from .tables.predictors import ALL, held_out_errors
from .wirings import Contrast, Wiring, WiringGroup, Wirings, contrast_of, groups_of


class Verdict(StrEnum):
    """How a statement stands to what the program promises."""

    GOOD = "good"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True)
class Statement:
    """One sentence, its short head and how it stands."""

    head: str
    text: str
    verdict: Verdict


def key_results(inputs: ReportInputs) -> tuple[Statement, ...]:
    """What the inputs show, most important first; empty where nothing was measured or searched."""
    rows = networks(inputs)
    found = [
        _origin(inputs, rows), _bounds(rows), _specialisation(rows), _accuracy(rows),
        _sweeps(inputs), *map(_study, inputs.wirings), *map(_exam, inputs.exams),
        _prediction(inputs),
    ]  # fmt: skip
    return tuple(statement for statement in found if statement is not None)


def _origin(inputs: ReportInputs, rows: tuple[Network, ...]) -> Statement | None:
    sources = [s for row in rows for s in row.sources] + [m.source for m in inputs.models]
    sources += [s for group in groups(inputs.sweeps) for s in group.sources]
    sources += [exam.terms.source for exam in inputs.exams]
    sources += [s for study in inputs.wirings for s in study.sources]
    if not has_simulated(sources) and all(row.origin != "simulated" for row in rows):
        return None
    return Statement(
        "Simulated numbers",
        "Some numbers of this report are simulated, not measured. They say nothing of a device.",
        Verdict.BAD,
    )


def _bounds(rows: tuple[Network, ...]) -> Statement | None:
    bounded = [row for row in rows if row.bound_ms is not None and row.on(row.target)]
    if not bounded:
        return None
    kept = [row for row in bounded if row.is_met]
    parts = [
        f"{own.latency_ms:.3g} ms of {row.bound_ms:.3g} ms on {row.target} ({row.used_share:.0%})"
        for row in bounded
        if (own := row.on(row.target)) is not None
    ]
    head = (
        f"{'Every' if len(kept) == len(bounded) else f'{len(kept)} of {len(bounded)}'} "
        f"bound{'' if len(kept) == len(bounded) else 's'} kept on the device"
    )
    text = f"Measured, with the upper confidence limit under the bound: {'; '.join(parts)}."
    if len(kept) < len(bounded):
        broken = ", ".join(row.label for row in bounded if not row.is_met)
        text = f"Measured: {'; '.join(parts)}. Broken by the network {broken}."
    return Statement(head, text, Verdict.GOOD if len(kept) == len(bounded) else Verdict.BAD)


def _specialisation(rows: tuple[Network, ...]) -> Statement | None:
    pairs = compare(rows)
    if not pairs:
        return None
    problems = check_specialisation(rows)
    if problems:
        return Statement("A network is beaten on its own device", " ".join(problems), Verdict.BAD)
    between = [pair for pair in pairs if pair.rival.is_for_device] or list(pairs)
    won = [pair for pair in between if pair.saving > 0]
    head = (
        "Each network is the fastest on its own device"
        if len(won) == len(between)
        else "No network is significantly beaten on its own device"
    )
    return Statement(
        head,
        " ".join(map(str, between)),
        Verdict.GOOD if len(won) == len(between) else Verdict.PLAIN,
    )


def _accuracy(rows: tuple[Network, ...]) -> Statement | None:
    known = [row for row in rows if row.accuracy is not None]
    if not known:
        return None
    parts = [f"{row.label} {100 * row.accuracy.mean:.2f}%" for row in known if row.accuracy]
    return Statement(
        "Accuracy on the test set",
        f"Trained from scratch after verification: {', '.join(parts)}.",
        Verdict.PLAIN,
    )


def _sweeps(inputs: ReportInputs) -> Statement | None:
    """How many bounds of the sweeps' cells held, and how strategies compare with random."""
    found = groups(inputs.sweeps)
    counts = [group.kept for group in found]
    kept, count = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    if not count:
        return None
    seeds = "Test accuracy over search seeds"
    parts = "; ".join(map(str, gains(found)))
    text = f"Measured in {count} cells of the sweep. {f'{seeds}: {parts}.' if parts else ''}"
    head = f"{'Every bound' if kept == count else f'{kept} of {count} bounds'} kept in the sweep"
    return Statement(head, text.strip(), Verdict.GOOD if kept == count else Verdict.BAD)


def _study(study: Wirings) -> Statement | None:
    """What learning the links gave over the exponential rule, and whether it kept the bound."""
    learned = [group for group in groups_of(study) if group.wiring is Wiring.LEARNED]
    found = [(group, contrast) for group in learned if (contrast := contrast_of(group, study))]
    if not found:
        return None
    parts = "; ".join(f"at width {group.scale} {contrast}" for group, contrast in found)
    kept, count = sum(g.kept for g in learned), sum(len(g.rows) for g in learned)
    text = (
        f"Test accuracy of learned links less that of the exponential rule of base {study.base}, "
        f"{study.title}: {parts}. {kept} of {count} learned networks kept the latency of the rule "
        "as measured."
    )
    return Statement(_study_head(found), text, Verdict.PLAIN if kept == count else Verdict.BAD)


def _study_head(found: list[tuple[WiringGroup, Contrast]]) -> str:
    better = sum(contrast.is_clear and contrast.points > 0 for _, contrast in found)
    worse = sum(contrast.is_clear and contrast.points < 0 for _, contrast in found)
    if not better and not worse:
        return "Learned links and the exponential rule differ by no more than seeds do"
    if better and worse:
        return f"Learned links are better at {better} of {len(found)} widths, worse at {worse}"
    word, number = ("better", better) if better else ("worse", worse)
    where = "" if number == len(found) else f" at {number} of {len(found)} widths"
    return f"Learned links are {word} than the exponential rule{where}"


def _exam(exam: ReadExam) -> Statement | None:
    """Which sampler or mechanism came nearest to the best within the bounds."""
    if isinstance(exam, QueryExam):
        return _queries(exam)
    judged = [(mark.derived.mean, mark.name) for mark in exam.mechanisms if mark.derived]
    if not judged:
        return None
    parts = ", ".join(f"{name} {mean:.3f}" for mean, name in sorted(judged))
    text = (
        "Accuracy points below the best within the bound after the whole derivation, on a perfect "
        f"supernet under bounds on {exam.terms.device}: {parts}."
    )
    return Statement("How near mechanisms come to the best", text, Verdict.PLAIN)


def _queries(exam: QueryExam) -> Statement | None:
    if not exam.samplers:
        return None
    queries = exam.ranked[0].regrets[-1][0]
    parts = ", ".join(f"{mark.name} {mark.last.mean:.3f}" for mark in exam.ranked)
    searches = sum(mark.searches for mark in exam.samplers)
    over = sum(mark.violations for mark in exam.samplers)
    text = (
        f"Accuracy points below the best within the bound after {queries} queries, under bounds "
        f"on {exam.terms.device}: {parts}. {over or 'No'} quer{'y' if over < 2 else 'ies'} over "
        f"the bound in {searches} searches."
    )
    head = f"{exam.ranked[0].name} comes nearest to the best within the bound"
    return Statement(head, text, Verdict.BAD if over else Verdict.PLAIN)


def _prediction(inputs: ReportInputs) -> Statement | None:
    """For each device the smallest errors, and the model that has each; the table has them all."""
    parts = []
    for device in sorted({model.device for model in inputs.models}):
        here = [model for model in inputs.models if model.device == device]
        words = []
        if seen := [(e, m.name) for m in here if (e := _held_out_error(m)) is not None]:
            error, name = min(seen)
            words.append(f"{error:.1%} on operators it had not seen ({name})")
        if whole := [(m.calibration, m.name) for m in here if m.calibration is not None]:
            calibration, name = min(whole, key=lambda pair: (pair[0].loo_mape, pair[1]))
            words.append(
                f"{calibration.loo_mape:.1%} on whole networks, each of {calibration.networks} "
                f"left out of the calibration in turn ({name})"
            )
        if words:
            parts.append(f"{device}: {', and '.join(words)}")
    if not parts:
        return None
    text = f"Smallest mean errors. {'; '.join(parts)}."
    return Statement("How good the predictions are", text, Verdict.PLAIN)


def _held_out_error(model: ModelFolder) -> float | None:
    held_out = model.held_out
    if held_out and held_out.method == CROSS_VALIDATION and held_out.rows:
        return held_out_errors(held_out)[ALL].mape
    return None
