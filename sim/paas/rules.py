"""What a unit says about the nodes it may or would like to run on, beside site, pool and device.

The vocabulary is that of a Kubernetes pod: tolerations, node affinity, affinity to and against other
units, and spreading over domains. All of it is hashable, so that it is part of a unit's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.iaas.taints import Effect, Taint

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

#: The domains of a rule about other units: each holds the nodes with the same value.
Topology = Literal["node", "nvlink", "rack", "site"]


@dataclass(frozen=True, slots=True)
class Toleration:
    """Taints that do not matter.

    Attributes:
        key: of the taints; None for all.
        value: of the taints; None for any (operator Exists).
        effect: of the taints; None for any.
    """

    key: str | None = None
    value: str | None = None
    effect: Effect | None = None

    def covers(self, taint: Taint) -> bool:
        """Whether that taint does not matter."""
        return (
            (self.effect is None or self.effect == taint.effect)
            and (self.key is None or self.key == taint.key)
            and (self.value is None or self.value == taint.value)
        )


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on one label of a node.

    Attributes:
        key: a label of the node's pool, or one of `site`, `pool`, `instance`, `device`.
        operator: NotIn and DoesNotExist also hold where there is no such label; Gt and Lt compare
            whole numbers with the single value.
        values: to compare with; none for Exists and DoesNotExist.
    """

    key: str
    operator: Operator = "In"
    values: tuple[str, ...] = ()

    def holds(self, value: str | None) -> bool:
        """Whether a node with that value of the label (None: without the label) fulfils it."""
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        try:
            have, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return have > bound if self.operator == "Gt" else have < bound


#: Requirements that must all hold.
Term = tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """Other units that this one wants in its domain, or does not want there.

    Attributes:
        topology: what a domain is.
        names: services or job classes; empty for the unit's own service or job.
        apart: whether they are to be avoided.
        weight: 1..100 for a preference; None for a must.
    """

    topology: Topology
    names: tuple[str, ...] = ()
    apart: bool = False
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """How evenly the units of one service or job lie over the domains.

    Attributes:
        topology: what a domain is.
        max_skew: most by which one domain may hold more than the emptiest.
        required: whether that is a must or only a preference.
    """

    topology: Topology
    max_skew: int = 1
    required: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """All that one unit says.

    Attributes:
        tolerations: taints that do not matter to it.
        required: node affinity: one of these terms must hold; none given, any node will do.
        preferred: node affinity: (weight, term).
        company: other units near it, or away from it.
        spread: evenness over domains.
    """

    tolerations: tuple[Toleration, ...] = ()
    required: tuple[Term, ...] = ()
    preferred: tuple[tuple[int, Term], ...] = ()
    company: tuple[Company, ...] = ()
    spread: tuple[SpreadRule, ...] = ()


#: Of a unit that says nothing.
NO_RULES = Rules()
