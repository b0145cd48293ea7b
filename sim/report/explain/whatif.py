"""What would have let a group start sooner, computed on the state that was rebuilt from the tables.

Everything else is taken as it happened: a counterfactual says when the changed request would have
fitted into what was free, not what the whole run would have become.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.iaas import room
from sim.iaas.resources import RESOURCE_NAMES
from sim.report.explain.records import Records, Stay, called, short
from sim.report.explain.state import Request, State
from sim.units import show

#: Jobs that went first are tried one by one up to this many, the largest first.
MOST_TRIED = 12
#: Moments at which something was freed that are looked at for one counterfactual.
MOST_MOMENTS = 5_000

_DIMENSIONS = {"memory": "bytes", "disk": "bytes"}
_WORDS = {"cpu": "cores", "memory": "memory", "accelerators": "accelerators", "disk": "disk"}
_RULES = {
    "site": "its site",
    "pools": "its pool",
    "device": "its kind of accelerator",
    "accelerator_memory": "the memory of its accelerator",
}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One change, and the moment at which the group could have started with it."""

    change: str
    what: dict[str, Any]
    start: float

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.what, "change": self.change, "start": self.start}


def amount(value: float, resource: str) -> str:
    """An amount of a resource in words."""
    if resource in _DIMENSIONS:
        return f"{show(value, _DIMENSIONS[resource])} {_WORDS[resource]}"
    words = _WORDS[resource]
    return f"{show(value)} {words.removesuffix('s') if value == 1 else words}"


def more(value: float, resource: str) -> str:
    """So much more of a resource, in words."""
    if resource in _DIMENSIONS:
        return f"{show(value, _DIMENSIONS[resource])} more {_WORDS[resource]}"
    words = _WORDS[resource]
    return f"{show(value)} more {words.removesuffix('s') if value == 1 else words}"


def sooner(records: Records, stay: Stay, request: Request) -> list[WhatIf]:
    """Changes with which the group would have started before it did, the earliest first."""
    end = min(stay.left, records.end)
    if end <= stay.submitted:
        return []
    found = [*_at_once(records, stay, request), *_alone(records, stay, request, end)]
    found += _rules(records, stay, request, end)
    found += _others(records, stay, request, end)
    return sorted((each for each in found if each.start < end), key=lambda each: each.start)


def first_fit(state: State, request: Request, allowed: NDArray[np.bool_], end: float) -> float:
    """The first moment before `end` at which the request fits into what is free; infinite if none."""
    for count, time in enumerate(state.moments(end)):
        if count >= MOST_MOMENTS:
            break
        if request.fits(state.room, allowed & state.ready):
            return time
    return inf


def _alone(records: Records, stay: Stay, request: Request, end: float) -> Iterator[WhatIf]:
    """There was room, and the order or the discipline gave it to nobody or to another."""
    start = first_fit(State(records, stay.submitted), request, request.allowed(), end)
    yield WhatIf("if it could have overtaken those ahead of it", {"kind": "overtake"}, start)


def _at_once(records: Records, stay: Stay, request: Request) -> Iterator[WhatIf]:
    """With a smaller request, or with more room, at the moment it came."""
    if len(request.kinds) > 1:
        return
    state = State(records, stay.submitted)
    allowed = request.allowed() & state.ready
    count, asked = request.kinds[0]
    now = stay.submitted
    places = request.places(state.room, allowed)
    if places == count:
        return
    if places:
        change = f"with {places} worker{'s' if places > 1 else ''} instead of {count}"
        yield WhatIf(change, {"kind": "workers", "workers": places, "instead_of": count}, now)
    for column, resource in enumerate(RESOURCE_NAMES):
        smaller = _largest(state.room[allowed], asked, column, count)
        if 0 < smaller < asked[column]:
            before, after = amount(asked[column], resource), amount(smaller, resource)
            what = {"kind": "request", "resource": resource, "amount": smaller, "instead_of": asked[column]}
            yield WhatIf(f"with {after} per worker instead of {before}", what, now)
    yield from _more_room(records, state, request, allowed, now)


def _largest(free: NDArray[np.float64], asked: tuple[float, ...], column: int, count: int) -> float:
    """The largest amount of one resource up to what is asked with which all units fit; 0 if none."""

    def enough(value: float) -> bool:
        changed = (*asked[:column], value, *asked[column + 1 :])
        return bool(room.slots(free, changed, count).sum() >= count)

    if not asked[column] > 0 or not len(free) or not enough(0.0):
        return 0.0
    if column != room.ACCELERATORS:
        parts = free[:, column : column + 1] / np.arange(1, min(count, 64) + 1)
        values = np.unique(parts[(parts > 0) & (parts < asked[column])])
    elif asked[column] > 1:
        values = np.arange(1.0, ceil(asked[column]))
    else:
        shares = free[:, room.FIRST :]
        values = np.unique(shares[(shares > 0) & (shares < asked[column])])
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if enough(float(values[middle])):
            low = middle + 1
        else:
            high = middle
    return float(values[low - 1]) if low else 0.0


