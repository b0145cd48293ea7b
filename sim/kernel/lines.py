"""Waiting lines with cheap operations and lazy cancellation.

`push` returns an entry with which its item can be taken out again. A cancelled entry stays where it
is, empty, and is skipped when it comes to the front.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: What `push` returns; only `cancel` of the same line may look into it.
Entry = list[Any]

_GONE: Any = object()

#: Empty entries are dropped all at once when they are more than this many and more than half.
_EMPTY_KEPT = 64


class FifoLine(Generic[T]):
    """First in, first out; every operation takes constant time."""

    __slots__ = ("_entries", "_waiting")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def __iter__(self) -> Iterator[T]:
        """The waiting items, first to leave first; the line must not change meanwhile."""
        return (entry[0] for entry in self._entries if entry[0] is not _GONE)

    def push(self, item: T) -> Entry:
        """Join the end."""
        entry = [item, self]
        self._entries.append(entry)
        self._waiting += 1
        return entry

    def pop(self) -> T:
        """Take the first item.

        Raises:
            IndexError: nothing waits.
        """
        entries = self._entries
        while True:
            entry = entries.popleft()
            item: T = entry[0]
            if item is not _GONE:
                entry[0] = _GONE
                self._waiting -= 1
                return item

    def peek(self) -> T:
        """The first item, which stays.

        Raises:
            IndexError: nothing waits.
        """
        entries = self._entries
        while entries[0][0] is _GONE:
            entries.popleft()
        item: T = entries[0][0]
        return item

    def holds(self, entry: object) -> bool:
        """Whether this is an entry of this line whose item still waits."""
        return isinstance(entry, list) and entry[1] is self and entry[0] is not _GONE

    def cancel(self, entry: Entry) -> bool:
        """Take out an item wherever it waits; False if it had left already."""
        if entry[0] is _GONE:
            return False
        entry[0] = _GONE
        self._waiting -= 1
        entries = self._entries
        if len(entries) - self._waiting > _EMPTY_KEPT + self._waiting:
            self._entries = deque(kept for kept in entries if kept[0] is not _GONE)
        return True


class PriorityLine(Generic[T]):
    """Smallest key first, equal keys in order of arrival; joining and leaving take O(log n)."""

    __slots__ = ("_entries", "_number", "_waiting")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._number = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def __iter__(self) -> Iterator[T]:
        """The waiting items, first to leave first; the line must not change meanwhile."""
        return (entry[2] for entry in sorted(self._entries) if entry[2] is not _GONE)

    def push(self, item: T, key: Any) -> Entry:
        """Join at the place of `key`; the number in the entry keeps items from being compared."""
        entry = [key, self._number, item]
        self._number += 1
        self._waiting += 1
        heappush(self._entries, entry)
        return entry

    def pop(self) -> T:
        """Take the first item.

        Raises:
            IndexError: nothing waits.
        """
        entries = self._entries
        while True:
            entry = heappop(entries)
            item: T = entry[2]
            if item is not _GONE:
                entry[2] = _GONE
                self._waiting -= 1
                return item

    def peek(self) -> T:
        """The first item, which stays.

        Raises:
            IndexError: nothing waits.
        """
        entries = self._entries
        while entries[0][2] is _GONE:
            heappop(entries)
        item: T = entries[0][2]
        return item

    def cancel(self, entry: Entry) -> bool:
        """Take out an item wherever it waits; False if it had left already."""
        if entry[2] is _GONE:
            return False
        entry[2] = _GONE
        self._waiting -= 1
        entries = self._entries
        if len(entries) - self._waiting > _EMPTY_KEPT + self._waiting:
            self._entries = [kept for kept in entries if kept[2] is not _GONE]
            heapify(self._entries)
        return True
