"""Elastic workers by goodput (after Pollux)."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import floor, log

from sim.paas.policies.allocation.base import Claim, Supply
from sim.registry import policy


@policy("allocation", "goodput")
class Goodput:
    """Elastic jobs get workers where they speed up most against a fair share of the cluster.

    Fitness is the power mean of SPEEDUP_i = rate with the workers given / rate with the job's fair
    share of the accelerators, with exponent `fairness` (Pollux, OSDI 2021, section 4.2.1; -1 is Pollux'
    own value, 0 the geometric mean, 1 the sum). Starting from the fewest workers, in order of age, the next
    worker goes where an accelerator adds most to the mean; for concave scaling curves and workers of one
    size that is the optimum.

    Simplified: Pollux searches with a genetic algorithm over places too, adapts batch sizes and learns
    statistical efficiency while it runs. Here goodput is the job's scaling curve, known from the
    start, and a change of workers costs the job's restart time. Accelerators of all types count alike.
    """

    fairness: float = -1.0

    def workers(self, claims: Sequence[Claim], supply: Supply) -> Sequence[int]:
        """Workers of each claim."""
        each = [claim.size / claim.workers for claim in claims]
        free = sum(supply.counts)
        given = [0] * len(claims)
        for i in sorted(range(len(claims)), key=lambda i: (-claims[i].age, claims[i].id)):
            least = claims[i].elastic[0]
            if least * each[i] <= free + 1e-9:
                given[i] = least
                free -= least * each[i]
        fair = [max(1, floor(sum(supply.counts) / len(claims) / size + 1e-9)) for size in each]
        gains = [
            (-self._gain(claim, given[i], fair[i]) / each[i], i)
            for i, claim in enumerate(claims)
            if 0 < given[i] < claim.elastic[1]
        ]
        heapify(gains)
        while gains and free > 1e-9:
            gain, i = heappop(gains)
            if gain >= 0 or each[i] > free + 1e-9:
                continue
            given[i] += 1
            free -= each[i]
            if given[i] < claims[i].elastic[1]:
                heappush(gains, (-self._gain(claims[i], given[i], fair[i]) / each[i], i))
        return given

    def _gain(self, claim: Claim, workers: int, fair: int) -> float:
        """How much one worker more adds to the job's term of the power mean."""
        own = claim.speed_up(min(max(fair, claim.elastic[0]), claim.elastic[1]))
        now, then = claim.speed_up(workers) / own, claim.speed_up(workers + 1) / own
        if self.fairness == 0:
            return claim.weight * log(then / now)
        sign = 1.0 if self.fairness > 0 else -1.0
        gain: float = sign * (then**self.fairness - now**self.fairness)
        return claim.weight * gain
