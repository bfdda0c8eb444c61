"""Architectures of cell spaces: what a runtime executes of them, in numbers."""
