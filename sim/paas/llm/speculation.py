"""Speculative decoding: a cheap model drafts tokens that the model verifies in one iteration.

Leviathan, Kalman and Matias, ICML 2023 (arXiv 2211.17192): each draft is accepted with the same
probability as long as those before it were, and the model itself adds one token, so that an iteration
gives (1 - a^(k + 1)) / (1 - a) tokens in the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

from sim.paas.llm.batch import Sequence


class Speculation:
    """What drafts cost and how many are accepted.

    Args:
        drafts: tokens drafted for each sequence in an iteration, at least 1.
        acceptance: probability that a draft is accepted if those before it were, 0 to 1.
        cost: time of one draft of all sequences, as a share of the model's own iteration for them.
        draw: uniform numbers in [0, 1), one a call; None: as many are accepted as expected, fractions
            being carried over from one iteration of a sequence to the next.
    """

    def __init__(
        self, drafts: int, acceptance: float, cost: float, draw: Callable[[], float] | None = None
    ) -> None:
        self.drafts = drafts
        self.acceptance = acceptance
        self.cost = cost
        self._draw = draw
        self._log = log(acceptance) if 0.0 < acceptance < 1.0 else 0.0
        self._expected = [expected_tokens(k, acceptance) for k in range(drafts + 1)]

    def tokens(self, sequence: Sequence, drafts: int) -> int:
        """Tokens that an iteration with so many drafts gives a sequence."""
        if self._draw is None:
            sequence.credit += self._expected[drafts]
            whole = int(sequence.credit + 1e-9)
            sequence.credit -= whole
            return whole
        if not self._log:
            return 1 + drafts if self.acceptance else 1
        # Of n drafts all are accepted with probability a^n.
        return 1 + min(drafts, int(log(1.0 - self._draw()) / self._log))


def expected_tokens(drafts: int, acceptance: float) -> float:
    """Mean number of tokens of an iteration (Leviathan et al., equation 1)."""
    if acceptance == 1.0:
        return drafts + 1.0
    return (1.0 - acceptance ** (drafts + 1)) / (1.0 - acceptance)


def acceptance_of(drafts: int, tokens: float) -> float:
    """The probability with which an iteration gives so many tokens in the mean, 1 to drafts + 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_tokens(drafts, middle) < tokens else (low, middle)
    return high


def speed_up(drafts: int, acceptance: float, cost: float) -> float:
    """How much faster tokens come if verifying costs no more than generating (their theorem 3.8)."""
    return expected_tokens(drafts, acceptance) / (drafts * cost + 1.0)
