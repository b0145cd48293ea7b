"""The scheduler's waiting line: groups in order, kept apart by shape.

Two groups of one shape (equal units, as many of them) fit or do not fit alike. So when one does not
fit, all behind it in its bucket are passed over at once, and a pass over the queue costs a look at
each shape, however many groups wait.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING

from sim.paas.units import Group, Knows, Shape, Unit

if TYPE_CHECKING:
    from sim.paas.policies.order import Order

#: (key of the order, submitted, rank, group): ranks are unique, so groups are never compared.
Entry = tuple[float, float, int, Group]

#: What groups of one bucket have in common.
Alike = tuple[tuple[tuple[Shape, int], ...], bool, str]

#: Groups that are looked at one by one before those of the right length are sought out.
_LOOKS = 16


class Bucket:
    """Waiting groups of one shape, in order.

    Attributes:
        entries: sorted.
        blocked: they did not fit when last tried, and nothing has happened since that could help.
        samples: one unit of each kind in such a group.
    """

    __slots__ = ("_by_length", "blocked", "entries", "samples")

    def __init__(self, group: Group) -> None:
        self.entries: list[Entry] = []
        #: (seconds to its end at the soonest, entry) of all groups, where somebody asked for it.
        self._by_length: dict[Knows, list[tuple[float, Entry]]] = {}
        self.blocked = False
        self.samples: list[Unit] = []
        first = 0
        for _, count in group.shape:
            self.samples.append(group.units[first])
            first += count

    def add(self, made: Entry) -> None:
        """Put a group into its place."""
        insort(self.entries, made)
        for knows, lengths in self._by_length.items():
            insort(lengths, (made[3].soonest(knows), made))

    def remove(self, made: Entry) -> None:
        """Take a group out."""
        del self.entries[bisect_left(self.entries, made)]
        for knows, lengths in self._by_length.items():
            del lengths[bisect_left(lengths, (made[3].soonest(knows), made))]

    def replace(self, entries: list[Entry]) -> None:
        """Hold the same groups under new keys."""
        self.entries = entries
        self._by_length.clear()

    def next_short(self, at: int, limit: float, knows: Knows, ends_by: Callable[[Group], bool]) -> int:
        """Position of the first group from `at` on that may end in time; behind the last if there is none.

        Where many are short one is found at once; where few are, those few are looked through.

        Args:
            at: position to begin at.
            limit: seconds it may take, about.
            knows: of its running time.
            ends_by: whether it is exactly short enough.
        """
        entries = self.entries
        close = min(at + _LOOKS, len(entries))
        for place in range(at, close):
            if ends_by(entries[place][3]):
                return place
        if close == len(entries):
            return close
        lengths = self._by_length.get(knows)
        if lengths is None:
            lengths = sorted((each[3].soonest(knows), each) for each in entries)
            self._by_length[knows] = lengths
        first = entries[close]
        # Rounding must not leave out one that is exactly short enough.
        short = lengths[: bisect_right(lengths, limit * (1 + 1e-9) + 1e-9, key=itemgetter(0))]
        found = min((each for _, each in short if each >= first and ends_by(each[3])), default=None)
        return len(entries) if found is None else bisect_left(entries, found)


class WaitingQueue:
    """Groups that wait for nodes.

    Attributes:
        buckets: the non-empty buckets by shape, by whether they are preempted whole, and by tenant where
            tenants have quotas; in order of creation.
        units: units of all groups.
        order: which of them is tried first.
    """

    def __init__(self, order: Order, *, by_tenant: bool = False) -> None:
        self.buckets: dict[Alike, Bucket] = {}
        self.units = 0
        self.order = order
        self._by_tenant = by_tenant
        self._entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, group: Group) -> bool:
        return group.id in self._entries

    def add(self, group: Group, now: float) -> Bucket:
        """Put a group into its place; returns its bucket."""
        key = self._alike(group)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(group)
        made = entry(self.order, group, now)
        bucket.add(made)
        self._entries[group.id] = made
        self.units += len(group.units)
        return bucket

    def remove(self, group: Group) -> None:
        """Take a group out, wherever it stands."""
        made = self._entries.pop(group.id)
        key = self._alike(group)
        bucket = self.buckets[key]
        bucket.remove(made)
        if not bucket.entries:
            del self.buckets[key]
        self.units -= len(group.units)

    def refresh(self, now: float) -> None:
        """Compute all keys anew and sort; for orders whose keys drift as time passes."""
        renew = getattr(self.order, "renew", None)
        if renew is not None:
            renew(now)
        for bucket in self.buckets.values():
            bucket.replace(sorted(entry(self.order, each[3], now) for each in bucket.entries))
            for each in bucket.entries:
                self._entries[each[3].id] = each

    def _alike(self, group: Group) -> Alike:
        return group.shape, group.preemptible, group.tenant if self._by_tenant else ""

    def groups(self) -> Iterator[Group]:
        """All groups in order of the queue."""
        for each in sorted(self._entries.values()):
            yield each[3]

    def ahead(self, group: Group) -> tuple[float, int, Group | None]:
        """The key of a waiting group, how many are before it, and the first of them."""
        entry = first = self._entries[group.id]
        count = 0
        for bucket in self.buckets.values():
            count += bisect_left(bucket.entries, entry)
            first = min(first, bucket.entries[0])
        return entry[0], count, None if first is entry else first[3]


def entry(order: Order, group: Group, now: float) -> Entry:
    """A group's place in the order: by key, then submission, then the number its job came with."""
    rank = group.id if group.rank is None else group.rank
    return (order.key(group, now), group.submitted, rank, group)
