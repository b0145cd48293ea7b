"""What the platform decides: scheduling, services, jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, model_validator

from sim import registry
from sim.catalog import Model
from sim.kernel.distribution import Distribution
from sim.kernel.distributions import Constant
from sim.paas.policies.filters import DEFAULT as DEFAULT_FILTERS
from sim.paas.policies.scores.kubernetes import PROFILE
from sim.paas.quota.reclaim import Reclaim, Within
from sim.paas.quota.tree import Quota
from sim.scenario.faults import Problem, Problems, shown
from sim.scenario.fields import DistributionOf, Marker, Name, PolicyField, Spec
from sim.scenario.hosts import Hosts
from sim.scenario.infrastructure import Bounds, Count, Duration
from sim.scenario.manifests.signals import SIGNALS
from sim.scenario.rules import Placement
from sim.scenario.speedup import SpeedUp
from sim.units import Bytes, BytesPerSecond, Cores, Fraction, PositiveSeconds, Quantity, Seconds

Precision = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4"]

#: A number of pods, or a share of them such as `50%`, as Kubernetes writes both.
PodsOrShare = (
    Annotated[int, Ge(0), Le(1_000_000)] | Annotated[str, Field(pattern=r"^(100|\d{1,2})(\.\d+)?%$")]
)
Priority = Annotated[int, Ge(-1_000_000), Le(1_000_000)]


Factor = Annotated[float, Ge(1), Le(1000)]
Workers = Annotated[int, Ge(1), Le(1_000_000)]


def default_policy(kind: str, name: str, description: str) -> Any:
    """A default that is looked up when it is needed: policies register after this module is read."""
    return Field(default_factory=lambda: registry.lookup(kind, name)(), description=description)


@dataclass(frozen=True, slots=True)
class Scores(Marker):
    """Scorers and their weights: `{least-allocated: 1, spread: {weight: 2, ...parameters}}`."""

    def check(self, value: Any, context: Mapping[str, Any]) -> tuple[tuple[Any, float], ...]:
        """(policy, weight) in the order written."""
        if not isinstance(value, dict):
            raise ValueError(
                f"expected scorers with their weights, such as {{least-allocated: 1}}, got {shown(value)}"
            )
        result, found = [], []
        for name, given in value.items():
            settings = dict(given) if isinstance(given, dict) else {"weight": given}
            at = (name, "weight") if isinstance(given, dict) else (name,)
            weight = 1.0
            try:
                weight = Quantity("count", ge=0).check(settings.pop("weight", 1))
            except ValueError as error:
                found.append(Problem(at, str(error)))
            try:
                result.append((PolicyField("score").check({**settings, "policy": name}, context), weight))
            except Problems as error:
                # The name is a key here, not a value under `policy`.
                found.extend(
                    Problem((name,), item.message, "key")
                    if item.path == ("policy",)
                    else Problem((name, *item.path), item.message, item.where)
                    for item in error.found
                )
            except ValueError as error:
                found.append(Problem((name,), str(error)))
        if found:
            raise Problems(found)
        return tuple(result)

    def json_schema(self) -> dict[str, Any]:
        """A reference that `sim.scenario.schema` resolves."""
        return {"x-stratus": ["scores", "score"]}

    def members(self, value: Any) -> dict[str, Any]:
        """Names of the scorers."""
        return {name: Annotated[float, Quantity("count", ge=0)] for name in registry.names("score")}

    def plain(self, value: tuple[tuple[Any, float], ...]) -> dict[str, Any]:
        """The mapping that `check` reads back."""
        from sim.scenario.canonical import plain

        result: dict[str, Any] = {}
        for scorer, weight in value:
            settings = plain(scorer, Annotated[Any, PolicyField("score")])
            if isinstance(settings, str):
                result[settings] = int(weight) if weight == int(weight) else weight
            else:
                name = settings.pop("policy")
                result[name] = {"weight": weight, **settings}
        return result


class Autoscaler(PolicyField):
    """An autoscaler; in a file also `{manifest: hpa.yaml}`, which is read before anything is validated."""

    __slots__ = ()

    def json_schema(self) -> dict[str, Any]:
        """A policy, or a manifest with what its metrics mean."""
        signals = {"type": "object", "additionalProperties": {"enum": list(SIGNALS)}}
        manifest = {
            "type": "object",
            "description": "an HPA, Knative Service, KEDA ScaledObject or KServe InferenceService",
            "properties": {"manifest": {"type": "string", "minLength": 1}, "metrics": signals},
            "required": ["manifest"],
            "additionalProperties": False,
        }
        return {"anyOf": [PolicyField.json_schema(self), manifest]}


class Amounts(Spec):
    """Amounts per resource; what is not named is not limited."""

    cpu: Cores | None = Field(default=None, description="virtual cores")
    memory: Bytes | None = Field(default=None, description="main memory")
    accelerators: Annotated[float, Ge(0), Le(1e6)] | None = Field(default=None, description="accelerators")
    disk: Bytes | None = Field(default=None, description="local disk")

    def named(self) -> dict[str, float]:
        """Amounts by resource, of those given."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Shared(Spec):
    """What a queue and a cohort have alike."""

    nominal: Amounts = Field(default=Amounts(), description="its own; what no quota names is not limited")
    borrowing: Amounts = Field(
        default=Amounts(), description="how much of others' it may use; all unless given"
    )
    lending: Amounts = Field(
        default=Amounts(), description="how much of its own others may use; all unless given"
    )
    weight: Annotated[float, Ge(0), Le(1e6)] = Field(default=1.0, description="of its claim to a fair share")

    def quota(self) -> Quota:
        """As the rules see it."""
        return Quota(self.nominal.named(), self.borrowing.named(), self.lending.named(), self.weight)


