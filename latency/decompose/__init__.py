"""Model files of any origin as the operators that a runtime executes."""

from .blocks import with_blocks
from .program import Part, Program
from .reader import read_program

__all__ = ["Part", "Program", "read_program", "with_blocks"]
