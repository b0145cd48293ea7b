"""A tree of cohorts with queues for leaves: who may use how much, and who borrows from whom.

The rules are those of Kueue (pkg/cache/resource_node.go, mid-2026). A node owns its `nominal` amounts
and, for a cohort, what its children may lend; it keeps for itself (`guaranteed`) what lies beyond its
lending limit. Use beyond that is stored in the parent; `borrowing` limits how far a node's use may go
beyond what it owns. Amounts are floats in the units of the simulator; `TOLERANCE` absorbs rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

Amounts = tuple[float, ...]

#: Share of an amount that counts as rounding.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Quota:
    """What a queue or cohort has, per resource that counts.

    Attributes:
        nominal: its own; 0 where not given.
        borrowing: how much it may use beyond that; no limit where not given.
        lending: how much of it others may use; all where not given.
        weight: of its claim to a fair share.
    """

    nominal: Mapping[str, float] = field(default_factory=dict)
    borrowing: Mapping[str, float] = field(default_factory=dict)
    lending: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0


class Member:
    """A queue or a cohort in the tree.

    Attributes:
        name: of it.
        parent: the cohort it is in, None for a root.
        children: its members, none for a queue.
        owns: per resource: its nominal amount and what its children may lend it.
        used: per resource: a queue's use; of a cohort what its children use beyond what they keep.
        keeps: per resource: what it lends to nobody.
        limit: per resource: how far `used` may exceed `owns`, infinite for no limit.
        weight: of its claim to a fair share.
    """

    def __init__(self, name: str, quota: Quota, parent: Member | None, resources: Sequence[str]) -> None:
        self.name = name
        self.parent = parent
        self.children: list[Member] = []
        self.owns = [quota.nominal.get(each, 0.0) for each in resources]
        self.used = [0.0] * len(resources)
        self.keeps = [0.0] * len(resources)
        self.limit = [quota.borrowing.get(each, inf) for each in resources]
        self.weight = quota.weight
        self._lends = [quota.lending.get(each, inf) for each in resources]
        if parent is not None:
            parent.children.append(self)

    def settle(self) -> None:
        """Add up what the children lend, from the leaves to the root."""
        for child in self.children:
            child.settle()
            for at, owned in enumerate(child.owns):
                self.owns[at] += owned - child.keeps[at]
        self.keeps = [max(0.0, owned - lent) for owned, lent in zip(self.owns, self._lends, strict=True)]

    def spare(self, at: int) -> float:
        """What is left of what it keeps for itself."""
        return max(0.0, self.keeps[at] - self.used[at])

    def available(self, at: int) -> float:
        """How much more of a resource could be used here now."""
        if self.parent is None:
            return self.owns[at] - self.used[at]
        above = self.parent.available(at)
        stored = self.owns[at] - self.keeps[at]
        taken = max(0.0, self.used[at] - self.keeps[at])
        return self.spare(at) + min(above, stored - taken + self.limit[at])

    def add(self, at: int, amount: float) -> None:
        """Use so much more; what goes beyond `keeps` is used in the cohort too."""
        beyond = amount - self.spare(at)
        self.used[at] += amount
        if self.parent is not None and beyond > 0:
            self.parent.add(at, beyond)

    def remove(self, at: int, amount: float) -> None:
        """Use so much less."""
        stored = self.used[at] - self.keeps[at]
        self.used[at] -= amount
        if self.parent is not None and stored > 0:
            self.parent.remove(at, min(amount, stored))

    def borrows(self, at: int, more: float = 0.0) -> bool:
        """Whether its use, and so much more, goes beyond what it owns."""
        return beyond(self.used[at] + more, self.owns[at])

    def share(self, more: Sequence[float] | None = None) -> float:
        """Dominant share: the most it borrows of a resource, against what its cohort could lend, per weight.

        1000 x max over resources of (used - owned) / lendable, divided by the weight; 0 for one that
        borrows nothing or has no cohort, infinite with weight 0 (Kueue, fair_sharing.go). With `more`
        as if so much more were used.
        """
        if self.parent is None:
            return 0.0
        most = 0.0
        for at, lendable in enumerate(self.parent.lendable()):
            extra = 0.0 if more is None else more[at]
            if lendable > 0 and self.borrows(at, extra):
                most = max(most, 1000.0 * (self.used[at] + extra - self.owns[at]) / lendable)
        if most == 0.0:
            return 0.0
        return most / self.weight if self.weight > 0 else inf

    def lendable(self) -> list[float]:
        """What it could give to one member, were nothing used, per resource."""
        return [self._potential(at) for at in range(len(self.owns))]

    def _potential(self, at: int) -> float:
        if self.parent is None:
            return self.owns[at]
        there = self.keeps[at] + self.parent._potential(at)
        return min(there, self.owns[at] + self.limit[at])

    def above(self) -> Iterator[Member]:
        """Its cohorts, the nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


