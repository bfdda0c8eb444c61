"""Each rule's own edges: what it must find, what it must leave alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from elat.latency.imports.base import Quantity
from elat.latency.linting import Context, Finding, Peaks, Row, Severity, View, lint, row_of
from elat.latency.operators.mbconv import MBConv

from .conftest import clean_view, cost_ms, with_rows


def scaled(view: View, factor: float) -> View:
    return with_rows(view, lambda _, row: replace(row, value=row.value * factor))


def one(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [finding.found for finding in findings]
    return findings[0]


def kernels(*values: float, std: float | None = 0.001) -> View:
    """One series along the kernel."""
    rows = [
        row_of(MBConv(16, 16, 14, kernel), value, 5, std)
        for kernel, value in zip((3, 5, 7), values, strict=True)
    ]
    return View("", tuple(rows))


# units of a whole table


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e-3])
def test_a_table_in_another_unit_is_told_by_what_devices_can_do(factor: float) -> None:
    view = clean_view("proxyless-mobile")
    finding = one(lint([scaled(view, factor)]))
    assert finding.rule == "units"
    assert ("slower" if factor > 1 else "faster") in finding.found


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_fast_or_slow_device_is_no_slip_of_unit(clean: View, factor: float) -> None:
    assert lint([scaled(clean, factor)]) == []


def test_rows_in_another_unit_are_named_with_the_factor(clean: View) -> None:
    slow = clean.rows[3]
    planted = with_rows(clean, lambda i, r: replace(r, value=r.value * 1000) if i == 3 else r)
    finding = one(lint([planted]))
    assert finding.names == (slow.name,)
    assert "times what its work suggests" in finding.found


# copies


def test_rows_copied_from_another_table_are_found() -> None:
    here, there = clean_view(seed=1), clean_view(seed=2)
    planted = with_rows(
        here, lambda i, r: replace(r, value=there.rows[i].value) if i in (4, 9) else r
    )
    finding = one(lint([planted], Context(against=(there,), against_name="there.yaml")))
    assert (finding.rule, set(finding.names)) == (
        "copies",
        {here.rows[4].name, here.rows[9].name},
    )
    assert "there.yaml" in finding.found
    assert lint([here], Context(against=(there,))) == []


def test_rows_copied_and_scaled_are_found() -> None:
    here, there = clean_view(seed=1), clean_view(seed=2)
    planted = with_rows(
        here, lambda i, r: replace(r, value=1.25 * there.rows[i].value) if i < 6 else r
    )
    finding = one(lint([planted], Context(against=(there,))))
    assert finding.rule == "copies"
    assert len(finding.rows) == 6
    assert "times 1.25" in finding.found


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_equal_values_of_a_rounded_table_are_chance(digits: int) -> None:
    values = np.random.default_rng(0).uniform(20, 80, 400)
    rounded = [
        Row(f"row {i}", float(f"{v:.{digits}g}"), 5, 0.5, attributes={"kind": str(i)})
        for i, v in enumerate(values)
    ]
    found = {finding.rule for finding in lint([View("", tuple(rounded))])}
    assert found <= {"quantised"}


def test_equal_ticks_of_a_clock_are_chance() -> None:
    ticks = np.random.default_rng(0).integers(20, 400, 60)
    rows = [
        Row(f"row {i}", 0.001024 * int(t), 5, 0.001, attributes={"kind": str(i)})
        for i, t in enumerate(ticks)
    ]
    assert len(set(ticks.tolist())) < len(ticks)
    assert lint([View("", tuple(rows))]) == []


def test_layers_with_a_name_alone_may_be_equal_and_free() -> None:
    rows = [Row(f"layer {i}", 0.123456789, 5, 0.001) for i in range(3)]
    assert lint([View("", tuple(rows))]) == []
    (finding,) = lint([View("", (*rows, Row("fused", 0.0, 5, 0.0)))])
    assert (finding.rule, finding.severity, finding.names) == (
        "value",
        Severity.WARNING,
        ("fused",),
    )


def test_operators_of_equal_work_may_take_equal_time() -> None:
    rows = [
        row_of(MBConv(16, 16, 14, 3), 0.123456789123, 5, 0.001),
        row_of(MBConv(16, 16, 14, 3, activation="relu"), 0.123456789123, 5, 0.001),  # type: ignore[arg-type]
    ]
    assert lint([View("", tuple(rows))]) == []


# series


def test_a_small_fall_is_a_warning_and_a_great_one_an_error() -> None:
    small, great = one(lint([kernels(0.5, 0.45, 0.6)])), one(lint([kernels(0.5, 0.3, 0.6)]))
    assert (small.rule, small.severity) == ("monotone", Severity.WARNING)
    assert (great.rule, great.severity) == ("monotone", Severity.ERROR)
    assert "along kernel: 0.5 ms at 3, 0.3 ms at 5 (-40%)" in great.found


def test_a_fall_within_the_spread_is_noise() -> None:
    assert lint([kernels(0.5, 0.49, 0.6, std=0.01)]) == []
    assert one(lint([kernels(0.5, 0.49, 0.6, std=0.001)])).rule == "monotone"


def test_without_a_spread_two_per_cent_are_noise() -> None:
    def found(fall: float) -> set[str]:
        return {f.rule for f in lint([kernels(0.5, 0.5 * (1 - fall), 0.6, std=None)])}

    assert found(0.015) == {"spread"}
    assert found(0.03) == {"spread", "monotone"}


def test_a_lucky_small_spread_is_not_believed() -> None:
    falls = kernels(0.5, 0.49, 0.6, std=0.01)
    lucky = with_rows(falls, lambda i, row: replace(row, std=1e-6) if i == 1 else row)
    assert lint([lucky]) == []


def test_two_equal_rows_are_flat_where_work_doubles() -> None:
    rows = [row_of(MBConv(16, 16, r, 3), 0.25123, 5, 0.001) for r in (14, 28)]
    assert one(lint([View("", tuple(rows))])).rule == "flat"


# roofline


def test_rows_beyond_a_known_peak_are_named(clean: View) -> None:
    peaks = Peaks(macs_per_ms=2e7, bytes_per_ms=1e9)
    assert lint([clean], Context(peaks=peaks)) == []
    row = max(clean.rows, key=lambda row: row.macs or 0.0)
    least = (row.macs or 0.0) / peaks.macs_per_ms
    planted = with_rows(
        clean, lambda _, r: replace(r, value=0.9 * least, std=0.3) if r is row else r
    )
    assert one(lint([planted], Context(peaks=peaks))).names == (row.name,)


def test_memory_bounds_the_rows_of_little_work(clean: View) -> None:
    finding = one(lint([clean], Context(peaks=Peaks(1e12, 1e4))))
    assert (finding.rule, finding.severity) == ("roofline", Severity.ERROR)


# computed values


def networks(noise: float, places: int = 4, options: int = 3) -> View:
    generator = np.random.default_rng(0)
    costs = generator.uniform(1, 5, (places, options))
    rows = []
    for choice in product(range(options), repeat=places):
        value = sum(costs[place, option] for place, option in enumerate(choice))
        value *= 1 + noise * generator.normal()
        rows.append(Row(str(choice), float(value), 9, 0.01, choices=tuple(map(str, choice))))
    return View("pixel3", tuple(rows))


def test_sums_from_a_table_are_no_measurements() -> None:
    finding = one(lint([networks(0.0)]))
    assert (finding.rule, finding.severity, finding.table) == (
        "additive",
        Severity.WARNING,
        "pixel3",
    )
    assert len(finding.rows) == 81


def test_networks_with_the_noise_of_a_device_are_no_sums() -> None:
    assert lint([networks(1e-4)]) == []


def by_bits(value: float, noise: float = 0.0) -> View:
    generator = np.random.default_rng(0)
    rows = [
        Row(
            f"layer {layer}, {bits} bit",
            value * layer * bits * (1 + noise * float(generator.normal())),
            9,
            1.0,
            attributes={"layer": layer, "bits": bits},
        )
        for layer in range(1, 4)
        for bits in range(1, 9)
    ]
    return View("", tuple(rows))


def test_multiples_of_a_bit_width_are_a_formula() -> None:
    finding = one(lint([by_bits(401.5)]))
    assert (finding.rule, finding.severity) == ("simulated", Severity.WARNING)
    assert "exact multiples of their place" in finding.found
    assert lint([by_bits(401.5, noise=1e-4)]) == []


def test_cycles_are_no_milliseconds() -> None:
    view = replace(by_bits(401.5, noise=1e-4), quantity=Quantity.CYCLES, origin="simulated")
    assert "cycles, no milliseconds, said to be simulated" in one(lint([view])).found


def test_our_simulation_without_noise_has_no_finding() -> None:
    rows = [
        replace(row, value=cost_ms(row.operators[0]), std=0.0)
        for row in clean_view("proxyless-mobile").rows
    ]
    view = View("", tuple(rows), origin="simulated", is_own=True)
    assert lint([view]) == []
    assert {f.rule for f in lint([replace(view, origin="measured")])} == {"spread"}
