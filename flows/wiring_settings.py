"""What a study of wirings is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from ..core.config import Settings, parse, read_yaml
from ..core.errors import ConfigError
from ..search.spaces import find_space, space_from_description
from ..search.spaces.aggregation import AggregationSpace, Candidates, Previous

Count = Annotated[int, Field(ge=1)]


class WiringSettings(Settings):
    """Networks of one space at several widths, wired by rules and by a search.

    Attributes:
        space: A space of links with all candidates; its own growths are replaced.
        device: Where latency is measured and bounded.
        scales: Growths of the sparse networks that the others are compared with.
        dense_growths: Growths among which the dense network of equal latency, or of equal
            parameters, is looked for; by default all up to the greatest scale.
        base: Of the exponential rule.
        seeds: Of searches, of shuffled links and of trainings.
        protocol: Of all measurements.
        networks: Whole networks that each scale's latency model is calibrated with.
        strategy: That learns the links; `search` are its settings, `train` those of trainings.
    """

    space: str
    device: str
    scales: tuple[Count, ...] = Field(min_length=1)
    dense_growths: tuple[Count, ...] = ()
    base: int = Field(default=2, ge=2)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    data: str
    protocol: str = "standard"
    networks: int = Field(default=20, ge=4)
    strategy: str = "proxyless-g"
    search: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)

    @field_validator("scales", "dense_growths", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands there twice")
        return values

    @property
    def widths(self) -> tuple[int, ...]:
        """Growths of the dense networks that are measured, ascending."""
        return tuple(sorted(self.dense_growths or range(1, max(self.scales) + 1)))


def read_wiring_settings(path: Path) -> WiringSettings:
    """The settings of the study at `path`.

    Raises:
        ArtefactError: The file is missing or not YAML.
        ConfigError: A key is unknown, missing or out of range, or the space has no links.
    """
    found = parse(WiringSettings, read_yaml(path), str(path))
    of_growth(found.space, found.scales[0])
    return found


def of_growth(name: str, growth: int) -> AggregationSpace:
    """The space `name` with `growth` channels a layer in every stage.

    Raises:
        ConfigError: It is no space of links.
    """
    space = find_space(name)
    if not isinstance(space, AggregationSpace):
        raise ConfigError(
            f"{space.name} has no links to choose; take a space of aggregations: elat spaces."
        )
    s = space.settings
    if s.candidates is not Candidates.ALL or s.previous is not Previous.KEPT:
        raise ConfigError(
            f"A study compares with all links, and with shuffled ones behind the layer before; "
            f"{space.name} must have candidates: all and previous: kept."
        )
    described = space.describe()
    stages = [{**stage, "growth": growth} for stage in described["stages"]]
    changed = {**described, "name": f"{space.name}-g{growth}", "stages": stages}
    scaled = space_from_description(changed)
    assert isinstance(scaled, AggregationSpace)
    return scaled
