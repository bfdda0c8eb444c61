"""Linting latency tables: ours and published ones, against a space, a network or another table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import elat_home
from ..core.errors import UnknownNameError
from ..devices.device import Device
from ..latency.imports.parsing import MS_PER
from ..latency.linting import Context, Finding, Peaks, Severity, View, lint
from ..latency.linting.reading import parts_of, read_file
from ..latency.operators import Operator
from ..latency.operators.dag import Dag
from ..latency.profiling.roofline import stored_roofline
from ..latency.table import LatencyTable
from ..search.spaces import find_space, space_names
from ..search.zoo import networks
from .zoo import NetworkOrder, find_config

_NETWORK_FILES = (".config", ".json")


@dataclass(frozen=True)
class LintOrder:
    """What is linted, and against what.

    Attributes:
        file: A latency table of elat, or a file that `elat import` reads.
        space: A space or a network whose operators the table must hold, as `needed_by` takes it.
        against: Another such file, to find rows that were copied from it.
        unit: Of the numbers of a file that does not say it: ns, us, ms or s.
    """

    file: Path
    space: str | None = None
    against: Path | None = None
    unit: str | None = None


@dataclass(frozen=True)
class LintReport:
    """What was found.

    Attributes:
        kind: What the file is: `latency-table`, or the name of the importer that read it.
        rows: How many values it holds, in `tables` tables.
        findings: Errors first.
    """

    order: LintOrder
    kind: str
    tables: int
    rows: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many errors and warnings there are."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity.value: found[severity] for severity in Severity}

    def to_json(self) -> dict[str, Any]:
        """A JSON object with what was asked, `findings` and `counts`."""
        against = self.order.against
        return {
            "file": str(self.order.file),
            "kind": self.kind,
            "space": self.order.space,
            "against": None if against is None else str(against),
            "tables": self.tables,
            "rows": self.rows,
            "findings": [finding.to_json() for finding in self.findings],
            "counts": self.counts,
        }


def lint_file(order: LintOrder) -> LintReport:
    """What is wrong with the file of `order`.

    Raises:
        ArtefactError: A file is missing, of no known kind, or too damaged to read.
        UnknownNameError: There is no such space, network or unit.
        ConfigError: The space or the network is wrong.
    """
    if order.unit is not None and order.unit not in MS_PER:
        raise UnknownNameError("unit", order.unit, MS_PER)
    required = () if order.space is None else needed_by(order.space)
    read = read_file(order.file, order.unit)
    against = () if order.against is None else read_file(order.against, order.unit).views
    context = Context(required, order.space or "", against, str(order.against or ""))
    findings = sorted((*read.findings, *lint(read.views, context)), key=lambda f: f.severity)
    rows = sum(len(view.rows) for view in read.views)
    return LintReport(order, read.kind, len(read.views), rows, tuple(findings))


def lint_table(table: LatencyTable, device: Device) -> tuple[Finding, ...]:
    """The errors in `table`, made here on `device`; its roofline counts where it is known."""
    stored = stored_roofline(table.condition, elat_home() / "rooflines", affinity=device.affinity)
    peaks = None if stored is None else Peaks(stored.macs_per_ms, stored.cache_bytes_per_ms)
    findings = lint((View.of(table),), Context(peaks=peaks))
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def needed_by(name: str) -> tuple[Operator, ...]:
    """The operators that a table must hold, each once.

    Args:
        name: Of a bundled space or its YAML file, of a network of the zoo, of the folder of a
            search, or of a `net.config` file.

    Raises:
        UnknownNameError: It is none of them.
        ArtefactError: The file or folder is damaged.
        ConfigError: The description is wrong.
    """
    if name in space_names() or name.endswith((".yaml", ".yml")):
        return find_space(name).all_operators()
    path = Path(name)
    if name not in networks and not path.is_dir() and path.suffix not in _NETWORK_FILES:
        raise UnknownNameError(
            "space or network",
            name,
            (*space_names(), *networks),
            "List them with: elat spaces, elat zoo; or give a .yaml, net.config or run folder.",
        )
    network, _ = find_config(NetworkOrder(name))
    parts = network.operators if isinstance(network, Dag) else parts_of(network)
    return tuple(dict.fromkeys(part for part in parts if not part.is_free))
