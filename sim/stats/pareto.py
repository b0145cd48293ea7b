"""Which of several alternatives no other one beats in everything."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[Sequence[float]], better: Sequence[str]) -> list[int]:
    """Positions of the points that no other dominates, in their order.

    One point dominates another when it is at least as good in every coordinate and better in one, so
    equal points do not push each other out.

    Args:
        points: coordinates of each; none may be NaN.
        better: "low" or "high" for each coordinate.
    """
    signs = [1.0 if direction == "low" else -1.0 for direction in better]
    costs = [[sign * value for sign, value in zip(signs, point, strict=True)] for point in points]

    def dominated(mine: Sequence[float]) -> bool:
        return any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in costs)

    return [index for index, mine in enumerate(costs) if not dominated(mine)]


def cheapest(points: Sequence[tuple[float, float]]) -> list[tuple[int, float, float]]:
    """Which point has the least x + r y, for every price r from 0 up: the lower convex hull of the points.

    Points of the Pareto front above the hull are best at no price. The first of equal points counts.

    Args:
        points: coordinates of each, to be small; none may be NaN.

    Returns:
        Position of a point and the prices from and to which it is best, in order of the price; the
        last goes to infinity.
    """
    if not points:
        return []
    here = min(range(len(points)), key=lambda index: points[index])
    price = 0.0
    found: list[tuple[int, float, float]] = []
    while True:
        x, y = points[here]
        # The price at which each lower point draws level.
        rivals = [((px - x) / (y - py), py, index) for index, (px, py) in enumerate(points) if py < y]
        if not rivals:
            return [*found, (here, price, math.inf)]
        until, _, after = min(rivals)
        # Of the cheapest that need no price at all only the last is best.
        if until > price:
            found.append((here, price, until))
        here, price = after, until
