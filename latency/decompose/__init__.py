"""Model files of any origin as the operators that a runtime executes."""

from .blocks import with_blocks
from .onnx_reader import read_program
from .program import Part, Program

__all__ = ["Part", "Program", "read_program", "with_blocks"]
