"""How much to have ready for a demand that is not known yet."""

from __future__ import annotations


def critical_ratio(too_few: float, too_many: float) -> float:
    """The quantile of the demand to be ready for.

    Having x ready for a demand D costs `too_few` for each unit of D beyond x and `too_many` for each
    unit of x beyond D; the mean cost is least where P(D <= x) = too_few / (too_few + too_many) (the
    newsvendor: Arrow, Harris and Marschak, Optimal Inventory Policy, Econometrica 19, 1951).

    Args:
        too_few: cost of one unit missing, above 0.
        too_many: cost of one unit idle for the same time, above 0.

    Raises:
        ValueError: a cost is not above 0.
    """
    if not (too_few > 0 and too_many > 0):
        raise ValueError("costs of too few and of too many must be above 0")
    return too_few / (too_few + too_many)
