"""Who runs where: counts of units by owner and node, for rules about other units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.paas.labels import domains
from sim.paas.rules import Company, Topology

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit

Floats = NDArray[np.float64]
K = TypeVar("K")


class Census:
    """Counts of what runs; the placer also enters units that it only tries out.

    Attributes:
        placed: owner -> node index -> units there. The workers of a job count twice: under their job
            ("train/7") and under its class ("train").
        bare: for cores and for memory: node index -> units there that ask for none.
        rules: (rule about company, owner who has it) -> node index -> units there that have it.
    """

    def __init__(self) -> None:
        self.placed: dict[str, dict[int, int]] = {}
        self.bare: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.rules: dict[tuple[Company, str], dict[int, int]] = {}

    def count(self, unit: Unit, node: int, change: int) -> None:
        """Note that so many more units like this one are on a node."""
        owner = unit.owner
        _add(self.placed, owner, node, change)
        family = kin(owner)
        if family != owner:
            _add(self.placed, family, node, change)
        for column, bare in enumerate(self.bare):
            if not unit.resources[column] > 0:
                bare[node] = bare.get(node, 0) + change
                if not bare[node]:
                    del bare[node]
        for rule in unit.rules.company:
            _add(self.rules, (rule, owner), node, change)

    def around(self, nodes: Nodes, names: Sequence[str], topology: Topology) -> Floats:
        """For each node, how many units of these owners run in its domain."""
        here = np.zeros(len(nodes.ready))
        for name in names:
            for node, count in self.placed.get(name, {}).items():
                here[node] += count
        return spread_out(here, nodes, topology)

    def against(self, unit: Unit) -> Iterator[tuple[Company, dict[int, int]]]:
        """Rules of units that run which mean this unit, and where those units are."""
        for (rule, owner), where in self.rules.items():
            if unit.owner in (rule.names or (owner,)) or kin(unit.owner) in rule.names:
                yield rule, where


def kin(owner: str) -> str:
    """Service or job class of an owner: "train" of the job "train/7"."""
    return owner.partition("/")[0]


def spread_out(here: Floats, nodes: Nodes, topology: Topology) -> Floats:
    """Sum over each node's domain of a number per node."""
    if topology == "node":
        return here
    ids = domains(nodes, topology)
    return np.asarray(np.bincount(ids, weights=here)[ids]) if len(ids) else here


def _add(table: dict[K, dict[int, int]], key: K, node: int, change: int) -> None:
    counts = table.setdefault(key, {})
    counts[node] = counts.get(node, 0) + change
    if not counts[node]:
        del counts[node]
        if not counts:
            del table[key]
