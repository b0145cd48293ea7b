"""Conditions on labels, for all nodes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.paas.rules import Requirement, Term, Topology

if TYPE_CHECKING:
    from sim.paas.placement import Nodes

Mask = NDArray[np.bool_]


def fulfils(nodes: Nodes, term: Term) -> Mask:
    """Nodes on which every requirement of a term holds."""
    ok = np.ones(len(nodes.ready), dtype=np.bool_)
    for requirement in term:
        ok &= _holds(nodes, requirement)
    return ok


def _holds(nodes: Nodes, requirement: Requirement) -> Mask:
    key = requirement.key
    if key == "site":
        return _each(requirement, nodes.site_names, nodes.site_id)
    if key == "pool":
        return _each(requirement, [path.split("/")[-1] for path in nodes.pool_names], nodes.pool_id)
    if key == "instance":
        return _each(requirement, [kind.name for kind in nodes.kinds], nodes.kind_id)
    if key == "device":
        # The last place is that of -1, a node without a device.
        return _each(requirement, [*nodes.device_names, None], nodes.device_id)
    return _each(requirement, [kind.labels.get(key) for kind in nodes.kinds], nodes.kind_id)


def _each(requirement: Requirement, values: Sequence[str | None], ids: NDArray[np.int64]) -> Mask:
    """The answer for each node, worked out once for each value there is."""
    return np.array([requirement.holds(value) for value in values], dtype=np.bool_)[ids]


def domains(nodes: Nodes, topology: Topology) -> NDArray[np.int64]:
    """Number of the domain of each node."""
    if topology == "node":
        return np.arange(len(nodes.ready))
    return {"nvlink": nodes.nvlink_id, "rack": nodes.rack_id, "site": nodes.site_id}[topology]
