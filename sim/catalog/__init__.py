"""Devices, instance types, models, grids, links, presets and figures: real ones, with sources.

`device("t4")`, `instance("g4dn.xlarge")`, ... return frozen cards in SI units; an unknown name
raises `UsageError` and names the nearest one. Importing this package reads no file: each kind is
loaded when it is first asked for.
"""

from __future__ import annotations

from sim.catalog.cards import Card, Curve, Device, Figure, Grid, Instance, LinkKind, Model, Preset
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
    "profiles",
]
