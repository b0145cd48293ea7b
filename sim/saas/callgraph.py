"""The calls a request makes, as a graph: in a row, side by side, joined again, or only sometimes.

Rules. A call begins when every call it comes `after` is done and its result has arrived; each of them
sends the call's payload from its own site. A call is left out with probability 1 - `probability`;
one that comes only after calls that were left out is left out too, one that comes after some that
were made waits for these. The reply leaves from where the last call was served.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import did_you_mean
from sim.kernel.distributions import Distribution
from sim.paas.service import Service

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One call of an application.

    Attributes:
        name: of the call.
        services: services that can answer it; the offload policy picks one.
        after: calls that must be done before; none: it starts at once; None: the call written before it.
        send: bytes sent along by each of these; None: as many as the user sent.
        work: factor on the service time, times the request's own; None: 1.
        probability: with which it is made.
        models: models that its services host, with the share of the calls for each; None: they host one.
    """

    name: str
    services: Sequence[Service]
    after: Sequence[str] | None = None
    send: Distribution | None = None
    work: Distribution | None = None
    probability: float = 1.0
    models: Mapping[str, float] | None = None


class Stage:
    """A call in its place in the graph.

    Attributes:
        spec: what was asked for.
        services: its services that the residency rule allows.
        after: places of the calls before it.
        then: places of the calls after it.
    """

    __slots__ = ("after", "services", "spec", "then")

    def __init__(self, spec: CallSpec, services: list[Service], after: list[int]) -> None:
        self.spec = spec
        self.services = services
        self.after = after
        self.then: list[int] = []


class CallGraph:
    """The calls of an application in an order in which each comes after those it waits for.

    Args:
        calls: at least one; one that starts at once must have probability 1.
        allowed_sites: sites the data may go to; None: any.

    Raises:
        ValueError: the calls do not form such a graph, or a call has no allowed service.
    """

    def __init__(self, calls: Sequence[CallSpec], allowed_sites: Collection[str] | None = None) -> None:
        before = _before(calls)
        by_name = {call.name: call for call in calls}
        places = {name: place for place, name in enumerate(_sorted(before))}
        self.stages: list[Stage] = []
        for name in places:
            call = by_name[name]
            after = sorted(places[other] for other in before[name])
            self.stages.append(Stage(call, _allowed(call, allowed_sites), after))
        for place, stage in enumerate(self.stages):
            for other in stage.after:
                self.stages[other].then.append(place)
        self.roots = [place for place, stage in enumerate(self.stages) if not stage.after]
        self.certain = all(stage.spec.probability == 1 for stage in self.stages)
        if not any(self.stages[place].spec.probability == 1 for place in self.roots):
            raise ValueError("a request might make no call: one that starts at once needs probability 1")
        row = all(stage.after == ([place - 1] if place else []) for place, stage in enumerate(self.stages))
        #: Whether the calls are made one after the other, always all of them.
        self.chain = row and self.certain

    def made(self, rolls: Sequence[npt.NDArray[np.float64]]) -> list[Mask]:
        """Which calls are made, per stage and request.

        Args:
            rolls: per stage one uniform number per request.
        """
        made: list[Mask] = []
        for stage, roll in zip(self.stages, rolls, strict=True):
            chosen = roll < stage.spec.probability
            if stage.after:
                chosen &= np.logical_or.reduce([made[place] for place in stage.after])
            made.append(chosen)
        return made

    def needs(self, made: Sequence[Mask]) -> list[list[int]]:
        """Per request and stage: how many results must arrive before the call; 0 if it is left out."""
        columns = [
            chosen * (sum(made[place].astype(np.int64) for place in stage.after) if stage.after else 1)
            for stage, chosen in zip(self.stages, made, strict=True)
        ]
        rows: list[list[int]] = np.stack(columns, axis=1).tolist()
        return rows


def _before(calls: Sequence[CallSpec]) -> dict[str, list[str]]:
    """Names of the calls each call comes after, checked."""
    names = [call.name for call in calls]
    if not names:
        raise ValueError("an application needs at least one call")
    before: dict[str, list[str]] = {}
    for place, call in enumerate(calls):
        if call.name in before:
            raise ValueError(f"call {call.name!r} stands twice")
        if not 0 <= call.probability <= 1:
            raise ValueError(f"call {call.name!r}: probability must lie between 0 and 1")
        after = names[max(0, place - 1) : place] if call.after is None else list(dict.fromkeys(call.after))
        for name in after:
            if name not in names:
                raise ValueError(
                    f"call {call.name!r} is after unknown call {name!r}{did_you_mean(name, names)}"
                )
        before[call.name] = after
    return before


def _sorted(before: dict[str, list[str]]) -> list[str]:
    """The calls in an order that respects `before`; the order they were written in where it can."""
    done: dict[str, None] = {}
    while len(done) < len(before):
        free = [name for name in before if name not in done and all(other in done for other in before[name])]
        if not free:
            stuck = ", ".join(name for name in before if name not in done)
            raise ValueError(f"calls wait for each other in a circle: {stuck}")
        done[free[0]] = None
    return list(done)


def _allowed(call: CallSpec, sites: Collection[str] | None) -> list[Service]:
    if not call.services:
        raise ValueError(f"call {call.name!r} needs at least one service")
    allowed = [service for service in call.services if sites is None or service.site in sites]
    if not allowed:
        there = ", ".join(dict.fromkeys(service.site for service in call.services))
        raise ValueError(
            f"call {call.name!r} has no service at an allowed site: its services are at {there}, "
            f"allowed are {', '.join(sorted(sites or ()))}"
        )
    return allowed
