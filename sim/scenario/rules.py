"""What services and jobs say about labels, taints and other units."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Len
from pydantic import Field, model_validator

from sim.iaas.taints import Effect
from sim.paas import rules
from sim.scenario.fields import Name, Pattern, Spec

#: A key or value as in Kubernetes: `nvidia.com/gpu`, `a100`.
Label = Annotated[
    str,
    Pattern(
        r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$",
        "a label: letters, digits, dots, slashes, - and _, beginning and ending with a letter or digit",
        longest=253,
    ),
]

Weight = Annotated[int, Ge(1), Le(100)]


class Taint(Spec):
    """What keeps units away from the nodes of a pool unless they tolerate it."""

    key: Label = Field(description="what it is about")
    value: str = Field(default="", description="of the key")
    effect: Effect = Field(
        default="NoSchedule", description="keeps units away, or (PreferNoSchedule) scores against the nodes"
    )


class Toleration(Spec):
    """Taints that do not matter."""

    key: Label | None = Field(default=None, description="of the taints; all unless given")
    value: str | None = Field(default=None, description="of the taints; any unless given")
    effect: Effect | None = Field(default=None, description="of the taints; any unless given")


class Requirement(Spec):
    """A condition on a label of the node's pool, or on its `site`, `pool`, `instance` or `device`."""

    key: Label = Field(description="of the label")
    operator: rules.Operator = Field(default="In", description="how to compare")
    values: list[str] = Field(default=[], description="to compare with; one whole number for Gt and Lt")

    @model_validator(mode="after")
    def _values(self) -> Requirement:
        count = len(self.values)
        if self.operator in ("In", "NotIn") and not count:
            raise ValueError(f"{self.operator} needs `values`")
        if self.operator in ("Exists", "DoesNotExist") and count:
            raise ValueError(f"{self.operator} takes no `values`")
        if self.operator in ("Gt", "Lt"):
            digits = self.values[0].removeprefix("-") if count == 1 else ""
            if not digits.isdecimal():
                raise ValueError(f"{self.operator} needs `values` with one whole number")
        return self


Term = Annotated[list[Requirement], Len(1)]


class Preferred(Spec):
    """A term that counts for a node if it holds there."""

    weight: Weight = Field(description="1 to 100")
    match: Term = Field(description="conditions that must all hold")


class NodeAffinity(Spec):
    """Nodes by their labels."""

    required: list[Term] = Field(default=[], description="one of these lists of conditions must hold")
    preferred: list[Preferred] = Field(default=[], description="and these make a node better")


class Company(Spec):
    """Other units, and the domain they are looked for in."""

    topology: rules.Topology = Field(default="node", description="what a domain is")
    names: list[Name] = Field(
        default=[], description="services or kinds of jobs; the own service or job unless given"
    )
    weight: Weight | None = Field(default=None, description="1 to 100; a must unless given")


class SpreadRule(Spec):
    """How evenly the units of a service or job lie over domains."""

    topology: rules.Topology = Field(default="node", description="what a domain is")
    max_skew: Annotated[int, Ge(1)] = Field(
        default=1, description="most by which a domain may hold more than the emptiest"
    )
    when: Literal["must", "may"] = Field(default="must", description="a must, or only a preference")


class Placement(Spec):
    """What one unit says about where it may and would like to run."""

    tolerations: list[Toleration] = Field(default=[], description="taints that do not matter")
    nodes: NodeAffinity = Field(default=NodeAffinity(), description="nodes by their labels")
    near: list[Company] = Field(default=[], description="units it must, or would like to, run near")
    apart: list[Company] = Field(default=[], description="units it must, or would like to, be away from")
    spread: list[SpreadRule] = Field(default=[], description="evenness over domains")

    def rules(self) -> rules.Rules:
        """The same for the scheduler."""
        return rules.Rules(
            tuple(rules.Toleration(each.key, each.value, each.effect) for each in self.tolerations),
            tuple(map(_term, self.nodes.required)),
            tuple((each.weight, _term(each.match)) for each in self.nodes.preferred),
            tuple(
                rules.Company(each.topology, tuple(each.names), apart, each.weight)
                for apart, given in ((False, self.near), (True, self.apart))
                for each in given
            ),
            tuple(
                rules.SpreadRule(each.topology, each.max_skew, each.when == "must") for each in self.spread
            ),
        )


def _term(conditions: list[Requirement]) -> rules.Term:
    return tuple(rules.Requirement(each.key, each.operator, tuple(each.values)) for each in conditions)
