"""Which operators to measure next, when there is no time for all."""

from .beliefs import Beliefs
from .selection import Selection, choose, traits_of

__all__ = ["Beliefs", "Selection", "choose", "traits_of"]