class Cohort(Shared):
    """Queues that lend each other what they do not use (Kueue)."""

    parent: str | None = Field(default=None, description="cohort it belongs to itself")


class Reclaims(Spec):
    """Whose place a job of a queue may take, with `preemption: quota`."""

    within_queue: Within = Field(default="never", description="of jobs in the same queue")
    reclaim: Reclaim = Field(default="never", description="of jobs whose queues borrow")
    borrow: bool = Field(
        default=False, description="of jobs of lower priority elsewhere even while its own queue borrows"
    )
    threshold: Priority | None = Field(
        default=None, description="highest priority that `borrow` may take the place of; any below its own"
    )

    @model_validator(mode="after")
    def _together(self) -> Reclaims:
        if self.borrow and self.reclaim == "never":
            raise ValueError("`borrow` needs `reclaim: lower-priority` or `any`")
        if self.threshold is not None and not self.borrow:
            raise ValueError("`threshold` is about `borrow: true`")
        return self


class Queue(Shared):
    """The quota of one tenant's jobs."""

    cohort: str | None = Field(
        default=None, description="cohort it borrows from and lends to; none unless given"
    )
    preemption: Reclaims = Field(default=Reclaims(), description="what its jobs may do to others")


class Scheduler(Spec):
    """How waiting units (replicas, workers) get their nodes."""

    profile: Literal["stratus", "kubernetes"] = Field(
        default="stratus",
        description="kubernetes: scorers, weights and ties of kube-scheduler v1.30, where not given here",
    )
    order: Annotated[Any, PolicyField("order")] = default_policy("order", "fifo", "who is next")
    discipline: Annotated[Any, PolicyField("discipline")] = default_policy(
        "discipline", "skip", "who may go before one that does not fit yet"
    )
    preemption: Annotated[Any, PolicyField("preemption")] = default_policy(
        "preemption", "none", "who has to make room for one that does not fit"
    )
    filters: list[Annotated[Any, PolicyField("filter")]] = Field(
        default_factory=lambda: [registry.lookup("filter", name)() for name in DEFAULT_FILTERS],
        description="what makes a node impossible",
    )
    scores: Annotated[tuple[tuple[Any, float], ...], Scores()] = Field(
        default_factory=lambda: ((registry.lookup("score", "least-allocated")(), 1.0),),
        description="which possible node is best: scorers and their weights",
    )
    ties: Literal["first", "random"] = Field(
        default="first", description="which of several nodes with the best score: the first, or any"
    )

    queues: dict[Name, Queue] = Field(
        default={}, description="quotas by tenant; jobs of other tenants, and services, are not limited"
    )
    cohorts: dict[Name, Cohort] = Field(default={}, description="cohorts of queues, by name")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("profile") == "kubernetes":
            return {"scores": dict(PROFILE), "ties": "random", **value}
        return value


