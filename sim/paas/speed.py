"""How fast a gang works: by accelerator, by number of workers, by how far apart its nodes are.

The work of a job is stated in seconds on its reference accelerator, with the workers it asked for, in
one piece; `rate` is how many of those seconds pass per second. Throughput by device and number of
workers is what Gavel (OSDI 2020) calls heterogeneity and Pollux (OSDI 2021) calls scaling; the price
of a spread gang is that of Tiresias (NSDI 2019, section 3.3).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.paas.topology import SPANS, Span, span

if TYPE_CHECKING:
    from sim.iaas.nodes import Node


@dataclass(frozen=True)
class Speed:
    """The rate model of a kind of job.

    Attributes:
        throughput: speed on a device against that on the reference; 1 where not given.
        scaling: (workers, speed-up) points of a concave curve from (0, 0), straight between them and
            flat behind the last; empty: the speed is proportional to the workers.
        slowdown: factor by which a gang takes longer that spans so much; a span that is not given
            costs as much as the next closer one, and a single node nothing.
    """

    throughput: Mapping[str, float] = field(default_factory=dict)
    scaling: tuple[tuple[float, float], ...] = ()
    slowdown: Mapping[Span, float] = field(default_factory=dict)

    def rate(self, workers: int, asked: int, devices: Iterable[str | None], across: Span) -> float:
        """Seconds of work done per second.

        Args:
            workers: of the gang.
            asked: workers that the work is stated for.
            devices: accelerators of its nodes; the slowest counts, for gangs wait for each other.
            across: how far apart its nodes are.
        """
        slowest = min(self.on(device) for device in devices)
        return slowest * self.scale(workers, asked) / self.slower(across)

    def on(self, device: str | None) -> float:
        """Speed on a device against that on the reference."""
        return 1.0 if device is None else self.throughput.get(device, 1.0)

    def scale(self, workers: int, asked: int) -> float:
        """Speed with so many workers against that with those asked for."""
        return 1.0 if workers == asked else self._speed_up(workers) / self._speed_up(asked)

    def slower(self, across: Span) -> float:
        """Factor by which a gang takes longer that spans so much."""
        factor = 1.0
        for level in SPANS[: SPANS.index(across) + 1]:
            factor = self.slowdown.get(level, factor)
        return factor

    def on_nodes(self, nodes: Sequence[Node], asked: int) -> float:
        """Seconds of work done per second by one worker on each of the nodes (a node may recur)."""
        if not (self.throughput or self.slowdown) and len(nodes) == asked:
            return 1.0
        devices = {None if node.type.device is None else node.type.device.name for node in nodes}
        across = span(nodes) if self.slowdown else "node"
        return self.rate(len(nodes), asked, devices, across)

    def best(self, workers: int, asked: int) -> float:
        """The rate on the best devices, in one place: no placement gives more."""
        return max([1.0, *self.throughput.values()]) * self.scale(workers, asked) / self.slower("node")

    def _speed_up(self, workers: float) -> float:
        points = ((0.0, 0.0), *self.scaling)
        if len(points) == 1:
            return workers
        at = bisect_right(points, workers, key=lambda point: point[0])
        if at == len(points):
            return points[-1][1]
        (x, y), (x2, y2) = points[at - 1], points[at]
        return y + (y2 - y) * (workers - x) / (x2 - x)


#: As fast everywhere, and proportional to the workers.
PLAIN = Speed()
