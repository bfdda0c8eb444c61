"""The flags that the stand-in knows, and what the tool says of them.

Texts and order are those of benchmark_model.cc, benchmark_tflite_model.cc and the providers of
delegates; how values are read, of tflite/tools/command_line_flags.cc. Flags of the tool that the
stand-in cannot honour are unknown to it.
"""

from __future__ import annotations

from .log import Log, ToolError

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from typing import Any

FLAGS = (
    ("num_runs", 50, "Min num runs"),
    ("min_secs", 1.0, "Min runs duration (seconds)"),
    ("max_secs", 150.0, "Max runs duration (seconds)"),
    ("run_delay", -1.0, "Inter-run delay (seconds)"),
    ("num_threads", -1, "Num threads"),
    ("warmup_runs", 1, "Min warmup runs"),
    ("warmup_min_secs", 0.5, "Min warmup runs duration (seconds)"),
    ("verbose", False, ""),
    ("graph", "", "Graph"),
    ("signature_to_run_for", "", "Signature to run"),
    ("input_layer", "", "Input layers"),
    ("input_layer_shape", "", "Input shapes"),
    ("input_layer_value_files", "", "Input value files"),
    ("allow_fp16", False, "Allow fp16"),
    ("require_full_delegation", False, "Require full delegation"),
    ("enable_op_profiling", False, "Enable op profiling"),
    ("op_profiling_output_mode", "stdout", "Op profiling output mode."),
    ("op_profiling_output_file", "", "Op profiling output file."),
    ("profiling_output_csv_file", "", "CSV File to export profiling data to"),
    ("output_filepath", "", "File path to export outputs layer to"),
    ("help", False, "print out all supported flags"),
    ("num_threads", -1, "#threads used for CPU inference"),
    ("use_gpu", False, "Use gpu"),
    ("gpu_precision_loss_allowed", True, "Allow lower precision in gpu"),
    ("use_nnapi", False, "Use NNAPI"),
    ("nnapi_accelerator_name", "", "NNAPI accelerator name"),
    ("use_xnnpack", False, "Use xnnpack"),
)
"""Name, default, and how it is logged; in the tool's order of logging."""

_ALWAYS_LOGGED = ("graph", "signature_to_run_for")
_NOT_IN_OLD = ("output_filepath", "op_profiling_output_mode", "op_profiling_output_file")
_TYPES = {bool: "bool", int: "int32", float: "float", str: "string"}
_OUTPUT_MODES = ("stdout", "csv")


class Flags:
    """The flags as they were given.

    Attributes:
        values: By name, defaults where they were not given.
        places: Of those that were given, their number on the command line.
        unknown: Arguments that no flag took.
        wrong: What cannot be read of them.
    """

    def __init__(self, arguments: list[str], is_old: bool = False) -> None:
        self.known = [flag for flag in FLAGS if not (is_old and flag[0] in _NOT_IN_OLD)]
        self.values: dict[str, Any] = {name: default for name, default, _ in self.known}
        self.places: dict[str, int] = {}
        self.unknown: list[str] = []
        self.wrong: list[str] = []
        for place, argument in enumerate(arguments, 1):
            self._take(place, argument)

    def _take(self, place: int, argument: str) -> None:
        name, equals, text = argument.removeprefix("--").partition("=")
        is_flag = argument.startswith("--") and equals and name in self.values
        if not is_flag or name in self.places:
            self.unknown.append(argument)
            return
        self.places[name] = place
        try:
            self.values[name] = _parsed(text, type(self.values[name]))
        except ValueError:
            self.wrong.append(f"Failed to parse flag '{name}' against argv '{argument}'")

    def usage(self, program: str) -> str:
        """All flags with their defaults."""
        names = [f"--{name}={_printed(default, True)}" for name, default, _ in self.known]
        width = max(map(len, names))
        lines = [
            f"\t{shown:<{width}}\t{_TYPES[type(default)]}\toptional\t{text}\n"
            for shown, (_, default, text) in zip(names, self.known, strict=True)
        ]
        return f"usage: {program} <flags>\nFlags:\n{''.join(lines)}"


def read_flags(arguments: list[str], log: Log) -> Flags:
    """The flags in `arguments`, of which the first is the program.

    Raises:
        ToolError: One cannot be read, or help was asked for.
    """
    flags = Flags(arguments[1:], log.is_old)
    for text in flags.wrong:
        log.error(text)
    if flags.wrong or flags.values["help"] or "--help" in flags.unknown[:1]:
        log.error(flags.usage(arguments[0]))
        raise ToolError
    if flags.unknown:
        log.warn(f"Unconsumed cmdline flags: {' '.join(flags.unknown)}")
    return flags


def check_flags(flags: Flags, log: Log) -> None:
    """Refuse to run without a model, or with a form of profile that is not known."""
    values = flags.values
    if not values["graph"]:
        log.error("Please specify the name of your TF Lite input file with --graph")
        raise ToolError
    mode = values.get("op_profiling_output_mode", "stdout")
    if values["enable_op_profiling"] and mode not in _OUTPUT_MODES:
        log.error(f"Output mode{mode} is not supported. Supported values are: 'stdout' and 'csv'.")
        raise ToolError


def log_flags(flags: Flags, log: Log) -> None:
    """Tell those that were given, or all."""
    is_verbose = flags.values["verbose"]
    log.info(f"Log parameter values verbosely: [{_printed(is_verbose)}]")
    for name, _, text in flags.known:
        if text and (is_verbose or name in flags.places or name in _ALWAYS_LOGGED):
            log.info(f"{text}: [{_printed(flags.values[name])}]")


def _parsed(text: str, kind: type) -> object:
    """A flag's value. Raises ValueError where the tool cannot read it."""
    if kind is bool:
        if text not in ("true", "false", "1", "0"):
            raise ValueError(text)
        return text in ("true", "1")
    return kind(text)


def _printed(value: object, is_usage: bool = False) -> str:
    """A value as C++ streams print it: six digits, and 0 or 1."""
    if isinstance(value, bool):
        return ("false", "true")[value] if is_usage else str(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
