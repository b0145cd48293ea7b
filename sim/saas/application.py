"""An application: its users make requests, and each request makes its calls and gets its reply.

A request goes from its user's site to the service that the offload policy picks, from there to the
next, and its reply back to the user. A call that is rejected, fails or times out ends its request
with that status at that moment; calls of it that are under way elsewhere run on, but nothing waits
for them any more and their time is not counted. The error itself reaches the user at no cost. With a
client (`sim.saas.client`) each of its attempts is such a request, and the user's ends once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from itertools import count
from typing import Protocol

from sim import registry
from sim.errors import did_you_mean
from sim.iaas.network import Network
from sim.iaas.resources import InvariantError
from sim.kernel.context import Context
from sim.kernel.distributions import Distribution, constant_or
from sim.paas.calls import Call
from sim.paas.llm.prefix import Content
from sim.paas.service import Service
from sim.registry import fresh
from sim.saas.blocks import ArrivalProcess
from sim.saas.callgraph import CallGraph, CallSpec, Stage
from sim.saas.client import Behaviour, Client
from sim.saas.draws import Draws, Source
from sim.saas.requests import Request
from sim.saas.sessions import Sessions, Turns
from sim.saas.slo import SLO
from sim.tables import COMPLETED, FAILED, IN_FLIGHT, REJECTED, TIMEOUT

NAN = float("nan")


class OffloadPolicy(Protocol):
    """A policy of kind "offload"."""

    def start(self, kinds: Mapping[str, str]) -> None:
        """Learn the kind (device, edge, cloud) of each site, before a run."""
        ...

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service that is to answer the next call of a request.

        The request's data is at site `request.at`; `request.payload` bytes of it are to be sent.
        """
        ...


class _Fork:
    """How far a request is whose calls do not form a chain.

    Attributes:
        needs: per stage, results still to arrive before its call.
        placed: per stage, the service picked.
        open: calls that are to be made and are not done.
    """

    __slots__ = ("needs", "open", "placed")

    def __init__(self, needs: list[int]) -> None:
        self.needs = needs.copy()
        self.placed: list[Service | None] = [None] * len(needs)
        self.open = len(needs) - needs.count(0)


class _Branch:
    """One call of such a request; services know it by the request's number."""

    __slots__ = ("id", "request", "stage")

    def __init__(self, request: Request, stage: int) -> None:
        self.id = request.id
        self.request = request
        self.stage = stage

    @property
    def session(self) -> Hashable | None:
        """That of its request."""
        return self.request.session

    @property
    def content(self) -> Content | None:
        """That of its request."""
        return self.request.content


