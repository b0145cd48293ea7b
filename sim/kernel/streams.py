"""Random streams keyed by name, so that parts of a model never disturb each other's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import repeat

import numpy as np

from sim.kernel.distributions import Constant, Distribution

#: A function that returns the next random number.
Sampler = Callable[[], float]

#: Sizes of the blocks in which a sampler draws; the last one is repeated. Short-lived samplers stay small.
_BLOCKS = (64, 512, 4096)


class RandomStreams:
    """Independent generators for one replication of a scenario, one for each name.

    A stream depends on (seed, replication, name) and on nothing else - not on the order in which
    streams are made, nor on which others exist. So two arms of a study see the same arrivals and the
    same faults (common random numbers), and a new component changes no other.
    """

    def __init__(self, seed: int, replication: int = 0) -> None:
        for what, number in (("seed", seed), ("replication", replication)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise ValueError(f"{what} must be a whole number, 0 or more, got {number!r}")
        self.seed = seed
        self.replication = replication
        self._taken: set[str] = set()

    def stream(self, name: str) -> np.random.Generator:
        """The generator of a name, e.g. `saas/cameras/arrivals`.

        Raises:
            ValueError: the name was asked for before: two users of one stream would be correlated.
        """
        if name in self._taken:
            raise ValueError(f"random stream {name!r} is in use already; give each component its own name")
        self._taken.add(name)
        digest = blake2b(name.encode(), digest_size=16).digest()
        words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
        root = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *words))
        return np.random.Generator(np.random.PCG64(root))

    def sampler(self, name: str, distribution: Distribution) -> Sampler:
        """Numbers of a distribution, one a call, drawn in blocks from the stream of that name."""
        rng = self.stream(name)
        if isinstance(distribution, Constant):
            return repeat(float(distribution.value)).__next__
        return _one_by_one(lambda size: distribution.sample(rng, size)).__next__

    def uniforms(self, name: str) -> Sampler:
        """Uniform numbers in [0, 1), one a call, drawn in blocks from the stream of that name."""
        return _one_by_one(self.stream(name).random).__next__


def _one_by_one(draw: Callable[[int], np.ndarray]) -> Iterator[float]:
    for size in _BLOCKS[:-1]:
        yield from draw(size).tolist()
    while True:
        yield from draw(_BLOCKS[-1]).tolist()
