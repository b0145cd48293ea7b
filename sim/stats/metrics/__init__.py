"""From a run's records to its numbers: `measure` gives every metric of `sim.metrics` by full name."""

from sim.stats.metrics.measure import measure

__all__ = ["measure"]
