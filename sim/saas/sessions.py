"""Conversations: requests of one user that follow each other; each prompt holds all that was said before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.kernel.distribution import Distribution
from sim.paas.llm.prefix import Content
from sim.saas.blocks import Columns

#: Turns of a session at most, whatever is drawn.
MOST_TURNS = 100

#: Tokens that one of Mooncake's hashes stands for.
HASHED = 512


@dataclass(frozen=True, slots=True)
class Sessions:
    """What the users of an application do in a row; its arrivals are those of sessions.

    Attributes:
        turns: requests of a session; rounded, 1 to `MOST_TURNS`.
        think: seconds from a reply to the user's next request.
        window: tokens of a prompt with its answer; a session ends before a turn that has more.
    """

    turns: Distribution
    think: Distribution
    window: float = inf


class Turns:
    """The requests of the sessions of a block, one after the other: where each begins and how it goes on.

    Attributes:
        count: per request that begins a session, the requests of it, 0 for the others.
        more: per request, whether another follows if it is answered.
        thinks: per request, seconds the user takes for that.
        session: per request, the place of its session in the block.
    """

    __slots__ = ("count", "more", "session", "thinks")

    def __init__(self, turns: npt.NDArray[np.int64], thinks: list[float]) -> None:
        self.session = np.repeat(np.arange(len(turns)), turns)
        begins = np.cumsum(turns) - turns
        count = np.zeros(len(self.session), dtype=np.int64)
        count[begins] = turns
        self.count: list[int] = count.tolist()
        more = np.ones(len(self.session), dtype=bool)
        more[begins + turns - 1] = False
        self.more: list[bool] = more.tolist()
        self.thinks = thinks

    def grown(self, said: Sequence[int], answered: Sequence[int], window: float) -> list[int]:
        """The prompts, each with what was said and answered before; sessions end where the window does.

        Args:
            said: tokens of the user in each turn.
            answered: tokens of each answer.
            window: tokens of a prompt with its answer at most, except in the first turn.
        """
        added = np.asarray(said, dtype=np.int64) + np.asarray(answered, dtype=np.int64)
        total = np.cumsum(added)
        first = np.flatnonzero(self.count)
        before = np.where(first > 0, total[first - 1], 0)
        whole = total - before[self.session]
        more = np.asarray(self.more)
        more[:-1] &= whole[1:] <= window
        self.more = more.tolist()
        prompts: list[int] = (whole - np.asarray(answered, dtype=np.int64)).tolist()
        return prompts


def contents(
    name: str,
    shared: int,
    sessions: Sequence[Hashable | None] | None,
    columns: Columns,
    first: int,
    prompts: Sequence[int],
) -> list[Content] | None:
    """What the prompts of an application are made of, None where they have nothing in common.

    Args:
        name: of the application.
        shared: tokens with which all begin.
        sessions: session of each request, None for none; None: each is by itself.
        columns: of the arrivals: `hash_ids` are Mooncake's.
        first: number of the first of these requests in the application.
        prompts: their tokens.
    """
    hashes: Any = columns.get("hash_ids")
    if not shared and sessions is None and hashes is None:
        return None
    beginning: Content = (((name, "shared"), shared),) if shared else ()
    made: list[Content] = []
    for place, prompt in enumerate(prompts):
        alone: tuple[Hashable, float] = ((name, "request", first + place), inf)
        if hashes is None:
            session = None if sessions is None else sessions[place]
            rest = alone if session is None else ((name, "session", session), inf)
            made.append((*beginning, rest))
            continue
        ends = range(HASHED, HASHED * len(hashes[place]) + 1, HASHED)
        blocks = tuple(
            ((name, key), min(shared + end, prompt)) for key, end in zip(hashes[place], ends, strict=True)
        )
        made.append((*beginning, *blocks, alone))
    return made
