"""Every policy of the platform layer; importing this package registers them all."""

from sim.paas.policies import (
    autoscalers,
    discipline,
    engines,
    filters,
    forecasters,
    order,
    routers,
    scores,
    times,
)

__all__ = [
    "autoscalers",
    "discipline",
    "engines",
    "filters",
    "forecasters",
    "order",
    "routers",
    "scores",
    "times",
]
