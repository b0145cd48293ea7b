"""Everything random about the requests of an application, drawn a block at a time.

Each quantity has a stream of its own, and what is drawn depends on the arrivals alone. So two
offload policies, or two autoscalers, meet the same requests: same moments, sizes and work
(common random numbers), and a change of one quantity leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from sim.kernel.distributions import Constant, Distribution
from sim.kernel.streams import RandomStreams
from sim.paas.llm.prefix import Content
from sim.saas.blocks import ArrivalProcess, Block, Floats
from sim.saas.callgraph import CallGraph
from sim.saas.sessions import MOST_TURNS, Sessions, Turns, contents


class Draws:
    """The requests of one block, as lists: reading one number out of an array is slower.

    Attributes:
        times: moments of arrival (s).
        origins: sites of the users.
        send: bytes users send.
        reply: bytes of the replies.
        work: factors on service times.
        tokens_in: prompt tokens.
        tokens_out: tokens to generate.
        sends: per stage of the call graph, bytes of its payload; None: what the user sent.
        models: per stage, which of the models hosted each is for; None: there is one.
        works: per stage, factor on its service time besides `work`; None: 1.
        needs: per request and stage, results that must arrive first; empty if the calls form a chain.
        turns: how sessions go on; None: each request is by itself. The times of later turns are not known
            before they are made.
        sessions: session of each request, None for none; None: there are none.
        contents: what the prompts are made of; None: they have nothing in common.
    """

    __slots__ = (
        "contents",
        "models",
        "needs",
        "origins",
        "reply",
        "send",
        "sends",
        "sessions",
        "times",
        "tokens_in",
        "tokens_out",
        "turns",
        "work",
        "works",
    )

    times: list[float]
    origins: list[str]
    send: list[float]
    reply: list[float]
    work: list[float]
    tokens_in: list[int]
    tokens_out: list[int]
    sends: list[list[float] | None]
    works: list[list[float] | None]
    models: list[list[str] | None]
    needs: list[list[int]]
    turns: Turns | None
    sessions: list[Hashable | None] | None
    contents: list[Content] | None


class Source:
    """Turns the blocks of an arrival process into requests.

    Args:
        streams: of the run.
        path: of the application, `saas/<name>`.
        users: site -> how many users are there.
        shape: "send", "reply", "work", "tokens_in" and "tokens_out" of a request.
        graph: the calls of a request.
        sessions: what follows a first request; None: nothing.
        shared: tokens with which all prompts begin.
    """

    def __init__(
        self,
        streams: RandomStreams,
        path: str,
        users: Mapping[str, int],
        shape: Mapping[str, Distribution],
        graph: CallGraph,
        sessions: Sessions | None = None,
        shared: int = 0,
    ) -> None:
        self.users = sum(users.values())
        self._arrivals = streams.stream(f"{path}/arrivals")
        self._origin = streams.stream(f"{path}/origin")
        self._sites = [site for site, count in users.items() if count]
        counts = [count for count in users.values() if count]
        # Without the last bound, which rounding might put below a number drawn.
        self._bounds = np.cumsum(counts)[:-1] / max(1, self.users)
        self._owners = _interleaved(counts)
        self._shape = {name: _Column(streams, f"{path}/{name}", dist) for name, dist in shape.items()}
        self._graph = graph
        self._name = path.removeprefix("saas/")
        self._sessions = sessions
        self._shared = shared
        self._drawn = self._begun = 0
        if sessions is not None:
            self._turns = _Column(streams, f"{path}/turns", sessions.turns)
            self._thinks = _Column(streams, f"{path}/think", sessions.think)
        names = [f"{path}/calls/{stage.spec.name}" for stage in graph.stages]
        specs = [stage.spec for stage in graph.stages]
        self._sends = [
            _Column(streams, f"{name}/send", spec.send) if spec.send else None
            for name, spec in zip(names, specs, strict=True)
        ]
        self._works = [
            _Column(streams, f"{name}/work", spec.work) if spec.work else None
            for name, spec in zip(names, specs, strict=True)
        ]
        self._models = [
            None if spec.models is None else _Choice(streams, f"{name}/model", spec.models)
            for name, spec in zip(names, specs, strict=True)
        ]
        self._rolls = [streams.stream(f"{name}/probability") for name in names]

    def draws(self, arrivals: ArrivalProcess, until: float) -> Iterator[Draws]:
        """Yield the requests that arrive before `until`, block by block."""
        for block in arrivals.blocks(self._arrivals, self.users, until):
            yield self._draw(block)

    def _draw(self, block: Block) -> Draws:
        count, columns = len(block.times), block.columns
        drawn = Draws()
        drawn.times = block.times.tolist()
        drawn.origins = self._origins(block)
        drawn.turns = None
        named = columns.get("session")
        # A request without a name belongs to no session.
        drawn.sessions = None if named is None else [each or None for each in named.tolist()]
        if self._sessions is not None:
            count = self._follow(drawn, count)
            columns = {}
        drawn.send = self._shape["send"].values(count, columns.get("send"))
        drawn.reply = self._shape["reply"].values(count, columns.get("reply"))
        drawn.work = self._shape["work"].values(count, columns.get("work"))
        drawn.tokens_in = self._tokens("tokens_in", count, columns)
        drawn.tokens_out = self._tokens("tokens_out", count, columns)
        if self._sessions is not None and drawn.turns is not None:
            said, answered, window = drawn.tokens_in, drawn.tokens_out, self._sessions.window - self._shared
            drawn.tokens_in = drawn.turns.grown(said, answered, window)
        if self._shared:
            drawn.tokens_in = [tokens + self._shared for tokens in drawn.tokens_in]
        drawn.contents = contents(
            self._name, self._shared, drawn.sessions, columns, self._drawn, drawn.tokens_in
        )
        self._drawn += count
        drawn.sends = [None if column is None else column.values(count) for column in self._sends]
        drawn.works = [None if column is None else column.values(count) for column in self._works]
        drawn.models = [None if choice is None else choice.names(count) for choice in self._models]
        drawn.needs = []
        if not self._graph.chain:
            rolls = [rng.random(count) for rng in self._rolls]
            drawn.needs = self._graph.needs(self._graph.made(rolls))
        return drawn

    def _follow(self, drawn: Draws, count: int) -> int:
        """Make a session of each of so many arrivals; the number of their requests."""
        turns = np.clip(np.rint(self._turns.values(count)), 1, MOST_TURNS).astype(np.int64)
        total = int(turns.sum())
        drawn.turns = going = Turns(turns, self._thinks.values(total))
        owner = going.session.tolist()
        drawn.times = [drawn.times[place] for place in owner]
        drawn.origins = [drawn.origins[place] for place in owner]
        drawn.sessions = [self._begun + place for place in owner]
        self._begun += count
        return total

    def _tokens(self, name: str, count: int, columns: Mapping[str, Any]) -> list[int]:
        """Whole numbers: those of the arrivals, else drawn; at least 1 where any are wanted."""
        given = columns.get(name)
        if given is not None:
            brought: list[int] = given.tolist()
            return brought
        column = self._shape.get(name)
        if column is None or column.none:
            return [0] * count
        return [max(1, round(value)) for value in column.values(count)]

    def _origins(self, block: Block) -> list[str]:
        if len(self._sites) == 1:
            return self._sites * len(block.times)
        if "user" in block.columns:
            places = self._owners[block.columns["user"].astype(np.int64)]
        else:
            places = np.searchsorted(self._bounds, self._origin.random(len(block.times)), side="right")
        sites = self._sites
        return [sites[place] for place in places.tolist()]


class _Column:
    """One quantity of the requests, from its own stream."""

    __slots__ = ("_constant", "_dist", "_rng")

    def __init__(self, streams: RandomStreams, path: str, dist: Distribution) -> None:
        self._dist = dist
        self._rng = streams.stream(path)
        self._constant = float(dist.value) if isinstance(dist, Constant) else None

    @property
    def none(self) -> bool:
        """Whether it is 0 for all."""
        return self._constant == 0.0

    def values(self, count: int, given: Any = None) -> list[float]:
        """As many values as there are requests, unless the arrivals brought their own."""
        if given is not None:
            values: list[float] = given.tolist()
        elif self._constant is not None:
            values = [self._constant] * count
        else:
            drawn: Floats = self._dist.sample(self._rng, count)
            values = drawn.tolist()
        return values


class _Choice:
    """Which of several models a call is for, from a stream of its own."""

    __slots__ = ("_bounds", "_names", "_rng")

    def __init__(self, streams: RandomStreams, path: str, shares: Mapping[str, float]) -> None:
        self._names = list(shares)
        # Without the last bound, which rounding might put below a number drawn.
        self._bounds = np.cumsum(list(shares.values()))[:-1]
        self._rng = streams.stream(path)

    def names(self, count: int) -> list[str]:
        """As many as there are requests."""
        names = self._names
        if len(names) == 1:
            return names * count
        return [names[place] for place in np.searchsorted(self._bounds, self._rng.random(count), "right")]


def _interleaved(counts: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Place of the site of each user, the users of every site evenly spread over their numbers.

    Periodic arrivals give neighbouring users neighbouring phases; a site whose users followed each
    other would send all its requests in one part of the period.
    """
    places = np.repeat(np.arange(len(counts)), counts)
    ranks = np.concatenate([(np.arange(count) + 0.5) / count for count in counts]) if counts else np.empty(0)
    return places[np.argsort(ranks, kind="stable")]
