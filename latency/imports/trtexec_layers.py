"""What trtexec's `--exportLayerInfo` tells of the layers that `--exportProfile` times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...core.errors import ArtefactError
from .base import Fact, Imported
from .parsing import json_of, shown

# The words of `Format/Datatype` that are types; the last one in the text is the tensor's.
_TYPE = re.compile(r"\b(?:FP32|FP16|BF16|FP8|FP4|Int4|Int8|Int32|Int64|UInt8|Bool)\b", re.I)
_FACTS = {"LayerType": "type", "Origin": "origin", "TacticName": "tactic"}


@dataclass(frozen=True)
class _Layer:
    """A layer's name and what is said of it; nothing where only names were written."""

    name: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


def join_layers(profile: Imported, layer_info: bytes) -> Imported:
    """`profile` with the type, the precision and the tactic of every layer as facts.

    Layers are joined by position if all names agree, else by name where it stands once in both.

    Args:
        profile: As the importer `trtexec-profile` reads it.
        layer_info: The JSON that trtexec wrote for the same engine with `--exportLayerInfo`.

    Raises:
        ArtefactError: `layer_info` is no such file, or names no layer of the profile.
    """
    layers = _layers_of(json_of(layer_info))
    names = [row.name for row in profile.rows]
    if names == [layer.name for layer in layers]:
        matches: list[_Layer | None] = list(layers)
        note = "Layers were joined with the layer information by position; all names agree."
    else:
        unique = {layer.name: layer for layer in layers} | dict.fromkeys(
            _repeated([layer.name for layer in layers]) | _repeated(names)
        )
        matches = [unique.get(name) for name in names]
        found = sum(match is not None for match in matches)
        if not found:
            raise ArtefactError(
                f"none of the {len(layers)} layers of the layer information is in the profile: "
                "they are of different engines. Export both in one run of trtexec."
            )
        note = f"{found} of {len(names)} layers were joined with the layer information by name."
    rows = tuple(
        row if match is None else replace(row, facts={**row.facts, **match.facts})
        for row, match in zip(profile.rows, matches, strict=True)
    )
    return replace(profile, rows=rows, notes=(*profile.notes, note))


def precisions_of(document: object) -> list[str]:
    """The different types that the layers of `document` give, in order; empty if it tells none."""
    layers = document.get("Layers") if isinstance(document, dict) else document
    found: dict[str, None] = {}
    for layer in layers if isinstance(layers, list) else []:
        outputs = layer.get("Outputs") if isinstance(layer, dict) else None
        found.update(dict.fromkeys(_precisions(outputs)))
    return list(found)


def _repeated(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _layers_of(document: object) -> list[_Layer]:
    """The layers of a file, whose root is a list in the newest versions."""
    layers = document.get("Layers") if isinstance(document, dict) else document
    if not isinstance(layers, list) or not layers:
        raise ArtefactError(f"the layer information is {shown(document)}; it should list Layers.")
    return [_layer_of(entry, index) for index, entry in enumerate(layers)]


def _layer_of(entry: object, index: int) -> _Layer:
    if isinstance(entry, str):
        return _Layer(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("Name"), str):
        raise ArtefactError(f"layer {index} of the layer information has no Name.")
    facts: dict[str, Fact] = {
        fact: entry[key] for key, fact in _FACTS.items() if isinstance(entry.get(key), str)
    }
    for key, fact in (("Inputs", "input_precision"), ("Outputs", "precision")):
        if found := _precisions(entry.get(key)):
            facts[fact] = " ".join(found)
    return _Layer(entry["Name"], facts)


def _precisions(tensors: object) -> list[str]:
    """The different types of `tensors`, in order, as TensorRT writes them."""
    found = []
    for tensor in tensors if isinstance(tensors, list) else []:
        described = tensor.get("Format/Datatype") if isinstance(tensor, dict) else None
        words = _TYPE.findall(described) if isinstance(described, str) else []
        if words and words[-1] not in found:
            found.append(words[-1])
    return found
