"""Reads the JSON files beside this module into cards, once per kind and on first use.

A file is `{"about": ..., "sources": {key: text}, "rows": {name: {...}}}`. Quantities are written with
their units and parsed by `sim.units`; `source` of a row lists keys of `sources`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sim.catalog.cards import Card, Curve, Device, Figure, Grid, Instance, LinkKind, Model, Preset, Profile
from sim.catalog.curves import compose
from sim.catalog.slices import MARK, cut, profiles
from sim.errors import UsageError, did_you_mean
from sim.units import parse

Row = Mapping[str, Any]

#: Bytes of one weight at each precision; a format's scales and zero points are not counted.
BYTES = {"fp32": 4.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5, "int4": 0.5}


def _get(row: Row, key: str, dimension: str) -> float | None:
    return parse(row[key], dimension) if key in row else None


def _common(row: Row, sources: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": "; ".join(sources[key] for key in row["source"]),
        "note": row.get("note", ""),
        "verified": row.get("verified", True),
    }


def _device(name: str, row: Row, common: dict[str, Any]) -> Device:
    return Device(
        name=name,
        kind=row["kind"],
        peak={precision: parse(value, "flops") for precision, value in row["peak"].items()},
        memory=parse(row["memory"], "bytes"),
        bandwidth=_get(row, "bandwidth", "bandwidth"),
        idle_w=_get(row, "idle", "power"),
        peak_w=_get(row, "full", "power"),
        efficiency=parse(row["efficiency"], "fraction"),
        memory_efficiency=parse(row["memory_efficiency"], "fraction"),
        overhead=parse(row["overhead"], "duration"),
        all_reduce={
            int(number): (parse(latency, "duration"), parse(bandwidth, "bandwidth"))
            for number, (latency, bandwidth) in row.get("all_reduce", {}).items()
        },
        **common,
    )


def _curve(row: Row) -> Curve:
    """The points of the row where it has them, else the sum of the machine's parts."""
    if "power" in row:
        return tuple((parse(at, "fraction"), parse(watts, "power")) for at, watts in row["power"].items())
    owned = device(row["device"]) if "device" in row else None
    if owned is not None and (owned.idle_w is None or owned.peak_w is None):
        return ()
    return compose(row["cpu"], parse(row["memory"], "bytes"), owned, row.get("accelerators", 0))


def _instance(name: str, row: Row, common: dict[str, Any]) -> Instance:
    return Instance(
        name=name,
        provider=row["provider"],
        cpu=float(row["cpu"]),
        memory=parse(row["memory"], "bytes"),
        disk=parse(row.get("disk", 0), "bytes"),
        device=row.get("device"),
        accelerators=row.get("accelerators", 0),
        network=_get(row, "network", "bandwidth"),
        price=_get(row, "price", "price"),
        spot_price=_get(row, "spot_price", "price"),
        power=_curve(row),
        region=row.get("region", ""),
        date=row.get("date", ""),
        **common,
    )


def _model(name: str, row: Row, common: dict[str, Any]) -> Model:
    return Model(
        name=name,
        task=row["task"],
        item=row["item"],
        flop=_get(row, "flop", "flop"),
        parameters=float(row["parameters"]),
        bytes_per_parameter=BYTES,
        activation_bytes=parse(row.get("activations", 0), "bytes"),
        input=row["input"],
        active_parameters=float(row.get("active_parameters", row["parameters"])),
        kv_bytes_per_token=parse(row.get("kv_per_token", 0), "bytes"),
        context=row.get("context", 0),
        layers=row.get("layers", 0),
        hidden=row.get("hidden", 0),
        attention=row.get("attention", 0),
        experts=row.get("experts", 0),
        experts_per_token=row.get("experts_per_token", 0),
        tables=float(row.get("tables", 0)),
        gathered=float(row.get("gathered", 0)),
        decoder=float(row.get("decoder", 0)),
        cross=float(row.get("cross", 0)),
        quality=row.get("quality", {}),
        **common,
    )


def _grid(name: str, row: Row, common: dict[str, Any]) -> Grid:
    mean = parse(row["mean"], "carbon_intensity")
    hours = row.get("hourly_g_per_kWh")
    hourly = (mean,) * 24 if hours is None else tuple(value / 3.6e6 for value in hours)
    price = row["usd_per_MWh"] / 3.6e9 if "usd_per_MWh" in row else None
    return Grid(name=name, mean=mean, hourly=hourly, price=price, **common)


def _link(name: str, row: Row, common: dict[str, Any]) -> LinkKind:
    return LinkKind(
        name=name,
        latency=parse(row["latency"], "duration"),
        bandwidth=_get(row, "bandwidth", "bandwidth"),
        jitter=row.get("jitter"),
        **common,
    )


def _bursts(row: Row) -> tuple[float, float] | None:
    found = row.get("bursts")
    return None if found is None else (found["share"], parse(found["gap"], "duration"))


