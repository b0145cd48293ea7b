"""What there is: sites, node pools, links, storage, faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import Field, GetJsonSchemaHandler, model_validator

from sim.kernel.distribution import Distribution
from sim.kernel.distributions import Constant
from sim.scenario.faults import Problem, Problems, shown
from sim.scenario.fields import DistributionOf, Marker, Name, Pattern, Spec
from sim.scenario.rules import Label, Taint
from sim.units import (
    Bytes,
    BytesPerSecond,
    Cores,
    DollarsPerByte,
    DollarsPerSecond,
    JoulesPerByte,
    PositiveSeconds,
    Quantity,
    Seconds,
    Watts,
    pattern,
)

Duration = Annotated[Distribution, DistributionOf("duration")]

#: Time to or of a failure: one value is the mean of an exponential (failures without memory).
FaultTime = Annotated[Distribution, DistributionOf("duration", bare="exponential")]

#: How many of a thing there can be; bounds the memory that one number in a file can ask for.
Count = Annotated[int, Ge(0), Le(1_000_000)]

#: Largest number of nodes of a pool and of replicas of a service; each is an object with its own records.
MOST = 100_000
Amount = Annotated[int, Ge(0), Le(MOST)]

#: A name like those of the catalog, such as g5.xlarge.
InstanceName = Annotated[
    str,
    Pattern(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "a name: letters, digits, dots, - and _, at most 64 of them"),
]

#: `site`, `site/pool` or `site/pool/node`.
Target = Annotated[
    str,
    Pattern(
        r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,2}$", "a site, `site/pool` or `site/pool/<number>`", longest=200
    ),
]


@dataclass(frozen=True, slots=True)
class PowerCurve(Marker):
    """Watts by utilisation, `{0%: 70W, 100%: 250W}`; validates to points by rising utilisation."""

    def check(self, value: Any, context: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
        """The points, at least one."""
        if not isinstance(value, dict) or not value:
            raise ValueError(
                f"expected watts by utilisation, such as {{0%: 70W, 100%: 250W}}, got {shown(value)}"
            )
        points: dict[float, float] = {}
        found = []
        for share, watts in value.items():
            try:
                at = Quantity("fraction", ge=0, le=1).check(share)
                if at in points:
                    raise ValueError(f"the utilisation {at:g} stands twice")
                points[at] = Quantity("power", ge=0).check(watts)
            except ValueError as error:
                found.append(Problem((share,), str(error)))
        if found:
            raise Problems(found)
        return tuple(sorted(points.items()))

    def json_schema(self) -> dict[str, Any]:
        """A mapping whose keys are fractions and whose values are powers."""
        watts = Watts.__metadata__[0].__get_pydantic_json_schema__(None, None)  # type: ignore[attr-defined]
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": pattern("fraction")},
            "additionalProperties": watts,
        }

    def plain(self, value: tuple[tuple[float, float], ...]) -> dict[str, str]:
        """The mapping that `check` reads back."""
        return {repr(share): f"{watts!r}W" for share, watts in value}


class Bounds(Spec):
    """How many there are at the start and may be at any time; one number fixes all three."""

    initial: Amount = Field(description="number at the start")
    min: Amount = Field(description="never fewer; the initial number unless given")
    max: Amount = Field(description="never more; the initial number unless given")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        value = cls.short(value)
        given = value.get("initial", value.get("min", value.get("max"))) if isinstance(value, dict) else None
        if given is None:
            raise ValueError(
                f"expected a whole number or a mapping with initial, min and max, got {shown(value)}"
            )
        # A wrong number is reported once, at its own key.
        filled = given if isinstance(given, int) else 0
        return {"initial": filled, "min": filled, "max": filled} | value

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if not self.min <= self.initial <= self.max:
            raise ValueError(
                f"min <= initial <= max must hold, got min {self.min}, initial {self.initial}, max {self.max}"
            )
        return self

    @staticmethod
    def short(value: Any) -> Any:
        """The mapping that one number stands for, or the value itself."""
        if isinstance(value, int) and not isinstance(value, bool):
            return {"initial": value, "min": value, "max": value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(schema)
        inner = handler.resolve_ref_schema(made)
        inner.pop("required", None)
        inner["minProperties"] = 1
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST}, made]}


class Instance(Spec):
    """An instance type of your own, where the catalog has none that fits."""

    cpu: Cores = Field(description="virtual cores")
    memory: Bytes = Field(description="main memory")
    disk: Bytes = Field(default=0.0, description="local disk")
    device: str | None = Field(
        default=None, description="accelerator in the catalog (`stratus list devices`)"
    )
    accelerators: Count = Field(default=0, description="number of accelerators")
    network: BytesPerSecond | None = Field(default=None, description="bandwidth of its network card")
    price: DollarsPerSecond = Field(default=0.0, description="price while it is on")
    power: Annotated[tuple[tuple[float, float], ...], PowerCurve()] | None = Field(
        default=None, description="watts by utilisation, such as {0%: 70W, 100%: 250W}"
    )
    source: str = Field(default="", description="where the figures come from")


class Pool(Spec):
    """Nodes of one instance type at a site; it grows and shrinks between its bounds."""

    instance: str = Field(
        description="instance type: of `instances`, or of the catalog (`stratus list instances`)"
    )
    nodes: Bounds = Field(default=Bounds(initial=1, min=1, max=1), description="number of nodes")
    provisioning: Duration = Field(
        default=Constant(60.0), description="from the request to the start of the boot"
    )
    boot: Duration = Field(default=Constant(30.0), description="from the start of the boot to ready")
    idle_timeout: Seconds = Field(
        default=300.0,
        description="an empty node above `min` is given back after this, unless `node_scaling` removes nodes",
    )
    slices: str | None = Field(
        default=None,
        description="profile that each accelerator is cut into (MIG), such as 2g.10gb: a slice counts as one "
        "accelerator, of the device `a100-sxm-40:2g.10gb`",
    )
    price: DollarsPerSecond | None = Field(
        default=None, description="instead of the price of the instance type"
    )
    rack_size: Annotated[int, Ge(1), Le(MOST)] | None = Field(
        default=None, description="nodes that share a rack; the pool is one rack unless given"
    )
    nvlink_size: Annotated[int, Ge(1), Le(MOST)] = Field(
        default=1, description="nodes that share an NVLink switch, as 18 in an NVL72"
    )
    labels: dict[Label, str] = Field(default={}, description="labels of its nodes, for node affinity")
    taints: list[Taint] = Field(default=[], description="what keeps units away unless they tolerate it")


class Site(Spec):
    """A place: where users or devices are, an edge room, a cloud region."""

    kind: Literal["device", "edge", "cloud"] = Field(description="device (users, sensors), edge or cloud")
    grid: str | None = Field(default=None, description="electricity grid for carbon (`stratus list grids`)")
    pue: Annotated[float, Ge(1), Le(10)] = Field(
        default=1.0, description="power of the whole site / power of its IT"
    )
    pools: dict[Name, Pool] = Field(default={}, description="node pools by name")


class Link(Spec):
    """A connection between two sites, equal and independent in both directions."""

    between: Annotated[list[str], Len(2, 2)] = Field(description="the two sites")
    kind: str | None = Field(
        default=None, description="catalog link for latency and bandwidth (`stratus list links`)"
    )
    latency: Duration | None = Field(default=None, description="one-way latency")
    bandwidth: BytesPerSecond | None = Field(default=None, description="per direction")
    price: DollarsPerByte = Field(default=0.0, description="price of moved data")
    energy: JoulesPerByte = Field(default=0.0, description="energy of moved data, as 0.06 kWh/GB")


class Network(Spec):
    """Links and how transfers share them."""

    sharing: Literal["max-min", "constant"] = Field(
        default="max-min", description="max-min: transfers share bandwidth fairly; constant: no contention"
    )
    links: dict[Name, Link] = Field(default={}, description="links by name")


class Storage(Spec):
    """The object store that images and weights come from."""

    site: str = Field(description="site it stands at")
    bandwidth: BytesPerSecond = Field(default=1.25e9, description="of the store itself")


class Crashes(Spec):
    """Random crashes of the nodes of a pool; one value is the mean of an exponential."""

    mtbf: FaultTime = Field(description="time from ready to the next crash, per node")
    mttr: FaultTime = Field(description="time from the crash to repaired")


class ScriptedFault(Spec):
    """An outage at a given moment."""

    at: Seconds = Field(description="when it begins")
    target: Target = Field(description="a site, `site/pool` or `site/pool/<number of the node>`")
    duration: PositiveSeconds = Field(alias="for", description="how long it lasts")


class Faults(Spec):
    """What breaks."""

    crashes: dict[Target, Crashes] = Field(default={}, description="random crashes by `site/pool`")
    script: list[ScriptedFault] = Field(default=[], description="outages at given moments")


class Infrastructure(Spec):
    """What there is: machines, networks, storage, and how they fail."""

    instances: dict[InstanceName, Instance] = Field(
        default={}, description="instance types of your own, by name"
    )
    sites: Annotated[dict[Name, Site], Len(1)] = Field(description="sites by name")
    network: Network = Field(default=Network(), description="links between the sites")
    storage: Storage | None = Field(
        default=None, description="store of images and weights; none: they are local"
    )
    faults: Faults = Field(default=Faults(), description="crashes and outages")
