"""Who asks for what: users, arrivals, payloads, calls, objectives."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import BeforeValidator, Field, model_validator

from sim import registry
from sim.kernel.distribution import Distribution
from sim.kernel.distributions import Constant
from sim.scenario.fields import DistributionOf, Name, PolicyField, Spec
from sim.scenario.infrastructure import Count
from sim.units import Fraction, PositiveSeconds, Quantity

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
    send: Size | None = Field(
        default=None, description="payload sent to it; that of the application unless given"
    )
    work: Factor | None = Field(
        default=None, description="factor on its service time; that of the application unless given"
    )
    probability: Fraction = Field(default=1.0, description="share of the requests that make it")


class Slo(Spec):
    """The service level that users were promised."""

    latency: PositiveSeconds = Field(description="a request is good when it completes within this")
    quantile: Quantile = Field(default=0.99, description="share of the requests that must be good")


class Application(Spec):
    """Users at sites who send requests; a request is a graph of calls of services."""

    users: Annotated[dict[str, Count], Len(1)] = Field(description="number of users (or devices) by site")
    arrivals: Annotated[Any, PolicyField("arrivals")] = Field(description="when requests are made")
    send: Size = Field(default=Constant(0.0), description="payload of a request")
    reply: Size = Field(default=Constant(0.0), description="payload of the reply")
    work: Factor = Field(
        default=Constant(1.0), description="factor on service times, drawn per request; mean 1"
    )
    calls: Annotated[dict[Name, Call], Len(1)] = Field(description="calls of a request by name, in order")
    offload: Annotated[Any, PolicyField("offload")] = Field(
        default_factory=lambda: registry.lookup("offload", "latency-greedy")(),
        description="which alternative a call goes to",
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
