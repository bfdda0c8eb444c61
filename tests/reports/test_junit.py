"""JUnit files that the schemas of Ant and Jenkins accept, read back by another parser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import junitparser
import pytest

from elat.reports.junit import Check, Result, Suite, to_junit

CHECKS = (
    Check("stem", Result.PASSED, 0.0123, "OK"),
    Check("head", Result.FAILED, 2.0, "OVER", "2 ms is <over> 1 ms & more"),
    Check("tail", Result.SKIPPED, 3.5, "UNSURE", "not decided"),
    Check("gone", Result.ERROR, None, "UNKNOWN", "could not\x00 be measured"),
    Check("stem", Result.PASSED, 1e-6, "OK"),
)
SUITE = Suite("elat budget on toy", CHECKS, {"condition": "toy, 1 thread", "seed": "0"}, "toy")
MADE = to_junit(SUITE, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_the_file_has_what_the_schema_of_ant_asks_for():
    """Every attribute that it requires, and the children that it allows, in its order."""
    root = ElementTree.fromstring(MADE)
    assert (root.tag, root.attrib) == ("testsuites", {})
    (suite,) = root
    assert set(suite.attrib) == {
        "id", "package", "name", "timestamp", "hostname", "tests", "failures", "errors",
        "skipped", "time",
    }  # fmt: skip
    assert suite.get("timestamp") == "2026-01-02T03:04:05"
    tags = [child.tag for child in suite]
    assert tags == ["properties", *["testcase"] * len(CHECKS), "system-out", "system-err"]
    for prop in suite[0]:
        assert set(prop.attrib) == {"name", "value"}
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"}
        assert len(case) <= 1
        for result in case:
            assert result.tag in ("skipped", "failure", "error")
            assert "message" in result.attrib
            assert "type" in result.attrib or result.tag == "skipped"
    for timed in (suite, *suite.iter("testcase")):
        assert re.fullmatch(r"\d{1,3}\.\d+", timed.get("time", "")), "a decimal, no exponent"


def test_another_parser_reads_the_same_results():
    (suite,) = junitparser.JUnitXml.fromstring(MADE)
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 1)
    assert {p.name: p.value for p in suite.properties()} == dict(SUITE.properties)
    cases = list(suite)
    assert [c.name for c in cases] == ["stem", "head", "tail", "gone", "stem #2"]
    assert [c.time for c in cases] == pytest.approx([1.23e-5, 2e-3, 3.5e-3, 0, 1e-9])
    kinds = [type(c.result[0]) if c.result else None for c in cases]
    expected = [None, junitparser.Failure, junitparser.Skipped, junitparser.Error, None]
    assert kinds == expected
    assert cases[1].result[0].message == CHECKS[1].message
    assert cases[3].result[0].message == "could not  be measured", "XML has no control characters"


def test_the_same_results_give_the_same_bytes():
    assert to_junit(SUITE, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == MADE
