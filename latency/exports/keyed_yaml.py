"""The YAML of public latency tables: keys that spell operators, as search code reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ...core.errors import ConfigError
from ..entry import Entry
from ..operators import Operator
from .base import Exported, Source


def keyed(
    source: Source,
    key_of: Callable[[Operator], str | None],
    fields_of: Callable[[Entry], Mapping[str, float]],
    grammar: str,
) -> Exported:
    """A table of what `key_of` has a key for.

    Args:
        source: What is exported.
        key_of: The key of an operator, None where the grammar cannot say it.
        fields_of: What stands under the key of an entry, by name.
        grammar: Whose keys these are, for the message where none fits.

    Raises:
        ConfigError: None of the operators has a key.
    """
    keys = {operator: key_of(operator) for operator in source.entries}
    left_out = tuple(operator for operator, key in keys.items() if key is None)
    if len(left_out) == len(keys):
        raise ConfigError(
            f"The keys of {grammar} can say none of the {len(keys)} operators, {left_out[0]} "
            "among them; export csv or parquet."
        )
    text = "".join(
        _block(key, fields_of(source.entries[operator]).items())
        for operator, key in keys.items()
        if key is not None
    )
    return Exported(text.encode(), len(keys) - len(left_out), left_out)


def _block(key: str, fields: Iterable[tuple[str, float]]) -> str:
    """A key and its fields, floats so that they read back to the bit."""
    return f"{key}:\n" + "".join(f"  {name}: {value!r}\n" for name, value in fields)
