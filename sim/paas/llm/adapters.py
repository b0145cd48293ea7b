"""Low-rank adapters (LoRA): few slots on the accelerator, least recently used first out.

As vLLM has it, the sequences with a place use at most as many adapters as there are slots; who needs one
more waits, and others pass it. Figures are BLIS's (github.com/inference-sim/inference-sim): an adapter
has 2 MB per rank and is loaded in 1.5 ms + its bytes at 2 TB/s; each adapter in an iteration makes it
longer by 2 % at rank 8, 3.5 % at 16 and 6 % at 32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

#: Rank -> what each adapter of an iteration adds to its duration.
OVERHEAD = {8: 0.02, 16: 0.035, 32: 0.06}

#: Bytes of an adapter per rank.
BYTES_PER_RANK = 2e6


def overhead(rank: int) -> float:
    """What each adapter adds to an iteration, by the nearest known rank, the lower of two."""
    return OVERHEAD[min(OVERHEAD, key=lambda known: (abs(known - rank), known))]


class Adapters:
    """The adapters of one engine.

    Args:
        slots: how many fit at once.
        load: seconds to bring one in.
        overhead: share by which each adapter in an iteration makes it longer.

    Attributes:
        load: seconds to bring one in.
    """

    def __init__(self, slots: int, load: float, overhead: float) -> None:
        self.load = load
        self._slots = slots
        self._overhead = overhead
        self._used: Counter[int] = Counter()
        #: Adapters in slots, the least recently used first.
        self._there: dict[int, None] = {}

    def admits(self, adapter: int | None) -> bool:
        """Whether a sequence with an adapter may get a place beside those that have one."""
        return adapter is None or adapter in self._used or len(self._used) < self._slots

    def hold(self, adapter: int | None) -> None:
        """A sequence with an adapter gets a place."""
        if adapter is not None:
            self._used[adapter] += 1

    def release(self, adapter: int | None) -> None:
        """It gives its place away."""
        if adapter is not None:
            self._used[adapter] -= 1
            if not self._used[adapter]:
                del self._used[adapter]

    def take_part(self, adapters: Iterable[int]) -> tuple[list[int], float]:
        """Adapters of an iteration: (those that have to be brought in, factor on its duration)."""
        there, brought, count = self._there, list[int](), 0
        for adapter in adapters:
            count += 1
            if adapter in there:
                del there[adapter]
            else:
                brought.append(adapter)
                if len(there) >= self._slots:
                    del there[next(old for old in there if old not in self._used)]
            there[adapter] = None
        return brought, 1.0 + count * self._overhead
