"""Equal parts of the cluster for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sim.paas.policies.allocation.base import Claim, Floats, Supply, isolated
from sim.registry import policy


@policy("allocation", "isolated")
class Isolated:
    """Each of n jobs gets 1/n of every accelerator type, and no more.

    What finish-time fairness measures itself against (Gavel, OSDI 2020, section 4.2). Knows how many
    jobs there are.
    """

    #: What is left over in a round stays idle.
    spare: ClassVar[bool] = False

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time."""
        return isolated(claims, supply)
