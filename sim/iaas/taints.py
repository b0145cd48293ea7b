"""Taints: what keeps units from the nodes of a pool unless they say that they tolerate it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


@dataclass(frozen=True, slots=True)
class Taint:
    """A mark of a node, as in Kubernetes.

    Attributes:
        key: what it is about.
        value: of it.
        effect: NoSchedule and NoExecute keep units away, PreferNoSchedule only scores against them.
    """

    key: str
    value: str = ""
    effect: Effect = "NoSchedule"
