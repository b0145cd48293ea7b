"""Who asks for what: users, arrivals, payloads, calls, objectives."""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import BeforeValidator, Field, model_validator

from sim import registry
from sim.kernel.distribution import Distribution
from sim.kernel.distributions import Constant
from sim.saas import client
from sim.saas.client import Behaviour
from sim.scenario.fields import DistributionOf, Name, PolicyField, Spec
from sim.scenario.infrastructure import Count
from sim.units import Fraction, PositiveSeconds, Quantity, Seconds

Size = Annotated[Distribution, DistributionOf("bytes")]
Factor = Annotated[Distribution, DistributionOf("count")]

#: A quantile that can be measured: more than 0, less than 1.
Quantile = Annotated[float, Quantity("fraction", gt=0, le=0.999999)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMore = Annotated[list[str], Len(1), BeforeValidator(_listed, json_schema_input_type=list[str] | str)]


class Call(Spec):
    """One call of a request; alternatives in `to` are what the offload policy chooses from."""

    to: OneOrMore = Field(description="service, or alternatives among which the offload policy chooses")
    after: list[str] = Field(
        default=[], description="calls that must end first; unless given, the call written before this one"
    )
    model: Name | None = Field(
        default=None,
        description="which of the models that the service `hosts`; drawn by their shares unless given",
    )
    send: Size | None = Field(
        default=None, description="payload sent to it; that of the application unless given"
    )
    work: Factor | None = Field(
        default=None, description="factor on its service time; that of the application unless given"
    )
    probability: Fraction = Field(default=1.0, description="share of the requests that make it")


class Slo(Spec):
    """The service level that users were promised: a request is good when it meets all that is given."""

    latency: PositiveSeconds | None = Field(
        default=None, description="time to the complete reply (E2E); any unless given"
    )
    ttft: PositiveSeconds | None = Field(
        default=None, description="time to the first token, of language models; any unless given"
    )
    tpot: PositiveSeconds | None = Field(
        default=None, description="time per further token, of language models; any unless given"
    )
    quantile: Quantile = Field(default=0.99, description="share of the requests that must be good")

    @model_validator(mode="after")
    def _any(self) -> Slo:
        if self.latency is None and self.ttft is None and self.tpot is None:
            raise ValueError("give at least one of `latency`, `ttft` and `tpot`")
        return self


class Backoff(Spec):
    """Time from a failed attempt to the next one."""

    base: Seconds = Field(default=0.1, description="after the first failure")
    factor: Annotated[float, Ge(1), Le(100)] = Field(default=2.0, description="for each further failure")
    max: Seconds = Field(default=10.0, description="the longest")
    jitter: Literal["full", "none"] = Field(
        default="full", description="full: anything between 0 and that time; none: exactly that time"
    )


class Breaker(Spec):
    """A circuit breaker: after failures in a row no attempt is made for a while, then one to see."""

    failures: Annotated[int, Ge(1), Le(1_000_000)] = Field(default=5, description="in a row that open it")
    open: PositiveSeconds = Field(default=10.0, description="time until an attempt is made again")


class Client(Spec):
    """What clients do about slow and failed attempts."""

    retries: Annotated[int, Ge(0), Le(100)] = Field(
        default=0, description="attempts after one that was rejected, failed or timed out"
    )
    backoff: Backoff = Field(default=Backoff(), description="time between two attempts")
    timeout: PositiveSeconds | None = Field(
        default=None, description="longest wait for an attempt; no bound unless given"
    )
    hedge: PositiveSeconds | None = Field(
        default=None, description="a second attempt is made beside one that takes longer; none unless given"
    )
    budget: Fraction | None = Field(
        default=None, description="retries and hedges per first attempt, beyond 10; no bound unless given"
    )
    breaker: Breaker | None = Field(default=None, description="circuit breaker; none unless given")
    cancel: bool = Field(
        default=True,
        description="an attempt that is not waited for any longer is cancelled, where the service's engine "
        "listens: language models stop, dynamic batches drop what waits, others work on for nobody",
    )

    def behaviour(self) -> Behaviour:
        """As the model takes it."""
        backoff, breaker = self.backoff, self.breaker
        return Behaviour(
            self.retries,
            client.Backoff(backoff.base, backoff.factor, backoff.max, backoff.jitter),
            inf if self.timeout is None else self.timeout,
            inf if self.hedge is None else self.hedge,
            inf if self.budget is None else self.budget,
            None if breaker is None else client.Breaking(breaker.failures, breaker.open),
            self.cancel,
        )


class Sessions(Spec):
    """Conversations: a prompt holds all that was said and answered before; who gets no answer goes away."""

    turns: Factor = Field(description="requests of a session; rounded, 1 to 100")
    think: Annotated[Distribution, DistributionOf("duration")] = Field(
        default=Constant(0.0), description="time from a reply to the next request"
    )
    window: Annotated[int, Ge(1)] | None = Field(
        default=None,
        description="tokens of a prompt with its answer; a session ends before a turn with more",
    )


class Application(Spec):
    """Users at sites who send requests; a request is a graph of calls of services."""

    users: Annotated[dict[str, Count], Len(1)] = Field(description="number of users (or devices) by site")
    arrivals: Annotated[Any, PolicyField("arrivals")] = Field(description="when requests are made")
    send: Size = Field(default=Constant(0.0), description="payload of a request")
    reply: Size = Field(default=Constant(0.0), description="payload of the reply")
    work: Factor = Field(
        default=Constant(1.0), description="factor on service times, drawn per request; mean 1"
    )
    tokens_in: Factor = Field(
        default=Constant(0.0), description="prompt tokens, where the arrivals bring none; for language models"
    )
    tokens_out: Factor = Field(default=Constant(0.0), description="tokens to generate, likewise")
    shared_prompt: Annotated[int, Ge(0), Le(10_000_000)] = Field(
        default=0, description="tokens with which all its prompts begin, on top of tokens_in"
    )
    sessions: Sessions | None = Field(
        default=None,
        description="requests that follow a first one; arrivals are then those of sessions, and tokens_in is "
        "what is said in one turn; none unless given",
    )
    calls: Annotated[dict[Name, Call], Len(1)] = Field(description="calls of a request by name, in order")
    offload: Annotated[Any, PolicyField("offload")] = Field(
        default_factory=lambda: registry.lookup("offload", "latency-greedy")(),
        description="which alternative a call goes to",
    )
    priority: Annotated[int, Ge(-1_000_000), Le(1_000_000)] = Field(
        default=0,
        description="of its calls, where admission or an engine's order look at it; larger is more important",
    )
    client: Client | None = Field(
        default=None, description="retries, hedges and the like; one attempt unless given"
    )
    slo: Slo | None = Field(default=None, description="promised service level")
    allowed_sites: list[str] | None = Field(
        default=None, description="sites that may see the data (residency); all unless given"
    )

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, value: Any) -> Any:
        calls = value.get("calls") if isinstance(value, dict) else None
        if not isinstance(calls, dict):
            return value
        complete: dict[str, Any] = {}
        before: list[str] = []
        for name, call in calls.items():
            complete[name] = {"after": before, **call} if isinstance(call, dict) else call
            before = [name]
        return {**value, "calls": complete}
