"""What the flags tell of a model's inputs: names, shapes and files of values."""

from __future__ import annotations

from .flags import Flags
from .log import Log, ToolError


class Layer:
    """An input as the flags tell of it; without `path`, its values are made up."""

    def __init__(self, name: str, shape: list[int]) -> None:
        self.name = name
        self.shape = shape
        self.path = ""


def read_layers(flags: Flags, log: Log) -> list[Layer]:
    """The inputs of --input_layer, --input_layer_shape and --input_layer_value_files."""
    names_text, shapes_text = flags.values["input_layer"], flags.values["input_layer_shape"]
    names = names_text.split(",") if names_text else []
    shapes = shapes_text.split(":") if shapes_text else []
    if len(names) != len(shapes):
        log.error(
            f"The number of items in --input_layer_shape ({shapes_text}, with {len(shapes)} "
            f"items) must match the number of items in --input_layer ({names_text}, with "
            f"{len(names)} items). For example --input_layer=input1,input2 "
            "--input_layer_shape=1,224,224,4:1,20"
        )
        raise ToolError
    layers = [Layer(name, _shape(text, log)) for name, text in zip(names, shapes, strict=True)]
    files = flags.values["input_layer_value_files"]
    for item in files.split(",") if files else []:
        name, path = split_value_file(item, log)
        named = [layer for layer in layers if layer.name == name]
        if not named:
            log.fatal(
                f"Cannot find the corresponding input_layer name({name}) in --input_layer as "
                f"{names_text}"
            )
        named[0].path = path
    return layers


def split_value_file(item: str, log: Log) -> tuple[str, str]:
    """The name and the path in `name:path`, where `::` is a colon of either.

    A colon at the very end delimits nothing, as the tool looks for one before the last character.
    """
    colons = [
        at
        for at, letter in enumerate(item[:-1])
        if letter == ":" and (at - len(item[:at].rstrip(":"))) % 2 == 0 and item[at + 1] != ":"
    ]
    if len(colons) != 1:
        wrong = "contains more than one" if colons else "doesn't contain any"
        log.error(f"{item} {wrong} delimiter.")
        log.error(f"Wrong input value file item specified: {item}")
        raise ToolError
    name, path = item[: colons[0]], item[colons[0] + 1 :]
    return name.replace("::", ":"), path.replace("::", ":")


def _shape(text: str, log: Log) -> list[int]:
    try:
        shape = [int(size) for size in text.split(",")]
    except ValueError:
        log.fatal(f"Incorrect size string specified: {text}")
        raise
    if -1 in shape:
        log.error(
            "Any unknown sizes in the shapes (-1's) must be replaced with the size you want to "
            "benchmark with."
        )
        raise ToolError
    return shape
