"""What the metrics are: names, meanings, dimensions, and bounds on them. Measuring is `sim.stats.metrics`."""

from sim.metrics.conditions import Condition, condition
from sim.metrics.registry import METRICS, Metric, lookup, names_of

__all__ = ["METRICS", "Condition", "Metric", "condition", "lookup", "names_of"]
