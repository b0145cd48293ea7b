"""What will come to a service: its arrivals drawn once more, before they happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sim.kernel.streams import RandomStreams
from sim.registry import fresh
from sim.saas.blocks import ArrivalProcess, Floats
from sim.saas.callgraph import CallGraph


@dataclass(frozen=True, slots=True)
class Users:
    """What makes the requests of an application, as the application itself was given it."""

    name: str
    number: int
    arrivals: ArrivalProcess
    graph: CallGraph


def rates(service: str, users: Iterable[Users], streams: RandomStreams, width: float, until: float) -> Floats:
    """Calls per second that a service will get, by bins of `width` seconds from 0 to `until`.

    Exact for requests that call it alone, or not at all; a call counts at the moment of its request,
    though earlier calls and transfers delay it. Of a call that several services can answer each
    counts for an equal share, because what offloading will decide is not known.

    Args:
        service: name of it.
        users: those who may call it.
        streams: of the run's seed and replication, with none taken yet.
        width: of a bin (s).
        until: end of the run (s).
    """
    edges = width * np.arange(int(np.ceil(until / width)) + 1)
    counts = np.zeros(len(edges) - 1)
    for each in users:
        graph = each.graph
        shares = [
            sum(other.name == service for other in stage.services) / len(stage.services)
            for stage in graph.stages
        ]
        if not any(shares):
            continue
        path = f"saas/{each.name}"
        rng = streams.stream(f"{path}/arrivals")
        rolls = [streams.stream(f"{path}/calls/{stage.spec.name}/probability") for stage in graph.stages]
        for block in fresh(each.arrivals).blocks(rng, each.number, until):
            calls = np.zeros(len(block.times))
            if graph.chain:
                calls += sum(shares)
            else:
                made = graph.made([roll.random(len(block.times)) for roll in rolls])
                for share, chosen in zip(shares, made, strict=True):
                    calls += share * chosen
            counts += np.histogram(block.times, edges, weights=calls)[0]
    return counts / width
