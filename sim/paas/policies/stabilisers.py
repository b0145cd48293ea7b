"""Stabilisers: what becomes of a wish for replicas, given those before it.

A stabiliser is a policy with `hold(wish, current, now)`; `current` is the number asked for at
present. It acquires its memory in `start()`.
"""

from __future__ import annotations

from math import inf
from typing import Annotated, Protocol

from annotated_types import Ge

from sim.paas.autoscaling import hpa_behaviour, ray_serve
from sim.registry import policy
from sim.units import Seconds


class Stabiliser(Protocol):
    """What `composed` asks of a stabiliser."""

    def start(self) -> None:
        """Forget everything."""

    def hold(self, wish: int, current: int, now: float) -> int:
        """Replicas after the wish has been held back."""


@policy("stabiliser", "window")
class Window:
    """The wish nearest to the present number among those of the last seconds, as Kubernetes does.

    Up: the lowest of the last `up` seconds; down: the highest of the last `down` seconds.
    """

    up: Seconds = 0.0
    down: Seconds = 300.0

    def start(self) -> None:
        """Forget everything."""
        self._log: hpa_behaviour.Log = []

    def hold(self, wish: int, current: int, now: float) -> int:
        """Replicas after the wish has been held back."""
        longest = max(self.up, self.down)
        self._log = [(moment, value) for moment, value in self._log if now - moment < longest]
        held = hpa_behaviour.stabilise(wish, current, self._log, now, self.up, self.down)
        self._log.append((now, wish))
        return held


@policy("stabiliser", "cooldown")
class Cooldown:
    """No change for a time after the last one: `up` seconds before a rise, `down` before a fall."""

    up: Seconds = 0.0
    down: Seconds = 300.0

    def start(self) -> None:
        """Forget everything."""
        self._changed = -inf
        self._known: int | None = None

    def hold(self, wish: int, current: int, now: float) -> int:
        """Replicas after the wish has been held back."""
        if self._known is not None and current != self._known:
            # Changed by somebody else meanwhile: a bound, or a call that woke the service.
            self._changed = now
        wait = self.up if wish > current else self.down
        if wish != current and now - self._changed < wait:
            wish = current
        if wish != current:
            self._changed = now
        self._known = wish
        return wish


@policy("stabiliser", "persistence")
class Persistence:
    """A wish in one direction must last, without a flip, for `up` or `down` seconds, as Ray Serve has it."""

    up: Seconds = 30.0
    down: Seconds = 600.0

    def start(self) -> None:
        """Forget everything."""
        self._delay = ray_serve.Delay()

    def hold(self, wish: int, current: int, now: float) -> int:
        """Replicas after the wish has been held back."""
        config = ray_serve.AutoscalingConfig(upscale_delay=self.up, downscale_delay=self.down)
        return self._delay.apply(wish, current, config, now)


@policy("stabiliser", "step-limit")
class StepLimit:
    """At most so many replicas more, or fewer, in one look."""

    up: Annotated[int, Ge(1)] = 4
    down: Annotated[int, Ge(1)] = 1

    def start(self) -> None:
        """Nothing to forget."""

    def hold(self, wish: int, current: int, now: float) -> int:
        """Replicas after the wish has been held back."""
        return min(max(wish, current - self.down), current + self.up)
