"""Published tables have the defects that are known of them; our simulation has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.core.errors import ConfigError, UnknownNameError
from elat.datasets.corpora.locate import corpus_folder
from elat.devices.device import find_device
from elat.flows.linting import LintOrder, LintReport, lint_file, lint_table, needed_by
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.linting import Finding, Severity
from elat.latency.operators import Operator
from elat.latency.profiling import roofline
from elat.latency.table import LatencyTable, write_table
from elat.search.spaces import find_space

MOBILE = "proxylessnas/mobile_trim.yaml"


def published(file: str) -> Path:
    path = corpus_folder() / file
    if not path.is_file():
        pytest.skip(f"there is no {file} in {corpus_folder()}")
    return path


def found(report: LintReport, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


def test_the_mobile_table_lacks_three_blocks_of_its_own_network() -> None:
    report = lint_file(LintOrder(published(MOBILE), "proxyless_mobile"))
    assert (report.kind, report.rows) == ("proxyless-table", 72)
    (coverage,) = report.findings
    assert coverage.names == (
        "MBConv 16→32 112² k5 s2 e3",
        "MBConv 32→32 56² k3 s1 e3",
        "MBConv 32→40 56² k7 s2 e3",
    )
    assert report.counts == {"error": 1, "warning": 0}


def test_the_mobile_table_holds_the_space_of_the_released_search() -> None:
    assert lint_file(LintOrder(published(MOBILE), "proxyless-mobile")).findings == ()


def test_a_network_file_asks_for_the_same_as_the_network() -> None:
    config = published("proxylessnas/proxyless_mobile.config")
    assert set(needed_by(str(config))) == set(needed_by("proxyless_mobile"))


@pytest.mark.parametrize("resolution", [192, 224])
def test_the_tables_of_once_for_all_are_clean(resolution: int) -> None:
    path = published(f"ofa_note10/{resolution}_lookup_table.yaml")
    assert lint_file(LintOrder(path)).findings == ()


def test_one_resolution_is_no_copy_of_the_other() -> None:
    first, second = (published(f"ofa_note10/{r}_lookup_table.yaml") for r in (192, 224))
    assert lint_file(LintOrder(first, against=second)).findings == ()
    copied = lint_file(LintOrder(first, against=first))
    assert [len(finding.names) for finding in found(copied, "copies")] == [96]


def test_the_table_of_fasterseg_is_not_monotone() -> None:
    report = lint_file(LintOrder(published("fasterseg_tensorrt/latency_lookup_table.csv")))
    along = [finding.found for finding in found(report, "monotone")]
    assert len(along) == 2
    assert "BasicResidual_downup_2x" in along[0]
    assert "0.101707 ms at 128, 0.0919462 ms at 192 (-10%)" in along[0]
    assert "FactorizedReduce in_channels 256 pixels 2048" in along[1]
    assert {finding.rule for finding in report.findings} == {"monotone", "spread"}


def test_the_table_of_haq_is_a_formula() -> None:
    path = published("haq/qmobilenetv2_imagenet100_batch16_latency_table.npy")
    report = lint_file(LintOrder(path))
    (simulated,) = found(report, "simulated")
    assert "cycles, no milliseconds, said to be simulated" in simulated.found
    assert "exact multiples of their place" in simulated.found
    assert report.counts["error"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "summed"),
    [("nb201", {"eyeriss", "fpga"}), ("fbnet", {"eyeriss", "fpga", "pixel3", "raspi4"})],
)
def test_whole_milliseconds_and_sums_in_the_tables_of_help(table: str, summed: set[str]) -> None:
    report = lint_file(LintOrder(published(f"help/{table}_latency_ms.parquet"), unit="ms"))
    phones = {"essential_ph_1", "pixel2", "samsung_a50", "samsung_s7"}
    assert {finding.table for finding in found(report, "quantised")} == phones
    assert {finding.table for finding in found(report, "additive")} == summed
    assert {finding.rule for finding in report.findings} == {"quantised", "additive", "spread"}


@pytest.mark.parametrize("log", ["0.5flops_run1", "mobilenet_run3"])
def test_a_log_of_a_phone_has_no_error(log: str) -> None:
    report = lint_file(LintOrder(published(f"pixel1_tflite_logs/{log}.txt")))
    assert {finding.rule for finding in report.findings} == {"spread"}


def simulated_table(space: str) -> LatencyTable:
    """What the simulated runtime gives without noise, a primitive at a time."""
    condition = Condition(
        "simulated", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=()
    )

    def latency_ms(operator: Operator) -> float:
        return 0.002 + max(operator.macs / 2e7, 4 * operator.traffic_elements / 1e7, 0.001)

    operators = find_space(space).all_operators()
    entries = {operator: Entry(3, latency_ms(operator), 0.0) for operator in operators}
    return LatencyTable(condition, "simulated", entries)


@pytest.mark.parametrize("space", ["proxyless-tiny", "proxyless-mobile", "aggregation-tiny"])
def test_a_simulation_without_noise_is_clean(tmp_path: Path, space: str) -> None:
    path = tmp_path / "table.parquet"
    write_table(simulated_table(space), path)
    assert lint_file(LintOrder(path, space)).findings == ()


def test_a_table_faster_than_the_stored_roofline_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    table, device = simulated_table("proxyless-tiny"), find_device("local-ort")
    assert lint_table(table, device) == ()
    peak = roofline.Roofline(1e3, 1e9, 1e9, "2026-01-01T00:00:00+00:00")
    monkeypatch.setattr(roofline, "measure_roofline", lambda *_, **__: peak)
    roofline.find_roofline(table.condition, tmp_path / "rooflines", affinity=device.affinity)
    (finding,) = lint_table(table, device)
    assert (finding.rule, finding.severity) == ("roofline", Severity.ERROR)


def test_what_is_neither_space_nor_network_is_told() -> None:
    with pytest.raises(UnknownNameError, match="Unknown space or network 'proxyless_mobil'"):
        needed_by("proxyless_mobil")
    with pytest.raises(ConfigError):
        needed_by("proxyless-mobil")