class Resources(Spec):
    """What one replica or worker occupies on its node."""

    cpu: Cores = Field(default=1.0, description="virtual cores")
    memory: Bytes = Field(default=0.0, description="main memory")
    accelerators: Annotated[float, Ge(0), Le(1024)] = Field(
        default=0.0, description="whole accelerators, or below 1 a share of a single one"
    )
    disk: Bytes = Field(default=0.0, description="local disk")


class Scrape(Spec):
    """Monitoring: an autoscaler sees samples, some of them late or lost, not the present state."""

    period: PositiveSeconds = Field(default=15.0, description="between two samples, each a mean")
    delay: Seconds = Field(default=0.0, description="until a sample can be read")
    missing: Fraction = Field(default=0.0, description="share of the samples that get lost")


class MemoryUse(Spec):
    """What a replica uses of its memory; one that uses more than it asked for is killed within a minute."""

    base: Bytes = Field(description="memory of a replica without calls")
    per_call: Bytes = Field(default=0.0, description="memory of each call that waits or is served in it")
    min: Bytes = Field(default=0.0, description="least memory recommended")
    max: Bytes | None = Field(default=None, description="most memory recommended; no bound unless given")

    @model_validator(mode="after")
    def _in_order(self) -> MemoryUse:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g} bytes) is above max ({self.max:g})")
        return self


class VerticalPolicy(Spec):
    """What replicas ask for, as the VPA recommends; how fast a replica is does not depend on it."""

    mode: Literal["Off", "Initial", "Recreate"] = Field(
        default="Off",
        description="Off: recommend only; Initial: new replicas take it; Recreate: evict those out of bounds",
    )
    min: Cores = Field(default=0.0, description="least cores recommended")
    max: Cores | None = Field(default=None, description="most cores recommended; no bound unless given")
    memory: MemoryUse | None = Field(
        default=None, description="memory that replicas use, and its bounds; not looked at unless given"
    )

    @model_validator(mode="after")
    def _in_order(self) -> VerticalPolicy:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is above max ({self.max:g})")
        return self


class DisruptionBudget(Spec):
    """A PodDisruptionBudget: what node autoscalers and the VPA leave alone; give one of both."""

    min_available: PodsOrShare | None = Field(
        default=None, description="ready replicas that stay, as a number or a share such as 50%"
    )
    max_unavailable: PodsOrShare | None = Field(
        default=None, description="replicas that may be missing, as a number or a share such as 25%"
    )

    @model_validator(mode="after")
    def _one(self) -> DisruptionBudget:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("give either `min_available` or `max_unavailable`")
        return self


class Decode(Spec):
    """Disaggregation: this service processes prompts, another one generates the other tokens."""

    service: str = Field(description="service that generates; it has replicas, engine and router of its own")
    threshold: Annotated[int, Ge(0), Le(10_000_000)] = Field(
        default=0, description="prompts with fewer tokens are processed there too; none unless given"
    )
    bandwidth: BytesPerSecond | None = Field(
        default=None,
        description="of each replica's connection, over which caches move; unless given, the share of its "
        "node's network card that goes with its accelerators",
    )
    local: BytesPerSecond | None = Field(
        default=None, description="the same between replicas on one node; as between nodes unless given"
    )
    latency: Seconds = Field(
        default=0.0, description="of each transfer, besides that of links between the sites of the two"
    )
    bytes_per_token: Bytes | None = Field(
        default=None, description="of a cache; of the model's at 16 bits unless given"
    )

    def size(self, model: Model | None) -> float:
        """Bytes per token of a cache; 0 where nobody states them."""
        return self.bytes_per_token or (0.0 if model is None else model.kv_bytes_per_token)


