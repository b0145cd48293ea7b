"""What a manifest becomes: a policy with its parameters, and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Context:
    """What a translation needs of the scenario.

    Attributes:
        signals: signal by name of the metric.
        cores: that a replica requests.
    """

    signals: Mapping[str, str] = field(default_factory=dict)
    cores: float = 1.0


class Translation(NamedTuple):
    """An autoscaler as a scenario writes it.

    Attributes:
        policy: mapping for `autoscaler`.
        minimum: fewest replicas.
        maximum: most; None where the manifest states none.
        initial: at the start; None where the manifest states none.
    """

    policy: dict[str, Any]
    minimum: int
    maximum: int | None
    initial: int | None = None