def beyond(amount: float, bound: float) -> bool:
    """Whether an amount exceeds a bound by more than rounding."""
    return amount > bound + TOLERANCE * max(1.0, abs(bound))


class Tree:
    """Queues and cohorts with what they use.

    Args:
        queues: by name: (quota, cohort or None).
        cohorts: by name: (quota, parent cohort or None).

    Attributes:
        resources: names of those that any quota mentions, in order of appearance.
        queues: the leaves by name.
        cohorts: the others.

    Raises:
        ValueError: a cohort is unknown or its own ancestor.
    """

    def __init__(
        self,
        queues: Mapping[str, tuple[Quota, str | None]],
        cohorts: Mapping[str, tuple[Quota, str | None]] | None = None,
    ) -> None:
        cohorts = dict(cohorts or {})
        every = [quota for quota, _ in (*cohorts.values(), *queues.values())]
        self.resources = list(dict.fromkeys(name for quota in every for name in _named(quota)))
        self.cohorts: dict[str, Member] = {}
        for name in cohorts:
            self._grow(name, cohorts, ())
        self.queues: dict[str, Member] = {}
        for name, (quota, cohort) in queues.items():
            if cohort is not None and cohort not in self.cohorts:
                raise ValueError(f"queue {name}: there is no cohort {cohort}")
            parent = None if cohort is None else self.cohorts[cohort]
            self.queues[name] = Member(name, quota, parent, self.resources)
        for member in (*self.cohorts.values(), *self.queues.values()):
            if member.parent is None:
                member.settle()

    def _grow(
        self, name: str, given: Mapping[str, tuple[Quota, str | None]], below: tuple[str, ...]
    ) -> Member:
        if name in below:
            raise ValueError(f"cohort {name} is its own ancestor")
        if name not in given:
            raise ValueError(f"cohort {below[-1]}: there is no cohort {name}")
        if name not in self.cohorts:
            quota, parent = given[name]
            above = None if parent is None else self._grow(parent, given, (*below, name))
            self.cohorts[name] = Member(name, quota, above, self.resources)
        return self.cohorts[name]

    def fits(self, queue: str, asked: Sequence[float], *, borrowing: bool = True) -> bool:
        """Whether a queue may use so much more, with or without borrowing."""
        member = self.queues[queue]
        for at, amount in enumerate(asked):
            if amount > 0 and (
                beyond(amount, member.available(at)) or (not borrowing and member.borrows(at, amount))
            ):
                return False
        return True

    def possible(self, queue: str, asked: Sequence[float]) -> bool:
        """Whether a queue could use so much if nothing else were in use."""
        potential = self.queues[queue].lendable()
        return not any(beyond(amount, most) for amount, most in zip(asked, potential, strict=True))

    def add(self, queue: str, amounts: Sequence[float], sign: int = 1) -> None:
        """A queue uses so much more, or with `sign` -1 less."""
        member = self.queues[queue]
        for at, amount in enumerate(amounts):
            if amount:
                (member.add if sign > 0 else member.remove)(at, amount)

    def lacking(self, queue: str, asked: Sequence[float]) -> list[int]:
        """Positions of the resources of which a queue cannot get that much now."""
        member = self.queues[queue]
        return [at for at, amount in enumerate(asked) if amount > 0 and beyond(amount, member.available(at))]


def _named(quota: Quota) -> list[str]:
    return [*quota.nominal, *quota.borrowing, *quota.lending]