class Service(Spec):
    """A deployed model or program: equal replicas behind a router."""

    site: str = Field(description="site its replicas run at")
    pool: str | None = Field(default=None, description="node pool of that site; any unless given")
    device: str | None = Field(default=None, description="accelerator its replicas need; any unless given")
    model: str | None = Field(default=None, description="model of the catalog (`stratus list models`)")
    precision: Precision = Field(default="fp16", description="number format the model runs in")
    time: Annotated[Any, PolicyField("time")] | None = Field(
        default=None,
        description="how long one batch takes; of `continuous-batch` only what waits are estimated by, and "
        "unless given what its `steps` make of it",
    )
    engine: Annotated[Any, PolicyField("engine")] = default_policy(
        "engine", "concurrent", "how calls share a replica"
    )
    decode: Decode | None = Field(
        default=None,
        description="who generates what this service has processed the prompts of, where language models are "
        "served apart; this service itself unless given",
    )
    resources: Resources = Field(default=Resources(), description="what one replica occupies")
    placement: Placement = Field(
        default=Placement(), description="tolerations, affinity to nodes and other units, spreading"
    )
    accelerator_memory: Bytes | None = Field(
        default=None,
        description="memory needed on each accelerator; its share of the weights unless given",
    )
    replicas: Bounds = Field(default=Bounds(initial=1, min=1, max=1), description="number of replicas")
    autoscaler: Annotated[Any, Autoscaler("autoscaler")] = default_policy(
        "autoscaler", "fixed", "how many replicas there should be"
    )
    vertical: VerticalPolicy | None = Field(
        default=None, description="vertical scaling; replicas ask for `resources` unless given"
    )
    disruption_budget: DisruptionBudget | None = Field(
        default=None, description="replicas that may be taken off their nodes at a time; any unless given"
    )
    scrape: Scrape | None = Field(
        default=None, description="how the autoscaler's view is measured; the present state unless given"
    )
    router: Annotated[Any, PolicyField("router")] = default_policy(
        "router", "least-load", "which replica serves a call"
    )
    admission: Annotated[Any, PolicyField("admission")] | None = Field(
        default=None, description="which calls are let in; all that the queue takes unless given"
    )
    queue: Count | None = Field(
        default=None, description="calls that may wait, per replica; no bound unless given"
    )
    timeout: PositiveSeconds | None = Field(
        default=None, description="longest wait of a call; no bound unless given"
    )
    hosts: Hosts | None = Field(
        default=None, description="models that take turns in each replica's memory; one model unless given"
    )
    image: Bytes = Field(default=0.0, description="size of the container image, pulled once per node")
    weights: Bytes | None = Field(
        default=None, description="size of the weights; from model and precision unless given"
    )
    load_rate: BytesPerSecond | None = Field(
        default=None, description="weights from the node to the accelerator; at once unless given"
    )
    warmup: Seconds = Field(default=0.0, description="from weights loaded to ready")
    drain_timeout: Seconds = Field(
        default=30.0, description="a replica that ends may finish its calls for this long"
    )


class Estimate(Spec):
    """How wrong the running times are that users state."""

    factor: Annotated[Distribution, DistributionOf("count")] = Field(
        default=Constant(1.0), description="stated running time / true running time"
    )


class Slowdown(Spec):
    """Factors by which a gang takes longer that does not sit together."""

    node: Factor = Field(default=1.0, description="all workers on one node")
    nvlink: Factor | None = Field(default=None, description="on nodes behind one NVLink switch; as `node`")
    rack: Factor | None = Field(default=None, description="on nodes of one rack; as `nvlink` unless given")
    site: Factor | None = Field(default=None, description="in several racks; as `rack` unless given")
    sites: Factor | None = Field(default=None, description="at several sites; as `site` unless given")


class Elastic(Spec):
    """How many workers a job can work with, where the policy decides it."""

    min: Workers = Field(default=1, description="fewest workers")
    max: Workers = Field(description="most workers")

    @model_validator(mode="after")
    def _in_order(self) -> Elastic:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max})")
        return self


