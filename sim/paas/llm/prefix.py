"""The prefix cache: full blocks of tokens that are known by what they hold, and found again.

A block is known by all tokens up to its end, so what is found of a prompt is always its beginning. As in
vLLM's V1 engine a block enters the cache when the iteration that fills it is formed, sequences share
it as long as one of them holds it, and after that it stays until its place is wanted. Places that hold
nothing are given away first, then the blocks left alone for longest; the blocks of one sequence from
its end, so that the beginning, which others may share, lives longest. At least one token of a prompt
is always computed. Evicted blocks may go on to the memory of the host, from where they are loaded.

Blocks that follow each other, with the same users, are one `Run`: the cost goes with the number of
texts that part, not with the number of blocks. Evictions are made up for when somebody looks: the
batch counts its free blocks, and as many as are cached beyond that number have been given away.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from math import inf
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sim.paas.llm.batch import Sequence

#: What a sequence's tokens are: names, each with the number of tokens from the beginning that it stands
#: for. Sequences that agree in a name have all tokens up to there in common. The last number is infinite.
Content: TypeAlias = tuple[tuple[Hashable, float], ...]


class Run:
    """Blocks from `first` up to, not including, `last` of the texts with a name.

    Attributes:
        users: the sequences that hold them.
        before: used less recently, if nobody holds it.
        after: used more recently, likewise.
    """

    __slots__ = ("after", "before", "first", "last", "name", "users")

    before: Run
    after: Run

    def __init__(self, name: Hashable, first: int, last: int) -> None:
        self.name = name
        self.first = first
        self.last = last
        self.users: list[Sequence] = []


class Shelf:
    """Runs by name, and those that nobody holds by the time they were last used.

    Attributes:
        idle: blocks nobody holds.
    """

    def __init__(self, block_size: int) -> None:
        self.idle = 0
        self._size = block_size
        self._runs: dict[Hashable, list[Run]] = {}
        # Where the ring of idle runs begins and ends; the one after it was left alone for longest.
        self._end = end = Run(None, 0, 0)
        end.before = end.after = end

    def walk(self, content: Content, start: int, limit: int) -> Iterator[tuple[Run, int, int]]:
        """The run that holds block `start`, the first block and the end of what it holds, and so on.

        Of copies of a block the one that was cached first is taken.
        """
        block, size, runs = start, self._size, self._runs
        for name, tokens in content:
            end = limit if tokens == inf else min(limit, int(tokens) // size)
            while block < end:
                stop = end
                for run in runs.get(name, ()):
                    if run.first <= block < run.last:
                        stop = min(stop, run.last)
                        yield run, block, stop
                        block = stop
                        break
                    if block < run.first < stop:
                        stop = run.first
                else:
                    return
            if block >= limit:
                return

    def pick(self, run: Run, first: int, last: int) -> Run:
        """A run of these blocks alone, cut out of a run."""
        if first > run.first:
            self._cut(run, first)
        return self._cut(run, last) if last < run.last else run

    def _cut(self, run: Run, at: int) -> Run:
        """The blocks before a place, as a run of their own."""
        head = Run(run.name, run.first, at)
        run.first = at
        runs = self._runs[run.name]
        runs.insert(runs.index(run), head)
        if run.users:
            head.users = run.users.copy()
            for user in run.users:
                user.runs.insert(user.runs.index(run), head)
        else:
            self._link(run, head)
        return head

    def add(self, name: Hashable, first: int, last: int) -> Run:
        """Cache blocks."""
        run = Run(name, first, last)
        self._runs.setdefault(name, []).append(run)
        return run

    def forget(self, run: Run) -> None:
        """A run has no blocks any more."""
        runs = self._runs[run.name]
        runs.remove(run)
        if not runs:
            del self._runs[run.name]

    def leave(self, run: Run) -> None:
        """Nobody holds a run any more: it was used most recently."""
        self.idle += run.last - run.first
        self._link(self._end.before, run)

    def wake(self, run: Run) -> None:
        """Somebody wants a run that nobody held."""
        self.idle -= run.last - run.first
        self._unlink(run)

    def oldest(self, count: int) -> tuple[Hashable, int, int]:
        """Give up at most so many of the blocks used least recently: name, first and end."""
        run = self._end.after
        last = run.last
        first = run.last = max(run.first, last - count)
        self.idle -= last - first
        if first == run.first:
            self._unlink(run)
            self.forget(run)
        return run.name, first, last

    def _link(self, before: Run, run: Run) -> None:
        after = before.after
        run.before, run.after = before, after
        before.after = after.before = run

    def _unlink(self, run: Run) -> None:
        before, after = run.before, run.after
        before.after, after.before = after, before


class Host(Shelf):
    """Evicted blocks in the memory of the host, those used least recently given up first.

    Args:
        blocks: that have room.
        block_size: tokens per block.
        seconds: to load one. What is loaded lengthens the iteration in which its sequence gets its place,
            as in LMCache, which loads before the model runs; the way out is hidden. A block loaded stays.
    """

    def __init__(self, blocks: int, block_size: int, seconds: float) -> None:
        super().__init__(block_size)
        self.seconds = seconds
        self._blocks = blocks

    def put(self, name: Hashable, first: int, last: int) -> None:
        """Take evicted blocks, from their end."""
        while first < last:
            held = [run for run in self._runs.get(name, ()) if run.first < last and run.last > first]
            run = max(held, key=lambda run: run.last, default=None)
            end = first if run is None else min(last, run.last)
            if end < last:
                run = self.add(name, end, last)
                last = end
            else:
                assert run is not None
                run = self.pick(run, max(first, run.first), last)
                self.wake(run)
                last = run.first
            self.leave(run)
        while self.idle > self._blocks:
            self.oldest(self.idle - self._blocks)

    def use(self, runs: list[tuple[Run, int, int]]) -> None:
        """Blocks are loaded."""
        for run, first, last in reversed(runs):
            part = self.pick(run, first, last)
            self.wake(part)
            self.leave(part)


class PrefixCache(Shelf):
    """What the blocks of an engine hold.

    Args:
        block_size: tokens per block.
        host: where evicted blocks go; None: nowhere.

    Attributes:
        loading: seconds that the iteration being formed is longer for blocks loaded from the host.
        evicted: blocks that lost their content, so far.
        loaded: blocks that came from the host, so far.
    """

    def __init__(self, block_size: int, host: Host | None = None) -> None:
        super().__init__(block_size)
        self.loading = 0.0
        self.evicted = 0
        self.loaded = 0
        self._host = host
        self._found: list[tuple[Run, int, int]] = []
        self._stored: list[tuple[Run, int, int]] = []

    def settle(self, free: int) -> None:
        """Give up what was evicted until now, with so many blocks free."""
        while self.idle > free:
            name, first, last = self.oldest(self.idle - free)
            self.evicted += last - first
            if self._host is not None:
                self._host.put(name, first, last)

    def known(self, content: Content, tokens: int, free: int) -> int:
        """How many of so many tokens are found here or in the host's memory."""
        self.settle(free)
        limit = (tokens - 1) // self._size
        found = 0
        for shelf in (self,) if self._host is None else (self, self._host):
            for _, _, end in shelf.walk(content, found, limit):
                found = end
        return found * self._size

    def look(self, sequence: Sequence, free: int) -> tuple[int, int]:
        """Tokens found of a sequence that waits, and how many blocks of them others hold now."""
        self.settle(free)
        content, limit = _content(sequence), (sequence.target - 1) // self._size
        self._found = found = list(self.walk(content, 0, limit))
        end = found[-1][2] if found else 0
        if self._host is not None:
            self._stored = stored = list(self._host.walk(content, end, limit))
            end = stored[-1][2] if stored else end
        return end * self._size, sum(last - first for run, first, last in found if run.users)

    def take(self, sequence: Sequence) -> int:
        """Give a sequence, for which was just looked, what was found; the tokens of it."""
        runs: list[Run] = []
        sequence.runs = runs
        sequence.part = end = 0
        for run, first, end in self._found:
            part = self.pick(run, first, end)
            if not part.users:
                self.wake(part)
            part.users.append(sequence)
            runs.append(part)
        here = end
        if self._stored:
            assert self._host is not None
            end = self._stored[-1][2]
            self._host.use(self._stored)
            self.loaded += end - here
            self.loading += (end - here) * self._host.seconds
            self.fill(sequence, end * self._size)
        if not sequence.preemptions:
            sequence.cached = end * self._size
            sequence.loaded = (end - here) * self._size
        return end * self._size

    def fill(self, sequence: Sequence, tokens: int) -> None:
        """The blocks of a sequence are filled up to so many tokens."""
        runs, size = sequence.runs, self._size
        block, limit = runs[-1].last if runs else 0, tokens // size
        if block >= limit:
            return
        content = _content(sequence)
        for place in range(sequence.part, len(content)):
            name, end = content[place]
            stop = limit if end == inf else min(limit, int(end) // size)
            if block >= stop:
                continue
            run = runs[-1] if runs else None
            if run is not None and run.name == name and len(run.users) == 1 and self._runs[name][-1] is run:
                run.last = stop
            else:
                run = self.add(name, block, stop)
                run.users.append(sequence)
                runs.append(run)
            block = stop
            if block == limit:
                sequence.part = place
                return

    def release(self, sequence: Sequence, blocks: int, tokens: int, free: int) -> int:
        """A sequence with so many blocks, and so many tokens computed, leaves; the blocks then free."""
        self.settle(free)
        self.fill(sequence, tokens)
        runs = sequence.runs
        freed = blocks - runs[-1].last if runs else blocks
        behind: Run | None = None
        for run in reversed(runs):
            run.users.remove(sequence)
            if run.users:
                behind = None
                continue
            freed += run.last - run.first
            if behind is not None and behind.name == run.name:
                held = self._runs[run.name]
                place = held.index(run)
                if held[place + 1 : place + 2] == [behind]:
                    # Left at the same moment, and of copies neither was cached between them: one run.
                    self.wake(behind)
                    self.forget(behind)
                    run.last = behind.last
            self.leave(run)
            behind = run
        sequence.runs = []
        return freed


def _content(sequence: Sequence) -> Content:
    """What its tokens are; nobody else's where nothing is said."""
    content = sequence.content
    if content is None:
        sequence.content = content = ((("alone", sequence.number), inf),)
    return content
