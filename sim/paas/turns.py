"""Shares of time, realised in rounds: which job has the next turn on which type of accelerator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.paas.policies.allocation.base import Claim, Floats, Supply, usable


class Turns:
    """The accounts of who was due how much time, and who got it.

    The job and type with the highest priority, time due / time received, goes first, then the next
    that still has room, until nothing fits (Narayanan et al., Gavel, OSDI 2020, section 5; there the
    allocation / the fraction of time received, which is the same as long as the allocation stays).
    Time due is kept when the allocation changes, as Gavel keeps its deficits. Who has received
    nothing goes first, the larger share before the smaller, then the larger gang, then the older job.
    """

    def __init__(self) -> None:
        self._due: dict[int, Floats] = {}
        self._received: dict[int, Floats] = {}

    def charge(self, job: int, kind: int, seconds: float) -> None:
        """A job held accelerators of a type for so long."""
        if job in self._received:
            self._received[job][kind] += seconds

    def pick(
        self, claims: Sequence[Claim], shares: Floats, supply: Supply, length: float, *, spare: bool
    ) -> dict[int, int]:
        """The jobs of the next round, in order of priority.

        Args:
            claims: all jobs; those not among them are forgotten.
            shares: of time, as allocated.
            supply: the accelerators.
            length: of the round, seconds.
            spare: let jobs have what is left over on types where they are due nothing.

        Returns:
            Number of the type by number of the claim.
        """
        nothing = np.zeros(len(supply.counts))
        due = {c.id: self._due.get(c.id, nothing) + shares[i] * length for i, c in enumerate(claims)}
        got = {claim.id: self._received.get(claim.id, nothing.copy()) for claim in claims}
        self._due, self._received = due, got
        free = list(supply.counts)
        chosen: dict[int, int] = {}
        able = usable(claims, supply)
        for positive in (True, False) if spare else (True,):
            pairs = sorted(
                (self._place(claim, j, shares[i, j]), i, j)
                for i, claim in enumerate(claims)
                for j in range(len(free))
                if able[i, j] and (shares[i, j] > 1e-9) == positive
            )
            for _, i, j in pairs:
                if i not in chosen and claims[i].size <= free[j] + 1e-9:
                    chosen[i] = j
                    free[j] -= claims[i].size
        return chosen

    def _place(self, claim: Claim, kind: int, share: float) -> tuple[float, ...]:
        """Its place in the round; smaller goes first."""
        received = float(self._received[claim.id][kind])
        due = float(self._due[claim.id][kind])
        priority = due / received if received > 0 else float("inf")
        # A hair of rounding must not decide between equals.
        return (-float(f"{priority:.9g}"), -share, -claim.size, -claim.age, claim.id)