class ScaledJob(Spec):
    """Arrivals are items of a queue, for which jobs are started at each look, as by KEDA's ScaledJob."""

    strategy: Literal["default", "custom", "accurate", "eager"] = Field(
        default="default", description="how jobs that run or wait for nodes are taken off"
    )
    max: Workers = Field(default=100, description="jobs that may be there at a time")
    target: Annotated[float, Gt(0), Le(1e9)] = Field(
        default=1.0, description="items in the queue per job that is started"
    )
    activation: Annotated[float, Ge(0), Le(1e9)] = Field(
        default=0.0, description="the queue must be longer than this for any job to start"
    )
    polling: PositiveSeconds = Field(default=30.0, description="between two looks at the queue")
    deduction: Annotated[int, Ge(0), Le(1_000_000)] = Field(
        default=0, description="of strategy custom: items that need no job"
    )
    running_share: Fraction = Field(
        default=0.0, description="of strategy custom: share of the running jobs that is taken off"
    )

    @model_validator(mode="after")
    def _together(self) -> ScaledJob:
        if self.strategy != "custom" and (self.deduction or self.running_share):
            raise ValueError("`deduction` and `running_share` are about `strategy: custom`")
        return self


class JobClass(Spec):
    """Training jobs of one kind: gangs of equal workers that are placed whole or not at all."""

    arrivals: Annotated[Any, PolicyField("arrivals")] = Field(description="when jobs are submitted")
    workers: Annotated[Distribution, DistributionOf("count")] = Field(
        default=Constant(1.0), description="workers of a job"
    )
    resources: Resources = Field(
        default=Resources(cpu=1.0, accelerators=1.0), description="what one worker occupies"
    )
    duration: Duration | None = Field(
        default=None,
        description="running time on the workers asked for; not needed where the jobs come from a trace",
    )
    estimate: Estimate = Field(default=Estimate(), description="running time that users state")
    tenant: Name = Field(default="default", description="who owns them")
    priority: Priority = Field(default=0, description="higher goes first, where the order looks at it")
    deadline: PositiveSeconds | None = Field(
        default=None, description="from the submission; none unless given"
    )
    checkpoint: PositiveSeconds | None = Field(
        default=None, description="time between checkpoints; a crash loses all work unless given"
    )
    restart: Seconds = Field(
        default=0.0, description="a job that lost its place holds its new nodes so long before it works on"
    )
    throughput: dict[str, Annotated[float, Gt(0), Le(1e6)]] = Field(
        default={},
        description="speed by accelerator, against the one the duration is for; 1 unless given",
    )
    scaling: Annotated[tuple[tuple[float, float], ...], SpeedUp()] = Field(
        default=(), description="speed-up by number of workers, `{1: 1, 4: 3.5}`; proportional unless given"
    )
    slowdown: Slowdown = Field(default=Slowdown(), description="price of a gang that does not sit together")
    elastic: Elastic | None = Field(
        default=None, description="numbers of workers they can work with; rigid unless given"
    )
    scaled_job: ScaledJob | None = Field(
        default=None,
        description="arrivals are items for which jobs are started; each is a job at once unless given",
    )
    weight: Annotated[float, Gt(0), Le(1e9)] = Field(
        default=1.0, description="of their claim, where the policy shares fairly"
    )
    site: str | None = Field(default=None, description="site they run at; any unless given")
    pool: str | None = Field(default=None, description="node pool of that site; any unless given")
    device: str | None = Field(default=None, description="accelerator they need; any unless given")
    placement: Placement = Field(
        default=Placement(), description="tolerations, affinity to nodes and other units, spreading"
    )
    accelerator_memory: Bytes = Field(default=0.0, description="memory a worker needs on one accelerator")


class Platform(Spec):
    """What the platform decides and runs."""

    scheduler: Scheduler = Field(default_factory=Scheduler, description="how units get their nodes")
    node_scaling: Annotated[Any, PolicyField("node_scaling")] | None = Field(
        default=None,
        description="how elastic pools grow and shrink; at once, first fit, the cheapest pool first, and by "
        "their `idle_timeout`, unless given",
    )
    sharing: Annotated[Any, PolicyField("sharing")] | None = Field(
        default=None,
        description="how replicas and workers slow each other down that have shares (below 1) of one "
        "accelerator and work at the same time; not at all unless given",
    )
    services: dict[Name, Service] = Field(default={}, description="services by name")
    jobs: dict[Name, JobClass] = Field(default={}, description="kinds of training jobs by name")
