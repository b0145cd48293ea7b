"""A kind of machine, as a pool offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.catalog import Device
from sim.iaas.resources import Resources
from sim.iaas.taints import Taint


@dataclass(frozen=True, slots=True)
class NodeType:
    """A kind of machine.

    Attributes:
        name: of the instance type.
        capacity: what units may take of it.
        device: its accelerator (or the processor that runs models), None for none in the catalog.
        price: USD per second.
        power: (utilisation 0..1, watts) points of its power curve.
        rack_size: nodes of a pool that share a rack, filled in order; None: the whole pool is one rack.
        nvlink_size: nodes of a pool that share one NVLink (or like) switch; 1: each has only its own.
        labels: what the pool says about its nodes.
        taints: what keeps units away that do not tolerate it.
        carbon: grams of CO2e per joule it draws, its site's PUE included, for each hour of the day
            (UTC); empty where that is not known.
        network: bytes per second of its network card in each direction, None where that is not known.
    """

    name: str
    capacity: Resources
    device: Device | None = None
    price: float = 0.0
    power: tuple[tuple[float, float], ...] = ()
    rack_size: int | None = None
    nvlink_size: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    carbon: tuple[float, ...] = ()
    network: float | None = None

    def __post_init__(self) -> None:
        if min(self.capacity) < 0.0 or not (self.capacity.cpu > 0.0 or self.capacity.accelerators > 0.0):
            raise ValueError(f"node type {self.name!r} needs cores or accelerators, and nothing below zero")
        if self.nvlink_size < 1 or (self.rack_size is not None and self.rack_size < 1):
            raise ValueError(f"node type {self.name!r}: racks and NVLink domains hold at least one node")
