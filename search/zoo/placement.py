"""Networks as architectures of a search space: which candidate stands at every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ...core.errors import ConfigError
from ...latency.operators import Operator
from ...latency.operators.chain import Chain
from ...latency.operators.dag import Dag
from ..architecture import Architecture
from ..spaces import BlockSpace, SearchSpace, Step, block_space


def architecture_from(anywhere: SearchSpace, operator: Operator) -> Architecture:
    """The architecture of the space that executes exactly what `operator` does.

    A network with one operator for every step of the space's program, free ones (`Zero`) included,
    is read as it stands. In a chain free ones may also be left out; where several architectures
    then execute the same operators, blocks are filled from the front.

    Raises:
        ConfigError: There is none; the message names the first operator that fits nowhere.
    """
    space = block_space(anywhere, "Placing a network")
    if isinstance(operator, Chain) and space.is_chain:
        parts = operator.operators
        if len(parts) == len(space.program) and any(part.is_free for part in parts):
            return Architecture(space.name, _placed(space, parts))
        executed = [part for part in parts if not part.is_free]
        return Architecture(space.name, _aligned(space, executed))
    inputs = tuple(step.inputs for step in space.program)
    if isinstance(operator, Dag) and operator.inputs == inputs:
        return Architecture(space.name, _placed(space, operator.operators))
    raise ConfigError(
        f"{operator} is not joined as the networks of {space.name} are; it is none of them."
    )


def _placed(space: BlockSpace, operators: Sequence[Operator]) -> tuple[int, ...]:
    """The choices where every step of the program has its own operator."""
    choices = []
    for number, (step, operator) in enumerate(zip(space.program, operators, strict=True)):
        options = _options(space, step)
        if operator not in options:
            raise ConfigError(_misfit(space, f"step {number}", operator, options))
        if step.block is not None:
            choices.append(options.index(operator))
    return tuple(choices)


def _aligned(space: BlockSpace, executed: Sequence[Operator]) -> tuple[int, ...]:
    """The choices where free candidates execute nothing.

    `ends[s]` holds the counts of operators that the first `s` steps can have executed; a way back
    through them is the architecture.
    """
    ends: list[set[int]] = [{0}]
    for step in space.program:
        options = _options(space, step)
        may_skip = any(option.is_free for option in options)
        taken = {n + 1 for n in ends[-1] if n < len(executed) and executed[n] in options}
        ends.append(taken | (ends[-1] if may_skip else set()))
        if not ends[-1]:
            n = max(ends[-2])
            found = executed[n] if n < len(executed) else None
            raise ConfigError(_misfit(space, f"operator {n}", found, options))
    if len(executed) not in ends[-1]:
        n = max(ends[-1])
        raise ConfigError(_misfit(space, f"operator {n}", executed[n], ()))
    choices: list[int] = []
    n = len(executed)
    for step, before in zip(reversed(space.program), reversed(ends[:-1]), strict=True):
        options = _options(space, step)
        # Read from the back, so leaving a block out first fills the blocks from the front.
        skip = next((i for i, option in enumerate(options) if option.is_free), None)
        if skip is not None and n in before:
            choice = skip
        else:
            n -= 1
            choice = options.index(executed[n])
        if step.block is not None:
            choices.append(choice)
    return tuple(reversed(choices))


def _options(space: BlockSpace, step: Step) -> tuple[Operator, ...]:
    if step.operator is not None:
        return (step.operator,)
    return space.blocks[cast(int, step.block)].candidates


def _misfit(
    space: BlockSpace, where: str, found: Operator | None, options: Sequence[Operator]
) -> str:
    said = "nothing" if found is None else str(found)
    wanted = ", ".join(map(str, options)) or "nothing"
    return f"The network is not of {space.name}: at {where} it has {said}, not one of: {wanted}."
