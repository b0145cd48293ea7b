"""How far apart nodes are: on one node, behind one NVLink switch, in one rack, at one site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

Span = Literal["node", "nvlink", "rack", "site", "sites"]

#: Every span, the closest first.
SPANS: tuple[Span, ...] = ("node", "nvlink", "rack", "site", "sites")


class Located(Protocol):
    """What is looked at of a node."""

    @property
    def index(self) -> int:
        """Its number in the cluster."""

    @property
    def nvlink(self) -> int:
        """Number of its NVLink domain."""

    @property
    def rack(self) -> int:
        """Number of its rack."""

    @property
    def site(self) -> str:
        """Name of its site."""


def span(nodes: Iterable[Located]) -> Span:
    """The closest level that holds all the nodes.

    Raises:
        ValueError: there are none.
    """
    found = iter(nodes)
    first = next(found, None)
    if first is None:
        raise ValueError("the span of no nodes")
    level = 0
    for node in found:
        if level < 1 and node.index != first.index:
            level = 1
        if level < 2 and node.nvlink != first.nvlink:
            level = 2
        if level < 3 and node.rack != first.rack:
            level = 3
        if node.site != first.site:
            return "sites"
    return SPANS[level]