def _preset(name: str, row: Row, common: dict[str, Any]) -> Preset:
    return Preset(
        name=name,
        kind=row["kind"],
        rate=_get(row, "rate", "rate"),
        dispersion=row.get("dispersion"),
        quantiles=row.get("quantiles", {}),
        shares=row.get("shares", {}),
        curve=tuple(row.get("curve", ())),
        week=tuple(row.get("week", ())),
        bursts=_bursts(row),
        **common,
    )


#: Coefficients of a profile, in seconds.
COEFFICIENTS = ("base", "per_prompt_token", "per_square", "per_sequence", "per_context_token")


def _profile(name: str, row: Row, common: dict[str, Any]) -> Profile:
    plain = ("model", "device", "accelerators", "precision", "engine", "method", "licence")
    fit: dict[str, Any] = {key: row[key] for key in (*plain, "error", "worst", "points")}
    fit |= {key: parse(row.get(key, 0.0), "duration") for key in COEFFICIENTS}
    return Profile(name=name, **fit, **common)


def _figure(name: str, row: Row, common: dict[str, Any]) -> Figure:
    mass = row["dimension"] == "carbon"  # in grams: no scenario quantity, so `parse` has no unit for it
    value = float(row["value"]) if mass else parse(row["value"], row["dimension"])
    return Figure(name=name, value=value, dimension=row["dimension"], meaning=row["meaning"], **common)


_MAKERS: dict[str, tuple[str, Callable[[str, Row, dict[str, Any]], Card]]] = {
    "device": ("devices", _device),
    "instance": ("instances", _instance),
    "model": ("models", _model),
    "grid": ("grids", _grid),
    "link": ("links", _link),
    "preset": ("presets", _preset),
    "figure": ("figures", _figure),
    "profile": ("profiles", _profile),
}

#: Kinds of cards, as `names`, `card` and `describe` take them.
KINDS = tuple(_MAKERS)


def _load(kind: str) -> dict[str, Card]:
    stem, make = _MAKERS[kind]
    data = json.loads(Path(__file__).with_name(f"{stem}.json").read_text(encoding="utf-8"))
    return {name: make(name, row, _common(row, data["sources"])) for name, row in data["rows"].items()}


@cache
def _cards(kind: str) -> dict[str, Card]:
    if kind not in _MAKERS:
        raise UsageError(f"the catalog has no {kind!r}{did_you_mean(kind, KINDS)}")
    return _load(kind)


def card(kind: str, name: str) -> Card:
    """The card of a kind and name.

    Raises:
        UsageError: no such kind or name; the message names the nearest one.
    """
    known = _cards(kind)
    if name not in known:
        if kind == "device" and has_device(name):
            return device(name)
        raise UsageError(f"the catalog has no {kind} {name!r}{did_you_mean(name, known)}")
    return known[name]


def names(kind: str) -> list[str]:
    """Names of the cards of a kind, sorted."""
    return sorted(_cards(kind))


def device(name: str) -> Device:
    """The device of that name, or the slice of one (`a30:1g.6gb`); `UsageError` if there is none."""
    whole, mark, profile = name.partition(MARK)
    found = card("device", whole)
    assert isinstance(found, Device)
    if not mark:
        return found
    if profile not in profiles(whole):
        hint = did_you_mean(profile, profiles(whole))
        raise UsageError(f"the device {whole} has no slices {profile!r}{hint}")
    return cut(found, profile)


def has_device(name: str) -> bool:
    """Whether there is such a device, or such a slice of one."""
    whole, mark, profile = name.partition(MARK)
    return whole in _cards("device") and (not mark or profile in profiles(whole))


def instance(name: str) -> Instance:
    """The instance type of that name; `UsageError` if there is none."""
    found = card("instance", name)
    assert isinstance(found, Instance)
    return found


def model(name: str) -> Model:
    """The model of that name; `UsageError` if there is none."""
    found = card("model", name)
    assert isinstance(found, Model)
    return found


def grid(name: str) -> Grid:
    """The electricity grid of that name; `UsageError` if there is none."""
    found = card("grid", name)
    assert isinstance(found, Grid)
    return found


def link(name: str) -> LinkKind:
    """The kind of link of that name; `UsageError` if there is none."""
    found = card("link", name)
    assert isinstance(found, LinkKind)
    return found


def preset(name: str) -> Preset:
    """The workload preset of that name; `UsageError` if there is none."""
    found = card("preset", name)
    assert isinstance(found, Preset)
    return found


def figure(name: str) -> Figure:
    """The single figure of that name; `UsageError` if there is none."""
    found = card("figure", name)
    assert isinstance(found, Figure)
    return found


def profile(name: str) -> Profile:
    """The step times of that name; `UsageError` if there are none."""
    found = card("profile", name)
    assert isinstance(found, Profile)
    return found
