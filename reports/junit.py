"""Results as JUnit XML, so that any CI shows them and stops for them.

Written for the stricter of the two schemas in use, Ant's, which Jenkins' accepts as well: times as
decimals without an exponent, properties of the suite, and text only where a check did not pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from xml.etree import ElementTree

_PACKAGE = "elat"


class Result(StrEnum):
    """What became of a check; `SKIPPED` is one that could not be decided."""

    PASSED = "passed"
    FAILED = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One test case.

    Attributes:
        time_ms: The latency that was measured; None where there is none.
        kind: What sort of result it is, in a word.
        message: Why it did not pass; empty where it did.
    """

    name: str
    result: Result
    time_ms: float | None
    kind: str
    message: str = ""


@dataclass(frozen=True)
class Suite:
    """Checks of one comparison or budget, and under what they were measured."""

    name: str
    checks: tuple[Check, ...]
    properties: Mapping[str, str]
    hostname: str


def to_junit(suite: Suite, written: datetime) -> bytes:
    """The XML document of `suite`, of which each name is made distinct.

    Times are in seconds, of what was measured and not of measuring.

    Args:
        suite: What was checked.
        written: When, in UTC.
    """
    root = ElementTree.Element("testsuites")
    counts = {result: sum(c.result is result for c in suite.checks) for result in Result}
    made = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "id": "0",
            "package": _PACKAGE,
            "name": suite.name,
            "timestamp": written.strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": suite.hostname,
            "tests": str(len(suite.checks)),
            "failures": str(counts[Result.FAILED]),
            "errors": str(counts[Result.ERROR]),
            "skipped": str(counts[Result.SKIPPED]),
            "time": _seconds(sum(check.time_ms or 0.0 for check in suite.checks)),
        },
    )
    properties = ElementTree.SubElement(made, "properties")
    for name, value in suite.properties.items():
        ElementTree.SubElement(properties, "property", name=name, value=_printable(value))
    for check, name in zip(suite.checks, _distinct(suite.checks), strict=True):
        given = {"name": name, "classname": suite.name, "time": _seconds(check.time_ms or 0.0)}
        case = ElementTree.SubElement(made, "testcase", given)
        if check.result is not Result.PASSED:
            message = _printable(check.message)
            said = {"message": message}
            if check.result is not Result.SKIPPED:
                said["type"] = check.kind
            ElementTree.SubElement(case, check.result.value, said).text = message
    ElementTree.SubElement(made, "system-out")
    ElementTree.SubElement(made, "system-err")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _seconds(time_ms: float) -> str:
    """To the nanosecond, without an exponent."""
    return f"{time_ms / 1e3:.9f}"


def _distinct(checks: Sequence[Check]) -> list[str]:
    """The names, numbered from the second of a kind on."""
    seen: dict[str, int] = {}
    names = []
    for check in checks:
        name = _printable(check.name)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return names


def _printable(text: str) -> str:
    """`text` without control characters, which XML cannot hold."""
    return "".join(char if char.isprintable() else " " for char in text)
