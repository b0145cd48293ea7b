"""What a probability distribution is, and how its parameters are marked in scenario files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sim.units import Quantity

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlaceOfUse:
    """Marks a parameter whose dimension is that of the place where the distribution is used.

    `{dist: exponential, mean: 250ms}` is right for a duration, `{..., mean: 60kB}` for a size; the
    class itself cannot know. The scenario loader finds marked fields with `value_fields`.
    """


PLACE_OF_USE = PlaceOfUse()

#: A number in the dimension of the place of use, 0 or more.
Value = Annotated[float, Quantity("count", ge=0), PLACE_OF_USE]

#: The same, more than 0.
PositiveValue = Annotated[float, Quantity("count", gt=0), PLACE_OF_USE]

#: A coefficient of variation or a shape: a pure number more than 0.
Positive = Annotated[float, Quantity("count", gt=0)]
Weight = Annotated[float, Quantity("count", ge=0)]


class Distribution(ABC):
    """What all distributions offer; the parameters are fields of the subclasses."""

    if TYPE_CHECKING:

        @property
        def mean(self) -> float:
            """Expected value."""

        @property
        def cv(self) -> float:
            """Coefficient of variation; 0 for a constant, infinite if the variance is."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Draw `n` numbers."""

    @abstractmethod
    def quantile(self, q: float) -> float:
        """The value not exceeded with probability `q`, 0 <= q <= 1."""


def value_fields(cls: type[Any]) -> list[str]:
    """Names of the fields of a distribution that carry the dimension of the place of use.

    Such a field is annotated with `Value` or `PositiveValue`, or is a list or dict of them.
    """
    hints = get_type_hints(cls, include_extras=True)
    return [name for name, hint in hints.items() if _marked(hint)]


def _marked(hint: Any) -> bool:
    if PLACE_OF_USE in getattr(hint, "__metadata__", ()):
        return True
    return any(_marked(inner) for inner in getattr(hint, "__args__", ()))


def need(ok: bool, text: str) -> None:
    """Refuse a parameter with a text that says what is allowed."""
    if not ok:
        raise ValueError(text)


def finite(**values: float) -> None:
    """Refuse parameters that are infinite or not numbers."""
    for name, value in values.items():
        need(math.isfinite(value), f"{name} must be a finite number, got {value!r}")


def check_q(q: float) -> None:
    """Refuse a probability outside of 0 to 1."""
    need(0.0 <= q <= 1.0, f"q must lie between 0 and 1, got {q!r}")
