"""Disaggregated serving: one service processes prompts, another one generates the other tokens.

A call is two legs, each an ordinary call of its service. In the first its prompt is processed, which makes
the first token; then the prompt's key-value cache moves to a replica of the other service, which generates
the rest there. The decode side pulls (DistServe, OSDI 2024, section 4.3; vLLM's NIXL connector): the call
waits in the line of the replica that the router picks, gets the blocks of its whole prompt, and only then
the transfer begins. Until it ends the cache holds its blocks where it was made, so a full decode side holds
up the prompts. Whoever loses its place on the decode side is computed again there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.errors import StratusError
from sim.iaas.flows import Pipe
from sim.paas.calls import Call
from sim.paas.llm import Sequence
from sim.tables import COMPLETED, FAILED

if TYPE_CHECKING:
    from sim.iaas.network import Network, Route
    from sim.paas.service import Service
    from sim.paas.tokens import TokenReplica

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Interconnect:
    """What caches move over.

    Attributes:
        bandwidth: of the connection of each replica, in each direction (bytes/s); None: the share of its
            node's network card that goes with its accelerators.
        local: the same between replicas on one node; None: as between nodes.
        latency: seconds that each transfer takes besides, and besides the links between sites.
    """

    bandwidth: float | None = None
    local: float | None = None
    latency: float = 0.0


class Port:
    """The connection of one replica: pipes out of it and into it, and the ways to other replicas."""

    __slots__ = ("into", "local_into", "local_out", "out", "ways")

    def __init__(self, bandwidth: float, local: float) -> None:
        self.out, self.into = Pipe(bandwidth), Pipe(bandwidth)
        self.local_out, self.local_into = Pipe(local), Pipe(local)
        self.ways: dict[int, Route] = {}


class Cache:
    """The key-value cache of one prompt, from its being made until it is where it is wanted.

    Attributes:
        call: what was asked of the first service.
        size: bytes.
        source: replica that made it; None before, and once it is given up there.
        sequence: the prompt there.
        first: moment of the first token (s).
        evicted: blocks that the prefix cache there gave up meanwhile.
        began: moment its transfer began (s).
        seconds: that it took; 0 before it has ended.
        target: unit it goes to.
    """

    __slots__ = (
        "began",
        "call",
        "evicted",
        "first",
        "handover",
        "seconds",
        "sequence",
        "size",
        "source",
        "target",
    )

    def __init__(self, handover: Handover, call: Call, size: float) -> None:
        self.handover = handover
        self.call = call
        self.size = size
        self.source: TokenReplica | None = None
        self.sequence: Sequence | None = None
        self.first = NAN
        self.evicted = 0
        self.began = NAN
        self.seconds = 0.0
        self.target = -1

    def leg(self, call: Call, now: float) -> Sequence:
        """What a leg is to an engine: first the prompt and one token, then the others."""
        prompt, priority = call.tokens_in or 1, call.priority
        if self.sequence is None:
            return Sequence(call.id, now, prompt, 1, priority, call, keeps=True)
        rest = call.tokens_out - 1
        return Sequence(call.id, now, prompt + 1, rest, priority, call, prefilled=self.first, away=True)

    def row(self, sequence: Sequence, number: int, evicted: int) -> tuple[Any, ...]:
        """The row of the table `sequences` for the whole call, when the second leg has ended."""
        call, prompt = self.call, self.sequence
        assert prompt is not None
        return (
            call.id,
            call.request.id,
            call.service,
            number,
            prompt.prompt,
            sequence.output + 1,
            call.enter,
            self.first,
            sequence.finish,
            prompt.preemptions + sequence.preemptions,
            prompt.cached,
            prompt.loaded,
            self.evicted + evicted,
        )

    def keep(self, source: TokenReplica, sequence: Sequence, evicted: int) -> None:
        """It is made, and stays at a replica."""
        self.source, self.sequence, self.first = source, sequence, sequence.first
        self.evicted = evicted

    def fetch(self, replica: TokenReplica, then: Callable[[], object]) -> None:
        """Move it to a replica that has room for it, and call `then` when it is there."""
        self.handover.move(self, replica, then)

    def release(self) -> None:
        """It is not needed any more where it was made."""
        source, self.source = self.source, None
        if source is not None:
            source.release(self)

    def lost(self) -> None:
        """The replica that has it is gone; so is the call."""
        self.source = None
        self.handover.fail(self)


class Handover:
    """Makes two legs of each call of a service.

    Args:
        service: processes the prompts.
        target: generates.
        network: between their sites.
        interconnect: what the caches move over.
        bytes_per_token: of a cache.
        threshold: prompts with fewer tokens are processed by the target as well.
    """

    def __init__(
        self,
        service: Service,
        target: Service,
        network: Network,
        interconnect: Interconnect,
        *,
        bytes_per_token: float,
        threshold: int = 0,
    ) -> None:
        self.service = service
        self._target = target
        self._network = network
        self._interconnect = interconnect
        self._bytes = bytes_per_token
        self._threshold = threshold
        self._kernel = service.ctx.kernel
        self._rows = service.ctx.recorder.table("transfers")
        #: The leg that each call is at, and with whom.
        self._legs: dict[int, tuple[Service, Call]] = {}

    # ------------------------------------------------------------ the legs

    def submit(self, call: Call) -> None:
        """Take a call."""
        if call.tokens_in < self._threshold:
            self._target.submit(call)
            return
        call.service = self.service.name
        call.enter = self._kernel.now
        cache = None
        tokens_out = call.tokens_out
        if tokens_out > 1:
            cache = Cache(self, call, self._bytes * max(1, call.tokens_in))
            tokens_out = 1
        self._begin(self.service, call, partial(self._processed, call), tokens_out, cache)

    def _begin(
        self, service: Service, call: Call, then: Callable[[Call], None], tokens_out: int, cache: Cache | None
    ) -> None:
        leg = Call(call.id, call.request, then, call.work, call.tokens_in, tokens_out, call.priority)
        leg.timeout = call.timeout
        leg.cache = cache
        self._legs[call.id] = (service, leg)
        service.take(leg)

    def _processed(self, call: Call, leg: Call) -> None:
        """The first leg has ended."""
        call.start, call.replica, call.batch = leg.start, leg.replica, leg.batch
        if leg.cache is None or leg.status != COMPLETED:
            self._end(call, leg)
        else:
            self._begin(self._target, call, partial(self._generated, call), call.tokens_out, leg.cache)

    def _generated(self, call: Call, leg: Call) -> None:
        """The second leg has ended."""
        cache = leg.cache
        cache.release()
        began = leg.finish if leg.start != leg.start else leg.start
        call.moved = cache.seconds
        # All its waiting counts as if it had come first.
        call.start += began - leg.enter - cache.seconds
        call.replica, call.batch = leg.replica, leg.batch
        self._end(call, leg)

    def _end(self, call: Call, leg: Call) -> None:
        del self._legs[call.id]
        call.finish, call.status, call.reason = leg.finish, leg.status, leg.reason
        call.on_done(call)

    def cancel(self, call: Call, reason: str) -> bool:
        """Nobody waits for a call any more."""
        found = self._legs.get(call.id)
        if found is None:
            return self._target.cancel(call, reason)
        service, leg = found
        return service.let_go(leg, reason)

    def fail(self, cache: Cache) -> None:
        """A cache is lost on its way."""
        service, leg = self._legs[cache.call.id]
        service.let_go(leg, "cache-lost", FAILED)

    # ------------------------------------------------------------ transfers

    def move(self, cache: Cache, replica: TokenReplica, then: Callable[[], object]) -> None:
        """Send a cache to a replica."""
        source = cache.source
        assert source is not None
        cache.began = self._kernel.now
        cache.target = replica.unit.id
        way = self._way(source, replica)
        self._network.send_on(way, cache.size, self._interconnect.latency, self._moved, cache, source, then)

    def _moved(self, cache: Cache, source: TokenReplica, then: Callable[[], object]) -> None:
        now = self._kernel.now
        cache.seconds = now - cache.began
        call = cache.call
        self._rows.add(
            (
                call.id,
                self.service.name,
                source.unit.id,
                cache.target,
                cache.size,
                cache.first,
                cache.began,
                now,
            )
        )
        then()

    def _way(self, source: TokenReplica, replica: TokenReplica) -> Route:
        """From replica to replica."""
        start, end = self._port(source), self._port(replica)
        way = start.ways.get(replica.unit.id)
        if way is None:
            local = source.unit.node is replica.unit.node
            out, into = (start.local_out, end.local_into) if local else (start.out, end.into)
            way = self._network.join(out, self.service.site, self._target.site, into)
            start.ways[replica.unit.id] = way
        return way

    def _port(self, replica: TokenReplica) -> Port:
        if replica.port is None:
            bandwidth = self._interconnect.bandwidth or _share(replica)
            replica.port = Port(bandwidth, self._interconnect.local or bandwidth)
        return replica.port


def _share(replica: TokenReplica) -> float:
    """Bytes per second of a node's card that go with the accelerators of a replica."""
    unit = replica.unit
    assert unit.node is not None
    kind = unit.node.type
    if kind.network is None:
        raise StratusError(f"caches cannot move: {kind.name} states no network, and `bandwidth` is not given")
    whole, own = kind.capacity.accelerators, unit.resources.accelerators
    return kind.network * min(1.0, own / whole) if whole and own else kind.network
