"""What the nodes of a pool have, its accelerators cut into slices where the pool says so."""

from __future__ import annotations

from dataclasses import dataclass

from sim import catalog
from sim.scenario.infrastructure import Infrastructure, Pool


@dataclass(frozen=True, slots=True)
class Offer:
    """One node of a pool.

    Attributes:
        instance: name of its type.
        cpu: virtual cores.
        memory: bytes.
        disk: bytes.
        accelerators: devices, or slices of devices.
        device: what each of these is, None for none.
        slices: how many of them make one device.
        network: bytes per second of its network card, None where nobody states it.
    """

    instance: str
    cpu: float
    memory: float
    disk: float
    accelerators: int
    device: str | None
    slices: int = 1
    network: float | None = None

    @property
    def called(self) -> str:
        """Its name for a person."""
        return self.instance if self.slices == 1 else f"{self.instance} in slices"


def offer(infrastructure: Infrastructure, pool: Pool) -> Offer | None:
    """What a node of the pool has; None if there is no such type, device or profile."""
    kind = infrastructure.instances.get(pool.instance)
    if kind is None and pool.instance in catalog.names("instance"):
        found = catalog.instance(pool.instance)
        accelerators, device = found.accelerators, found.device
        whole, network = (found.cpu, found.memory, found.disk), found.network
    elif kind is not None:
        accelerators, device = kind.accelerators, kind.device
        whole, network = (kind.cpu, kind.memory, kind.disk), kind.network
    else:
        return None
    if pool.slices is None:
        return Offer(pool.instance, *whole, accelerators, device, network=network)
    if device is None or pool.slices not in catalog.profiles(device):
        return None
    count = catalog.profiles(device)[pool.slices].count
    return Offer(pool.instance, *whole, accelerators * count, f"{device}:{pool.slices}", count, network)
