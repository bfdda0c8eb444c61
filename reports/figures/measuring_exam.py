"""Figure: what the meter's intervals cover, how often it errs, and which slowdowns it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...latency.condition import Condition, Method, Precision
from ..inputs import ReportInputs
from ..measuring_exam import COVERAGE, FALSE_VERDICTS, FOUND, MeasuringExam, Outcome, Share
from ..source import Source, distinct
from ..style import DASHES, MARKERS, Style, legend_below, panels
from . import ReportFigure, figures

_MACHINES = "machines of known latencies"
_SIMULATED = Condition("simulated", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
_STEP = 0.22


@dataclass(frozen=True)
class Judged:
    """One exam: its machines in order, and its outcomes by protocol."""

    machines: tuple[str, ...]
    outcomes: dict[str, tuple[Outcome, ...]]

    @property
    def every(self) -> tuple[Outcome, ...]:
        return tuple(outcome for found in self.outcomes.values() for outcome in found)


@figures.register("measuring_exam")
class MeasuringExamFigure(ReportFigure[Judged]):
    """Whether intervals and verdicts hold, on machines whose truth is known and on real ones."""

    title = "Whether measurements hold what they say"
    about = (
        "Left: share of 95 % intervals that hold the truth (on recorded stores, of differences of "
        "two complete measurements within both intervals); bars are standard errors, the band is "
        "the target. Middle: FASTER or SLOWER among comparisons of a thing with itself, measured "
        "apart (filled) and in the same rounds (open). Right: slowdowns found in the same rounds, "
        "each line a simulated machine."
    )
    needs = "No exam of the meter was given; make one with: elat exam measuring --out DIR."
    place = 48

    def collect(self, inputs: ReportInputs) -> tuple[Judged, ...]:
        """A row an exam."""
        return tuple(map(_judged, inputs.measuring))

    def sources(self, rows: tuple[Judged, ...]) -> tuple[Source, ...]:
        return distinct(_source(outcome) for row in rows for outcome in row.every)

    def describe(self, rows: tuple[Judged, ...]) -> str:
        """Coverage and false verdicts of every machine and protocol in words."""
        parts = []
        for outcome in (outcome for row in rows for outcome in row.every):
            covered = outcome.covered or outcome.differences
            parts.append(
                f"{outcome.scenario}, {outcome.protocol}: {covered.value:.1%} covered, "
                f"{outcome.apart.value:.1%} false"
            )
        return f"{'; '.join(parts)}."

    def draw(self, rows: tuple[Judged, ...], style: Style) -> Figure:
        height = max(2.2, 0.42 * max(len(row.machines) for row in rows) + 1.0)
        figure, axes = panels(style, 3 * len(rows), height_in=height, columns=3)
        for position, row in enumerate(rows):
            coverage, alarms, power = axes[3 * position : 3 * position + 3]
            _draw_coverage(coverage, row, style)
            _draw_alarms(alarms, row, style)
            _draw_power(power, row, style)
            if not style.is_narrow:
                alarms.tick_params(labelleft=False)
        legend_below(figure, style, axes, columns=4)
        return figure


def _judged(exam: MeasuringExam) -> Judged:
    found: dict[str, list[Outcome]] = {}
    for outcome in exam.outcomes:
        found.setdefault(outcome.protocol, []).append(outcome)
    machines = dict.fromkeys(_name(outcome) for outcome in exam.outcomes)
    return Judged(tuple(machines), {name: tuple(group) for name, group in found.items()})


def _name(outcome: Outcome) -> str:
    return outcome.scenario if outcome.is_within_limits else f"{outcome.scenario} *"


def _source(outcome: Outcome) -> Source:
    """Where its numbers come from; simulated machines count as one device."""
    if outcome.condition is None:
        return Source(outcome.origin, _MACHINES, _SIMULATED)
    return Source(outcome.origin, outcome.scenario, outcome.condition)


def _draw_coverage(axes: Axes, row: Judged, style: Style) -> None:
    axes.axvspan(*(100 * edge for edge in COVERAGE), color=style.accent(2), alpha=0.15, lw=0)
    for position, (protocol, outcomes) in enumerate(row.outcomes.items()):
        shares = [outcome.covered or outcome.differences for outcome in outcomes]
        _points(axes, row, position, outcomes, shares, style, label=protocol)
    _machine_axis(axes, row)
    axes.set(title="intervals that hold", xlabel="share (%)")


def _draw_alarms(axes: Axes, row: Judged, style: Style) -> None:
    axes.axvspan(0, 100 * FALSE_VERDICTS, color=style.accent(2), alpha=0.15, lw=0)
    for position, outcomes in enumerate(row.outcomes.values()):
        apart = [outcome.apart for outcome in outcomes]
        _points(axes, row, position, outcomes, apart, style, label=None)
        together = [(o, o.together) for o in outcomes if o.together is not None]
        if together:
            inner, shares = zip(*together, strict=True)
            _points(axes, row, position, inner, shares, style, label=None, is_open=True)
    _machine_axis(axes, row)
    axes.set(title="false verdicts", xlabel="share (%)")
    axes.set_xlim(-0.5, max(8.0, axes.get_xlim()[1]))


def _points(
    axes: Axes,
    row: Judged,
    position: int,
    outcomes: Sequence[Outcome],
    shares: Sequence[Share],
    style: Style,
    *,
    label: str | None,
    is_open: bool = False,
) -> None:
    """A mark for each outcome at its machine, a little below that of the protocol before."""
    shift = (position - (len(row.outcomes) - 1) / 2) * _STEP
    axes.errorbar(
        [100 * share.value for share in shares],
        [row.machines.index(_name(outcome)) + shift for outcome in outcomes],
        xerr=[100 * (share.error or 0.0) for share in shares],
        fmt=MARKERS[position % len(MARKERS)], color=style.accent(position), markersize=4.5,
        markerfacecolor=style.theme.surface if is_open else style.accent(position),
        elinewidth=0.9, label=label,
    )  # fmt: skip


def _machine_axis(axes: Axes, row: Judged) -> None:
    axes.set_yticks(range(len(row.machines)), row.machines)
    axes.set_ylim(len(row.machines) - 0.5, -0.5)


def _draw_power(axes: Axes, row: Judged, style: Style) -> None:
    axes.axhline(100 * FOUND, color=style.theme.muted, linewidth=0.8, linestyle="--")
    for position, outcomes in enumerate(row.outcomes.values()):
        for outcome in outcomes:
            if not outcome.slowdowns or not outcome.is_within_limits:
                continue
            axes.plot(
                [0.0, *(100 * s.effect for s in outcome.slowdowns)],
                [_alarm(outcome), *(100 * s.slower.value for s in outcome.slowdowns)],
                marker=MARKERS[position % len(MARKERS)], markersize=3.5, linewidth=1.0,
                linestyle=DASHES[position % len(DASHES)], color=style.accent(position), alpha=0.8,
            )  # fmt: skip
    axes.set(title="slowdowns found", xlabel="slower by (%)", ylabel="share (%)", ylim=(-3, 103))


def _alarm(outcome: Outcome) -> float:
    """Half of the false verdicts: those in the direction of a slowdown, in per cent."""
    return 50 * outcome.together.value if outcome.together is not None else 0.0
