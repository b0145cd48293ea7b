"""Which of several alternatives no other one beats in everything."""

from __future__ import annotations

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
