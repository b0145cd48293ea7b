"""What monitoring makes of a service: samples every so often, some late, some lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.paas.policies.autoscalers.base import Observation

if TYPE_CHECKING:
    from sim.kernel.kernel import Kernel
    from sim.kernel.streams import Sampler


@dataclass(frozen=True, slots=True)
class Scrape:
    """How an autoscaler's view is measured.

    Attributes:
        period: seconds between two samples; each is the mean since the one before, though that got lost.
        delay: seconds until a sample can be read.
        missing: share of the samples that get lost.
    """

    period: float
    delay: float = 0.0
    missing: float = 0.0


class Scraper:
    """Takes samples and hands out the newest one that can be read.

    Args:
        kernel: the clock.
        scrape: how it is measured.
        observe: the sample of a moment; its means begin anew with each.
        uniform: draws from [0, 1), for samples that get lost.
    """

    def __init__(
        self, kernel: Kernel, scrape: Scrape, observe: Callable[[float], Observation], uniform: Sampler
    ) -> None:
        self._kernel = kernel
        self._scrape = scrape
        self._observe = observe
        self._uniform = uniform
        self._samples: deque[Observation] = deque()
        self._running = False
        self._due = 0.0

    def start(self) -> None:
        """Begin to take samples, the first one a period from now."""
        self._running = True
        self._next()

    def stop(self) -> None:
        """Take no more."""
        self._running = False

    def _next(self) -> None:
        self._due = self._kernel.now + self._scrape.period
        self._kernel.call_at(self._due, self._take)

    def _take(self) -> None:
        # A look at the same moment may have taken it already.
        if not self._running or self._kernel.now < self._due:
            return
        # Observed in any case, so that a lost sample does not lengthen the mean of the next.
        sample = self._observe(self._kernel.now)
        if self._uniform() >= self._scrape.missing:
            self._samples.append(sample)
        self._next()

    def newest(self, now: float, current: Observation) -> Observation | None:
        """The newest sample that can be read, with what is known without measuring; None if none can.

        Args:
            now: moment (s).
            current: what is known now: replicas asked for, ready and starting, bounds and lead time.
        """
        self._take()
        samples = self._samples
        # The slack keeps rounding of the clock from hiding a sample of exactly this age.
        readable = now - self._scrape.delay + 1e-9
        while len(samples) > 1 and samples[1].time <= readable:
            samples.popleft()
        if not samples or samples[0].time > readable:
            return None
        return replace(
            samples[0],
            wanted=current.wanted,
            ready=current.ready,
            starting=current.starting,
            minimum=current.minimum,
            maximum=current.maximum,
            lead_time=current.lead_time,
        )
