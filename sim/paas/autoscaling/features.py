"""What a learning autoscaler sees of its service: nine numbers that mean the same at any size.

Loads are relative to a number of replicas: those asked for, or, for an agent that corrects another
autoscaler, those that one wants. So an agent trained on one service can be tried on another. All are
held within the bounds of `LOW` and `HIGH`.
"""

from __future__ import annotations

from math import cos, isnan, nan, pi, sin

import numpy as np
import numpy.typing as npt

from sim.paas.policies.autoscalers.base import Observation

Vector = npt.NDArray[np.float64]

#: The features, in order.
NAMES = ("load", "ahead", "trend", "wait", "starting", "size", "day_sin", "day_cos", "held")

#: Bounds of each.
LOW = np.array([0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0])
HIGH = np.array([3.0, 3.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0, 3.0])


def features(seen: Observation, day: float, wish: int | None = None, foreseen: float = nan) -> Vector:
    """The state of a service for a learning agent.

    Args:
        seen: observation of the loop.
        day: seconds after which the load tends to repeat.
        wish: replicas that loads are relative to; those asked for at present if None.
        foreseen: calls/s expected when a replica asked for now would be ready, where somebody says so.

    Returns:
        load: rate over what the replicas of the wish can serve.
        ahead: the same with the rate foreseen; else with that of a day before the moment a replica
            asked for now would be ready; the present one while the history is shorter.
        trend: change of the load over a lead time.
        wait: seconds the backlog needs at the pace of the ready replicas, over a minute.
        starting: share of the replicas asked for that do not take calls yet.
        size: replicas of the wish, over the most allowed.
        day_sin, day_cos: time of day.
        held: replicas asked for over those of the wish.
    """
    reference = max(1, seen.wanted if wish is None else wish)
    pace = seen.capacity * reference
    history = seen.history
    ahead = then = seen.rate
    if len(history.rates):
        last = len(history.rates) - 1
        due = last + round((seen.lead_time - day) / history.width)
        ahead = float(history.rates[due]) if due >= 0 else ahead
        then = float(history.rates[max(0, last - round(seen.lead_time / history.width))])
    if not isnan(foreseen):
        ahead = foreseen
    angle = 2 * pi * (seen.time % day) / day
    found = np.array(
        [
            seen.rate / pace,
            ahead / pace,
            (seen.rate - then) / pace,
            seen.queued / (seen.capacity * max(1, seen.ready)) / 60.0,
            max(0, seen.starting) / max(1, seen.wanted),
            reference / max(1, seen.maximum),
            sin(angle),
            cos(angle),
            seen.wanted / reference,
        ]
    )
    held: Vector = np.clip(np.nan_to_num(found, nan=0.0, posinf=np.inf), LOW, HIGH)
    return held


def scaled(state: Vector) -> Vector:
    """Features brought to -1 .. 1, as networks take them."""
    found: Vector = 2 * (state - LOW) / (HIGH - LOW) - 1
    return found


def change(action: int, actions: int, replicas: int, share: float) -> int:
    """Replicas after an action: 0 .. actions - 1 mean -k .. +k steps, a step being a share of the replicas.

    A step is at least one replica.
    """
    size = max(1, round(share * replicas))
    return max(0, replicas + (action - actions // 2) * size)
