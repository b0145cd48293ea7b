"""Cards as text for people: what `stratus describe` prints."""

from __future__ import annotations

from collections.abc import Mapping

from sim.catalog.cards import Card, Device, Figure, Grid, Instance, LinkKind, Model, Preset, Profile
from sim.catalog.loading import card
from sim.units import show

_UNKNOWN = "not stated by any source"
_SHOWN_PRECISIONS = ("fp32", "fp16", "int8", "int4")


def describe(kind: str, name: str) -> dict[str, str]:
    """Label -> value with its unit, in reading order; the last labels are note, verified and source.

    Raises:
        UsageError: no such kind or name.
    """
    found = card(kind, name)
    lines = {label: value for label, value in _lines(found).items() if value}
    if found.note:
        lines["note"] = found.note
    lines["verified"] = "yes" if found.verified else "no: see the note"
    lines["source"] = found.source
    return lines


def _lines(found: Card) -> dict[str, str]:
    match found:
        case Device():
            return _device(found)
        case Instance():
            return _instance(found)
        case Model():
            return _model(found)
        case Grid():
            return _grid(found)
        case LinkKind():
            return _link(found)
        case Preset():
            return _preset(found)
        case Profile():
            return _profile(found)
        case Figure():
            return {"value": value_of(found), "meaning": found.meaning}


def _of(value: float | None, dimension: str) -> str:
    return _UNKNOWN if value is None else show(value, dimension)


def _flops(value: float) -> str:
    return f"{show(value / 1e12)} TFLOP/s" if value >= 1e11 else f"{show(value / 1e9)} GFLOP/s"


def _hourly(value: float | None) -> str:
    return _UNKNOWN if value is None else f"${value * 3600:.4g}/h"


def _grams(value: float) -> str:
    return f"{show(value * 3.6e6)} g/kWh"


def value_of(found: Figure) -> str:
    """A figure's value with its unit."""
    if found.dimension == "price_per_byte":
        return f"${found.value * 1e9:.4g}/GB"
    if found.dimension == "count":
        return show(found.value)
    return show(found.value, found.dimension)


def _all_reduce(found: Device) -> str:
    return ", ".join(
        f"{number}: {show(latency, 'duration')} and {show(bandwidth, 'bandwidth')}"
        for number, (latency, bandwidth) in found.all_reduce.items()
    )


def _device(found: Device) -> dict[str, str]:
    return {
        "kind": found.kind,
        "peak": ", ".join(f"{precision} {_flops(value)}" for precision, value in found.peak.items()),
        "memory": show(found.memory, "bytes") if found.memory else "that of its machine",
        "memory bandwidth": _UNKNOWN if found.bandwidth is None else show(found.bandwidth, "bytes") + "/s",
        "power": f"{_of(found.idle_w, 'power')} idle, {_of(found.peak_w, 'power')} at full load",
        "reached share": f"{show(found.efficiency, 'fraction')} of the peak, "
        f"{show(found.memory_efficiency, 'fraction')} of the bandwidth",
        "overhead": f"{show(found.overhead, 'duration')} per batch",
        "all-reduce": _all_reduce(found),
    }


def _instance(found: Instance) -> dict[str, str]:
    return {
        "provider": found.provider,
        "cpu": f"{show(found.cpu)} vCPU",
        "memory": show(found.memory, "bytes"),
        "disk": show(found.disk, "bytes") if found.disk else "",
        "accelerators": f"{found.accelerators} x {found.device}" if found.device else "none",
        "network": _of(found.network, "bandwidth"),
        "price": _hourly(found.price),
        "spot price": _hourly(found.spot_price),
        "price valid": ", ".join(filter(None, (found.region, found.date))),
        "power": ", ".join(f"{show(watts, 'power')} at {show(at, 'fraction')}" for at, watts in found.power)
        or _UNKNOWN,
    }


def _model(found: Model) -> dict[str, str]:
    sizes = {precision: show(found.weights(precision), "bytes") for precision in _SHOWN_PRECISIONS}
    lines = {
        "task": found.task,
        "input": found.input,
        "work": _UNKNOWN if found.flop is None else f"{show(found.flop / 1e9)} GFLOP per {found.item}",
        "parameters": _millions(found.parameters),
        "weights": ", ".join(f"{precision} {size}" for precision, size in sizes.items()),
    }
    if found.active_parameters != found.parameters:
        lines["active parameters"] = f"{_millions(found.active_parameters)} per {found.item}"
    if found.activation_bytes:
        lines["activations"] = f"{show(found.activation_bytes, 'bytes')} per {found.item}"
    if found.tables:
        lines["embedding tables"] = f"{_millions(found.tables)} of them"
        lines["gathered"] = f"{show(found.gathered)} numbers per {found.item}"
    if found.decoder:
        lines["decoder"] = f"{_millions(found.decoder)} of them, passed by every token generated"
    if found.kv_bytes_per_token:
        lines["key-value cache"] = f"{show(found.kv_bytes_per_token, 'bytes')} per token"
    if found.context:
        lines["context"] = f"{found.context} tokens"
    if found.layers:
        lines["layers"] = f"{found.layers}, {found.hidden} wide, queries {found.attention} wide"
    if found.experts:
        lines["experts"] = f"{found.experts_per_token} of {found.experts} per token"
    return lines | {"quality": _pairs(found.quality)}


def _grid(found: Grid) -> dict[str, str]:
    low, high = min(found.hourly), max(found.hourly)
    day = "only the mean is known"
    if low < high:
        lowest, highest = found.hourly.index(low), found.hourly.index(high)
        day = f"{_grams(low)} at {lowest}:00 UTC to {_grams(high)} at {highest}:00 UTC"
    return {
        "mean": _grams(found.mean),
        "over the day": day,
        "electricity": _UNKNOWN if found.price is None else f"${found.price * 3.6e9:.4g}/MWh wholesale",
    }


def _link(found: LinkKind) -> dict[str, str]:
    return {
        "latency": f"{show(found.latency, 'duration')} one way",
        "jitter": "" if found.jitter is None else f"coefficient of variation {show(found.jitter)}",
        "bandwidth": _of(found.bandwidth, "bandwidth"),
    }


def _preset(found: Preset) -> dict[str, str]:
    lines = {"kind": found.kind, "rate": _of(found.rate, "rate")}
    if found.dispersion is not None:
        lines["dispersion"] = f"{show(found.dispersion)} (variance over mean of arrivals per minute)"
    if found.bursts is not None:
        share, gap = found.bursts
        mean = show(gap, "duration")
        lines["bursts"] = f"{show(share, 'fraction')} of the gaps are short, {mean} on average"
    for quantity, table in found.quantiles.items():
        lines[quantity.replace("_", " ")] = _pairs(table)
    for quantity, table in found.shares.items():
        shares = ", ".join(f"{value}: {show(share, 'fraction')}" for value, share in table.items())
        lines[f"{quantity.replace('_', ' ')} (shares)"] = shares
    if found.curve:
        lines["over the day"] = f"{show(min(found.curve))} to {show(max(found.curve))} times the mean"
    if found.week:
        lines["days, Monday first"] = ", ".join(show(weight) for weight in found.week)
    return lines


def _profile(found: Profile) -> dict[str, str]:
    number = "" if found.accelerators == 1 else f"{found.accelerators} x "
    return {
        "model": f"{found.model}, {found.precision}, {found.engine}",
        "on": f"{number}{found.device}",
        "an iteration": show(found.base, "duration"),
        "+ per prompt token": small(found.per_prompt_token),
        "+ per prompt token and token before it": small(found.per_square),
        "+ per sequence that generates": small(found.per_sequence),
        "+ per token of their contexts": small(found.per_context_token),
        "fit": f"{show(found.error, 'fraction')} off on average, {show(found.worst, 'fraction')} at most, "
        f"over {found.points} points",
        "method": found.method,
        "licence": found.licence,
    }


def small(seconds: float) -> str:
    """A duration that may be far below what `show` has a unit for."""
    if seconds == 0.0:
        return ""
    return f"{seconds * 1e6:.4g} us" if seconds >= 1e-6 else f"{seconds * 1e9:.4g} ns"


def _millions(number: float) -> str:
    return f"{show(number / 1e6)} million"


def _pairs(table: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {show(value)}" for label, value in table.items())