def _more_room(
    records: Records, state: State, request: Request, allowed: NDArray[np.bool_], now: float
) -> Iterator[WhatIf]:
    """The least that one node lacks, and a node emptied or added."""
    count, asked = request.kinds[0]
    numbers = np.flatnonzero(allowed)
    each = room.slots(state.room, asked, count)
    missing = count - each[numbers].sum()
    gaps = []
    for at in numbers.tolist():
        wanted = each[at] + missing
        lacking = {
            resource: wanted * asked[k] - float(state.room[at, k])
            for k, resource in enumerate(RESOURCE_NAMES)
            if asked[k] > 0
        }
        has_room = all(wanted * asked[k] <= state.total[at, k] * (1 + 1e-9) for k in range(room.WHOLE))
        short_of = {resource: value for resource, value in lacking.items() if value > 1e-9}
        if has_room and len(short_of) == 1:
            ((resource, value),) = short_of.items()
            gaps.append((value / state.total[at, RESOURCE_NAMES.index(resource)], at, resource, value))
    if gaps:
        _, at, resource, value = min(gaps)
        node = short(records.nodes[at]["name"])
        what = {"kind": "free", "resource": resource, "amount": value, "node": node}
        yield WhatIf(f"with {more(value, resource)} free on one node ({node})", what, now)
    pools = dict.fromkeys(records.nodes[at]["pool"] for at in numbers.tolist())
    for pool in pools:
        yield from _emptied(records, state, request, allowed, pool, now)


def _emptied(
    records: Records, state: State, request: Request, allowed: NDArray[np.bool_], pool: str, now: float
) -> Iterator[WhatIf]:
    """With one node of a pool emptied: the one with the fewest groups on it."""
    guests = []
    for at in np.flatnonzero(allowed).tolist():
        if records.nodes[at]["pool"] == pool:
            free = state.room.copy(order="F")
            free[at] = state.total[at]
            if request.fits(free, allowed):
                owners = sorted({stay.owner for stay in state.on(at)})
                guests.append((len(owners), at, owners))
    if guests:
        _, at, owners = min(guests)
        node = short(records.nodes[at]["name"])
        names = ", ".join(called(owner) for owner in owners[:4]) + (" ..." if len(owners) > 4 else "")
        what = {"kind": "node", "pool": pool, "node": node, "without": owners}
        yield WhatIf(f"with one more node of {pool}, or {node} emptied of {names}", what, now)


def _rules(records: Records, stay: Stay, request: Request, end: float) -> Iterator[WhatIf]:
    """Without one of the rules that keep it from nodes for good."""
    for rule in request.rules():
        allowed = request.allowed(dropped=rule)
        if (allowed == request.allowed()).all():
            continue
        start = first_fit(State(records, stay.submitted), request, allowed, end)
        yield WhatIf(f"without the rule on {_RULES[rule]}", {"kind": "rule", "rule": rule}, start)


def _others(records: Records, stay: Stay, request: Request, end: float) -> Iterator[WhatIf]:
    """If those that started while it waited had not: each alone, and all of them."""
    rivals = [other for other in records.stays if other is not stay and stay.submitted <= other.bound < end]
    if not rivals:
        return
    allowed = request.allowed()
    start = first_fit(State(records, stay.submitted, frozenset(rivals)), request, allowed, end)
    what: dict[str, Any] = {"kind": "first", "others": len(rivals)}
    yield WhatIf("had it been first in line, with nobody else starting before it", what, start)
    if len(rivals) == 1 or start == inf:
        return
    largest = sorted(rivals, key=lambda other: (-_weight(other), other.bound))[:MOST_TRIED]
    best: tuple[float, Stay] | None = None
    for other in largest:
        at = first_fit(State(records, stay.submitted, frozenset({other})), request, allowed, end)
        if at < end and (best is None or at < best[0]):
            best = (at, other)
    if best is not None:
        name = called(best[1].owner)
        yield WhatIf(f"if {name} had not started first", {"kind": "without", "job": best[1].owner}, best[0])


def _weight(stay: Stay) -> float:
    """Accelerators it holds, or units where it has none."""
    return sum(asked.accelerators for _, _, asked in stay.units) or float(len(stay.units))
