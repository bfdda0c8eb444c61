"""The exam of the meter: its file, and what its figure shows."""

from __future__ import annotations

import json

import pytest

from elat.core.artefact import write_json
from elat.core.errors import ArtefactError
from elat.reports.figures import figures
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.measuring_exam import MEASURING, read_measuring_exam
from elat.reports.style import NARROW, WIDE

from .measuring_exams import made_up_exam


def test_it_reads_back_as_it_was_written(tmp_path):
    write_json(tmp_path / MEASURING, made_up_exam().to_json())
    assert read_measuring_exam(tmp_path) == made_up_exam()
    assert read_inputs([tmp_path]).measuring == (made_up_exam(),)


@pytest.mark.parametrize("damage", [{"outcomes": [{}]}, {}, {"outcomes": 3}])
def test_damage_is_named(tmp_path, damage):
    (tmp_path / MEASURING).write_text(json.dumps(damage))
    with pytest.raises(ArtefactError, match="elat exam measuring"):
        read_measuring_exam(tmp_path)


@pytest.mark.parametrize("style", [WIDE, NARROW])
def test_every_machine_has_a_mark_in_each_panel(style):
    figure = figures["measuring_exam"]()
    rows = figure.collect(ReportInputs((), (), (), measuring=(made_up_exam(),)))
    assert [row.machines for row in rows] == [("quiet", "wild *", "one")]
    drawn = figure.finished(rows, style, is_framed=True)
    coverage, alarms, power = drawn.axes
    # A container of marks for each protocol; false verdicts also for pairs of the same rounds.
    assert [len(axes.containers) for axes in (coverage, alarms)] == [2, 4]
    # Beside the target, a line for each machine within the limits and protocol.
    assert len(power.lines) == 1 + 2
    assert "95.0% covered" in figure.describe(rows)
