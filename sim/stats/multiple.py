"""Many comparisons at once: p-values that keep the chance of any false alarm at its level."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of the step-down procedure of Holm.

    Calling everything significant whose adjusted value is at most 5 % makes even one false call in the
    whole family no likelier than 5 %, whatever the tests depend on each other. Undefined values (None)
    stay so and do not count.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6 (1979) 65-70.
    """
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, index) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted
