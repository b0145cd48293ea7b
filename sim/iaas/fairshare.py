"""Max-min fair rates of flow classes on links of limited capacity: a pure function.

A class is a set of flows on the same path; all flows of a class get the same rate, so a class of
`n` flows weighs `n` on each of its links. An allocation is max-min fair exactly when no link is
overloaded and every flow has a bottleneck: a full link on which no other flow is faster
(Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2). Water filling finds it: the link
that offers the smallest equal share is the bottleneck of all its flows; fix those, take them off
the other links, and go on with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence


def fair_rates(
    capacities: Sequence[float], paths: Sequence[Sequence[int]], counts: Sequence[int]
) -> list[float]:
    """The max-min fair rate of one flow of each class.

    Args:
        capacities: bytes per second of each link; zero stalls every flow that crosses it.
        paths: for each class the indices of its links, each at most once, at least one.
        counts: for each class how many flows it has, at least one.

    Returns:
        Bytes per second of each flow of the class, in the order of `paths`.
    """
    left = [float(capacity) for capacity in capacities]
    waiting = [0] * len(left)
    members: list[list[int]] = [[] for _ in left]
    for index, path in enumerate(paths):
        for link in path:
            waiting[link] += counts[index]
            members[link].append(index)
    rates = [-1.0] * len(paths)
    open_links = [link for link, flows in enumerate(waiting) if flows]
    while open_links:
        share, bottleneck = min((left[link] / waiting[link], link) for link in open_links)
        for index in members[bottleneck]:
            if rates[index] >= 0.0:
                continue
            rates[index] = share
            for link in paths[index]:
                waiting[link] -= counts[index]
                # Rounding may take a hair too much off a link that is filled to the brim.
                left[link] = max(0.0, left[link] - share * counts[index])
        open_links = [link for link in open_links if waiting[link]]
    return rates
