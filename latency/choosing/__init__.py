"""Which operators to measure next, when there is no time for all."""

from .appearances import Appearances
from .beliefs import Beliefs
from .noise import is_noisy, noise_variance, repeat_variance
from .selection import Offer, Selection, choose, traits_of

__all__ = [
    "Appearances",
    "Beliefs",
    "Offer",
    "Selection",
    "choose",
    "is_noisy",
    "noise_variance",
    "repeat_variance",
    "traits_of",
]
