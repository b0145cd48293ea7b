"""Every policy of the platform layer; importing this package registers them all."""

from sim.paas.policies import (
    allocation,
    autoscalers,
    discipline,
    engines,
    filters,
    forecasters,
    node_scaling,
    order,
    preemption,
    recommenders,
    rounds,
    routers,
    scores,
    stabilisers,
    times,
)

__all__ = [
    "allocation",
    "autoscalers",
    "discipline",
    "engines",
    "filters",
    "forecasters",
    "node_scaling",
    "order",
    "preemption",
    "recommenders",
    "rounds",
    "routers",
    "scores",
    "stabilisers",
    "times",
]
