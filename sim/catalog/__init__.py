"""Devices, instance types, models, grids, links, presets, figures and profiles: real ones, with sources.

`device("t4")`, `instance("g4dn.xlarge")`, ... return frozen cards in SI units; an unknown name
raises `UsageError` and names the nearest one. Importing this package reads no file: each kind is
loaded when it is first asked for.
"""

from __future__ import annotations

from sim.catalog.cards import Card, Curve, Device, Figure, Grid, Instance, LinkKind, Model, Preset, Profile
from sim.catalog.describing import describe
from sim.catalog.loading import (
    KINDS,
    card,
    device,
    figure,
    grid,
    has_device,
    instance,
    link,
    model,
    names,
    preset,
    profile,
)
from sim.catalog.slices import Slice, profiles

__all__ = [
    "KINDS",
    "Card",
    "Curve",
    "Device",
    "Figure",
    "Grid",
    "Instance",
    "LinkKind",
    "Model",
    "Preset",
    "Profile",
    "Slice",
    "card",
    "describe",
    "device",
    "figure",
    "grid",
    "has_device",
    "instance",
    "link",
    "model",
    "names",
    "preset",
    "profile",
    "profiles",
]