class Application:
    """The users of one application, and their requests. It starts by itself when the clock does.

    Args:
        ctx: clock, streams, recorder.
        network: on which payloads travel.
        name: of the application.
        users: site -> number of users there.
        arrivals: when they make requests.
        calls: what a request asks of which services.
        until: no request is made at or after this moment (s).
        send: bytes the user sends.
        reply: bytes sent back.
        work: factor on the service times, of mean 1.
        tokens_in: prompt tokens of a request, where the arrivals bring none; rounded, at least 1 unless 0.
        tokens_out: tokens to generate, likewise.
        sessions: what follows an answered request; None: nothing. Then `tokens_in` is what the user says
            in a turn.
        shared: tokens with which all prompts begin, on top of `tokens_in`.
        offload: picks among the services of a call; needed if a call has several.
        site_kinds: site -> device, edge or cloud; what offload policies may ask for.
        slo: what was promised; only carried along for the report.
        priority: of its calls.
        client: what its users do about slow and failed attempts; None: nothing.
        allowed_sites: sites the data may go to; None: any.
        ids: numbers for requests, shared by the applications of a run.
        call_ids: numbers for calls, likewise.
        on_idle: called when no request will come any more and none is on its way.

    Raises:
        ValueError: a site is unknown, or the calls are wrong; see `CallGraph`.
    """

    def __init__(
        self,
        ctx: Context,
        network: Network,
        name: str,
        *,
        users: Mapping[str, int],
        arrivals: ArrivalProcess,
        calls: Sequence[CallSpec],
        until: float,
        send: float | Distribution = 0.0,
        reply: float | Distribution = 0.0,
        work: float | Distribution = 1.0,
        tokens_in: float | Distribution = 0.0,
        tokens_out: float | Distribution = 0.0,
        sessions: Sessions | None = None,
        shared: int = 0,
        offload: OffloadPolicy | None = None,
        site_kinds: Mapping[str, str] | None = None,
        slo: SLO | None = None,
        priority: int = 0,
        client: Behaviour | None = None,
        allowed_sites: Collection[str] | None = None,
        ids: Iterator[int] | None = None,
        call_ids: Iterator[int] | None = None,
        on_idle: Callable[[], object] | None = None,
    ) -> None:
        self.name = name
        self.users = dict(users)
        self.slo = slo
        self.graph = CallGraph(calls, allowed_sites)
        self.arrivals = fresh(arrivals)
        #: Requests made so far, and how many ended in which way.
        self.arrived = 0
        self.ended = {COMPLETED: 0, REJECTED: 0, TIMEOUT: 0, FAILED: 0}
        self._kernel = ctx.kernel
        self._network = network
        self._offload = fresh(offload)
        if self._offload is not None:
            registry.start(self._offload, site_kinds or {})
        self._stages: list[Stage] = self.graph.stages
        self._allowed = None if allowed_sites is None else frozenset(allowed_sites)
        self._rows = ctx.recorder.table("requests")
        self._ids = count() if ids is None else ids
        self._call_ids = count() if call_ids is None else call_ids
        self._on_idle = on_idle
        self._exhausted = False
        self._live: dict[int, Request] = {}
        self._check(network)
        shape = {
            "send": constant_or(send),
            "reply": constant_or(reply),
            "work": constant_or(work),
            "tokens_in": constant_or(tokens_in),
            "tokens_out": constant_or(tokens_out),
        }
        source = Source(ctx.streams, f"saas/{name}", self.users, shape, self.graph, sessions, shared)
        self._until = until
        #: Users who think about what to say next.
        self._thinking = 0
        self._priority = priority
        self._begin: Callable[[Request], None] = self._ask if self.graph.chain else self._fork
        self._client = None
        if client is not None:
            self._client = Client(ctx, name, client, _copy, self._begin, self._end, _cancel)
            self._begin = self._client.begin
        self._blocks = source.draws(self.arrivals, until)
        self._draws: Draws
        self._row = 0
        self._next_block()

    def _check(self, network: Network) -> None:
        for site, number in self.users.items():
            if site not in network.sites:
                raise ValueError(f"users at unknown site {site!r}{did_you_mean(site, network.sites)}")
            if number < 0:
                raise ValueError(f"users at {site}: expected 0 or more, got {number}")
        for stage in self._stages:
            if len(stage.services) > 1 and self._offload is None:
                raise ValueError(f"call {stage.spec.name!r} has several services: needs an offload policy")

    @property
    def in_flight(self) -> int:
        """Requests that were made and have not ended."""
        return len(self._live)

    def close(self) -> None:
        """Record the requests that have not ended; to be called once, when the run has."""
        for request in self._live.values():
            if self._client is not None:
                self._client.close(request)
            self._record(request, NAN)
        self._live.clear()

    # ---------------------------------------------------------------- arrivals

    def _next_block(self) -> None:
        draws = next(self._blocks, None)
        if draws is not None:
            self._draws = draws
            self._row = 0
            self._kernel.call_at(draws.times[0], self._arrive)
        else:
            self._exhausted = True

    def _arrive(self) -> None:
        draws, row = self._draws, self._row
        request = Request(next(self._ids), draws, row)
        row += 1 if draws.turns is None else draws.turns.count[row]
        if row < len(draws.times):
            self._row = row
            self._kernel.call_at(draws.times[row], self._arrive)
        else:
            self._next_block()
        self.arrived += 1
        self._live[request.id] = request
        self._begin(request)

    def _go_on(self, request: Request, turns: Turns) -> None:
        """A request of a session is answered: its user thinks, and makes the next one."""
        at = self._kernel.now + turns.thinks[request.row]
        if at < self._until and turns.more[request.row]:
            self._thinking += 1
            self._kernel.call_at(at, self._turn, request.draws, request.row + 1)

    def _turn(self, draws: Draws, row: int) -> None:
        self._thinking -= 1
        draws.times[row] = self._kernel.now
        request = Request(next(self._ids), draws, row)
        self.arrived += 1
        self._live[request.id] = request
        self._begin(request)

    # ---------------------------------------------------------------- calls in a row

    def _ask(self, request: Request) -> None:
        """Send a request to the service of its next call."""
        place = request.stage
        stage = self._stages[place]
        sends = request.draws.sends[place]
        size = request.payload = request.send if sends is None else sends[request.row]
        service = stage.services[0] if len(stage.services) == 1 else self._pick(request, stage)
        source, request.at = request.at, service.site
        request.sent += size
        now = self._kernel.now
        if place == 0:
            request.site = service.site
            if source == service.site:
                # Nothing to transfer, and no service is in the midst of anything: saves an event.
                self._submit(request, service, now)
                return
        self._network.send(source, service.site, size, self._submit, request, service, now)

    def _submit(self, request: Request, service: Service, left: float) -> None:
        request.network += self._kernel.now - left
        works = request.draws.works[request.stage]
        work = request.work if works is None else request.work * works[request.row]
        tokens_in, tokens_out = request.tokens_in, request.tokens_out
        number, priority = next(self._call_ids), self._priority
        call = Call(number, request, self._answered, work, tokens_in, tokens_out, priority)
        models = request.draws.models[request.stage]
        if models is not None:
            call.model = models[request.row]
        if request.owner is not None and self._too_late(request, service, call):
            return
        if self._client is not None:
            call.timeout = self._client.timeout
        service.submit(call)

    def _too_late(self, attempt: Request, service: Service, call: Call) -> bool:
        """Whether an attempt was cancelled on its way to a service that would have let go of it."""
        if attempt.tries.over and attempt.tries.cancelled and service.cancels != "never":
            return True
        attempt.tries.calls.append((service, call))
        return False

    def _answered(self, call: Call) -> None:
        request: Request = call.request  # type: ignore[assignment]
        _account(request, call)
        if call.status != COMPLETED:
            self._end(request, call.status, call.reason)
            return
        request.stage += 1
        if request.stage < len(self._stages):
            self._ask(request)
        else:
            self._reply(request)

    # ---------------------------------------------------------------- calls in a graph

    def _fork(self, request: Request) -> None:
        """Start the calls that wait for no other."""
        request.fork = _Fork(request.draws.needs[request.row])
        origin = request.at
        for place in self.graph.roots:
            if request.fork.needs[place]:
                self._follow(request, place, origin)

    def _follow(self, request: Request, place: int, source: str) -> None:
        """Send what one call, or the user, has for the call at `place`; the first to do so places it."""
        fork: _Fork = request.fork
        sends = request.draws.sends[place]
        size = request.payload = request.send if sends is None else sends[request.row]
        service = fork.placed[place]
        if service is None:
            stage = self._stages[place]
            request.at = source
            service = stage.services[0] if len(stage.services) == 1 else self._pick(request, stage)
            fork.placed[place] = service
            if not request.site:
                request.site = service.site
        request.sent += size
        self._network.send(source, service.site, size, self._join, request, place, service, self._kernel.now)

    def _join(self, request: Request, place: int, service: Service, left: float) -> None:
        if request.status != IN_FLIGHT:
            return
        request.network += self._kernel.now - left
        needs = request.fork.needs
        needs[place] -= 1
        if needs[place]:
            return
        works = request.draws.works[place]
        work = request.work if works is None else request.work * works[request.row]
        branch = _Branch(request, place)
        tokens_in, tokens_out = request.tokens_in, request.tokens_out
        number, priority = next(self._call_ids), self._priority
        call = Call(number, branch, self._branch_answered, work, tokens_in, tokens_out, priority)
        models = request.draws.models[place]
        if models is not None:
            call.model = models[request.row]
        if request.owner is not None and self._too_late(request, service, call):
            return
        if self._client is not None:
            call.timeout = self._client.timeout
        service.submit(call)

    def _branch_answered(self, call: Call) -> None:
        branch: _Branch = call.request  # type: ignore[assignment]
        request = branch.request
        if request.status != IN_FLIGHT:
            return
        _account(request, call)
        if call.status != COMPLETED:
            self._end(request, call.status, call.reason)
            return
        fork: _Fork = request.fork
        fork.open -= 1
        service = fork.placed[branch.stage]
        assert service is not None
        for place in self._stages[branch.stage].then:
            if fork.needs[place]:
                self._follow(request, place, service.site)
        if not fork.open:
            request.at = service.site
            self._reply(request)

    # ---------------------------------------------------------------- both

    def _pick(self, request: Request, stage: Stage) -> Service:
        assert self._offload is not None
        service = self._offload.place(request, stage.services, self._kernel.now, self._network)
        if self._allowed is not None and service.site not in self._allowed:
            raise InvariantError(f"application {self.name!r}: its data must not go to {service.site}")
        return service

    def _reply(self, request: Request) -> None:
        request.received += request.reply
        if request.at == request.origin:
            self._end(request, COMPLETED, "")
            return
        now = self._kernel.now
        self._network.send(request.at, request.origin, request.reply, self._complete, request, now)

    def _complete(self, request: Request, left: float) -> None:
        request.network += self._kernel.now - left
        self._end(request, COMPLETED, "")

    def _end(self, request: Request, status: str, reason: str) -> None:
        request.status = status
        request.reason = reason
        if request.owner is not None:
            assert self._client is not None
            self._client.done(request, status, reason)
            return
        del self._live[request.id]
        self.ended[status] += 1
        self._record(request, self._kernel.now)
        turns = request.draws.turns
        if turns is not None and status == COMPLETED:
            self._go_on(request, turns)
        if self._exhausted and not self._live and not self._thinking and self._on_idle is not None:
            self._on_idle()

    def _record(self, request: Request, done: float) -> None:
        self._rows.add(
            (
                request.id,
                self.name,
                request.origin,
                request.site,
                request.arrival,
                done,
                request.status,
                request.reason,
                request.network,
                request.queue,
                request.compute,
                request.sent,
                request.received,
            )
        )


def _copy(request: Request) -> Request:
    """An attempt of a request: the same numbers, from the start."""
    return Request(request.id, request.draws, request.row)


def _cancel(attempt: Request) -> None:
    """The client no longer waits for an attempt: let go of its calls where the services do that."""
    attempt.tries.cancelled = True
    for service, call in attempt.tries.calls:
        service.cancel(call, "client-cancelled")


def _account(request: Request, call: Call) -> None:
    """Add the waiting and service time of a call to its request's; a call never begun only waited."""
    start = call.start
    if start == start:
        request.queue += start - call.enter
        request.compute += call.finish - start - call.moved
        request.network += call.moved
    else:
        request.queue += call.finish - call.enter
