"""A header and rows as one file: YAML for people, Parquet for programs, both exact to the bit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..core.artefact import canonical_json, replacing, write_text
from ..core.config import read_yaml
from ..core.errors import ArtefactError, ConfigError

Row = dict[str, Any]

_YAML = (".yaml", ".yml")
_PARQUET = ".parquet"
_STATISTICS = ("count", "mean", "std")
_METADATA = b"elat"
_ONE_LINE = 2**30


def as_row(operator: Row, statistics: Row) -> Row:
    """One flat row; the operator in a field of its own where it has a field named like those."""
    clashing = operator.keys() & statistics.keys()
    return {"operator": operator, **statistics} if clashing else {**operator, **statistics}


def operator_of(row: Mapping[str, Any]) -> Row:
    """What `as_row` was given of the operator.

    Raises:
        TypeError: It is no mapping.
    """
    apart = row.get("operator")
    return dict(apart) if apart else {n: v for n, v in row.items() if n not in _STATISTICS}


def write_document(
    path: Path, title: str, header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write `header` and `rows` (operator attributes, `count`, `mean`, `std`) to `path`.

    Raises:
        ConfigError: The suffix is neither `.yaml` nor `.parquet`.
    """
    if path.suffix in _YAML:
        lines = [f"# {title}"]
        lines += [f"{name}: {_flow(value)}" for name, value in header.items()]
        lines += ["entries:", *(f"- {_flow(row)}" for row in rows)]
        write_text(path, "\n".join(lines) + "\n")
    elif path.suffix == _PARQUET:
        _write_parquet(path, header, rows)
    else:
        raise _unknown_suffix(path)


def read_document(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """The header and the rows that `write_document` wrote to `path`.

    Raises:
        ArtefactError: It is missing, cut short, or something else.
        ConfigError: The suffix is neither `.yaml` nor `.parquet`.
    """
    if path.suffix in _YAML:
        header = read_yaml(path)
        rows = header.pop("entries", None) if isinstance(header, dict) else None
    elif path.suffix == _PARQUET:
        header, rows = _read_parquet(path)
    else:
        raise _unknown_suffix(path)
    is_table = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not isinstance(header, dict) or not is_table:
        raise ArtefactError(
            f"{path} is no latency table, or was cut short; make it again with: "
            "elat table --device DEVICE --space SPACE --out FILE."
        )
    return header, rows or []


def _unknown_suffix(path: Path) -> ConfigError:
    return ConfigError(f"A table is a .yaml or a .parquet file; {path.name!r} is neither.")


def _flow(value: Any) -> str:
    """`value` as YAML on one line; PyYAML writes floats so that they read back to the bit."""
    text = yaml.dump(
        json.loads(json.dumps(value)),  # enumerations become their plain values
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=True,
        sort_keys=False,
        width=_ONE_LINE,
        allow_unicode=True,
    )
    return str(text).strip().removesuffix("...").strip()


def _write_parquet(
    path: Path, header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    operators = list(map(operator_of, rows))
    columns = pa.table(
        {
            "kind": pa.array([o["kind"] for o in operators], pa.string()),
            "operator": pa.array([canonical_json(o) for o in operators], pa.string()),
            "count": pa.array([row["count"] for row in rows], pa.int64()),
            "mean_ms": pa.array([row["mean"] for row in rows], pa.float64()),
            "std_ms": pa.array([row["std"] for row in rows], pa.float64()),
        }
    ).replace_schema_metadata({_METADATA: canonical_json(header)})
    with replacing(path) as temporary:
        pq.write_table(columns, temporary)


def _read_parquet(path: Path) -> tuple[Any, list[Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise ArtefactError(f"{path} does not exist.")
    try:
        columns = pq.read_table(path)
        header = json.loads((columns.schema.metadata or {}).get(_METADATA, b"null"))
        rows = [
            as_row(
                json.loads(row["operator"]),
                {"count": row["count"], "mean": row["mean_ms"], "std": row["std_ms"]},
            )
            for row in columns.to_pylist()
        ]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtefactError(
            f"{path} is not readable Parquet ({first}); make it again with: "
            "elat table --device DEVICE --space SPACE --out FILE."
        ) from error
    return header, rows
