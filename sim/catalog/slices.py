"""Accelerators cut into isolated slices of one profile, each a device of its own.

`device("a100-sxm-40:2g.10gb")` is such a slice: its share of the compute units, of the memory and of
the memory bandwidth. Its power is not stated, since no source divides it; what a batch costs
whatever its size is taken to be that of the whole device.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from sim.catalog.cards import Device

#: Between the name of a device and the profile it is cut into.
MARK = ":"


@dataclass(frozen=True, slots=True)
class Slice:
    """A profile of one kind of device.

    Attributes:
        name: as NVIDIA calls it, `2g.10gb`.
        computing: share of the device's compute units.
        memory: share of its memory, and of the bandwidth to it.
        count: slices of this profile that one device can hold.
    """

    name: str
    computing: float
    memory: float
    count: int


@cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("slices.json").read_text(encoding="utf-8"))
    return found


@cache
def profiles(device: str) -> dict[str, Slice]:
    """What a device can be cut into, by name, the smallest first; nothing for one that cannot."""
    row = _data()["rows"].get(device)
    if row is None:
        return {}
    family = _data()["families"][row["family"]]
    return {
        name: Slice(
            name,
            float(Fraction(family[kind]["computing"])),
            float(Fraction(family[kind]["memory"])),
            family[kind]["count"],
        )
        for kind, name in row["names"].items()
    }


def cut(device: Device, profile: str) -> Device:
    """One slice of a device.

    Raises:
        KeyError: it has no such profile.
    """
    part = profiles(device.name)[profile]
    sources = _data()["sources"]
    return dataclasses.replace(
        device,
        name=f"{device.name}{MARK}{profile}",
        peak={precision: value * part.computing for precision, value in device.peak.items()},
        memory=device.memory * part.memory,
        bandwidth=None if device.bandwidth is None else device.bandwidth * part.memory,
        idle_w=None,
        peak_w=None,
        source="; ".join([device.source, *(sources[key] for key in _data()["rows"][device.name]["source"])]),
        note=f"one of {part.count} slices of {device.name}; its overhead is taken to be that of the whole",
    )
