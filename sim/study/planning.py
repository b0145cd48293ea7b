"""Capacity planning: the cheapest configuration that keeps its objectives, and the greatest load one carries.

The number of replicas is bracketed (doubled until the objectives are kept) and then bisected, for every
configuration by itself. A configuration keeps an objective if the worse end of the 95 % interval over the
replications does; with one replication, if the value does. More replicas are taken never to be worse.
Ctrl-C ends the search with what it has found.
"""

from __future__ import annotations

import math
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import registry, units
from sim.errors import ScenarioError, UsageError, did_you_mean
from sim.metrics import Condition, lookup
from sim.scenario.facts import instance_price
from sim.scenario.offer import offer
from sim.scenario.spec import Scenario, Service
from sim.stats import intervals
from sim.stats.pareto import front

#: Rates are bisected until the bracket is this narrow.
PRECISION = 0.03

#: Load a scenario with further `path=value` settings.
Loader = Callable[[Sequence[str]], Scenario]

#: A configuration: in words, settings by path, and the same as `path=value`.
Configuration = tuple[str, Mapping[str, Any], Sequence[str]]

#: Told about every trial before it runs: the configuration and what is tried.
Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Bound:
    """One objective in one trial: mean, interval (None with one replication) and verdict."""

    condition: Condition
    mean: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """met, missed, or unsure where the interval holds the bound."""
        ends = [self.mean if end is None else end for end in (self.low, self.high)]
        held = [self.condition.holds(end) for end in ends]
        return "met" if all(held) else "unsure" if any(held) else "missed"

    def __str__(self) -> str:
        dimension = lookup(self.condition.metric).dimension
        return f"{self.condition} {self.verdict}: {units.show(self.mean, dimension)}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration at a size (replicas) or load (factor on the rate), and what came out.

    Attributes:
        size: replicas, or factor.
        cost: USD per hour of all machines.
        bounds: one per objective.
        overloaded: services whose backlog kept growing.
        metrics: means over the replications.
    """

    size: float
    cost: float
    bounds: Sequence[Bound]
    overloaded: Sequence[str]
    metrics: Mapping[str, float]

    @property
    def kept(self) -> bool:
        """Whether all objectives are."""
        return not self.overloaded and all(bound.verdict == "met" for bound in self.bounds)

    @property
    def reason(self) -> str:
        """Why not, "" if they are."""
        found = []
        if self.overloaded:
            found.append(f"overloaded: the backlog of {', '.join(self.overloaded)} kept growing")
        return "; ".join(found + [str(bound) for bound in self.bounds if bound.verdict != "met"])


@dataclass(slots=True)
class Found:
    """What the search found out about one configuration.

    Attributes:
        name: in words.
        settings: path -> value.
        trials: by rising size.
        best: the smallest that keeps the objectives, None if none does.
        ruled_out: why, "" if it is not.
        complete: whether the search came to its end.
    """

    name: str
    settings: Mapping[str, Any]
    trials: list[Trial] = field(default_factory=list)
    best: Trial | None = None
    ruled_out: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """What is planned.

    Attributes:
        service: whose replicas are counted.
        conditions: the objectives.
        most: replicas never exceeded.
        replications: of every trial.
        jobs: processes.
        plugins: files with the user's own policies.
    """

    service: str
    conditions: Sequence[Condition]
    most: int
    replications: int
    jobs: int = 1
    plugins: Sequence[Path] = ()


def plan(load: Loader, configurations: Sequence[Configuration], asked: Asked, say: Say) -> list[Found]:
    """Search every configuration; after Ctrl-C those that were begun, the last of them incomplete."""
    found = []
    for name, settings, sets in configurations:
        found.append(_search(load, name, settings, sets, asked, say))
        if not found[-1].complete:
            break
    return found


def smallest(kept: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 1 to `most` for which `kept` holds, None if it holds for none.

    It must hold for all numbers above one for which it holds. Asked at most 2 log2(answer) + 2 times, and not
    for numbers above twice the answer.
    """
    low, high = 0, 1
    while not kept(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle, high)
    return high


def cheapest(found: Sequence[Found]) -> Found | None:
    """The configuration with the least cost per hour; of equal ones the first."""
    able = [item for item in found if item.best is not None]
    return min(able, key=lambda item: item.best.cost if item.best else math.inf, default=None)


def efficient(found: Sequence[Found], metric: str) -> list[tuple[str, Trial]]:
    """Trials that none other beats in both cost and a metric, cheapest first; overloaded ones apart."""
    known = [
        (item.name, trial)
        for item in found
        for trial in item.trials
        if not trial.overloaded and not math.isnan(trial.metrics.get(metric, math.nan))
    ]
    better = lookup(metric).better or "low"
    places = front([(trial.cost, trial.metrics[metric]) for _, trial in known], ["low", better])
    return sorted((known[place] for place in places), key=lambda item: item[1].cost)


def _search(
    load: Loader, name: str, settings: Mapping[str, Any], sets: Sequence[str], asked: Asked, say: Say
) -> Found:
    found = Found(name, settings)
    tried: dict[int, Trial] = {}

    def kept(replicas: int) -> bool:
        if replicas not in tried:
            say(name, f"{replicas} replica{'' if replicas == 1 else 's'}")
            scenario = load([*sets, *sized(base, asked.service, replicas)])
            tried[replicas] = _trial(scenario, float(replicas), asked)
        return tried[replicas].kept

    try:
        base = load(sets)
        size = smallest(kept, asked.most)
        if size is None:
            most = "1 replica does" if asked.most == 1 else f"{asked.most} replicas do"
            found.ruled_out = f"even {most} not keep it: {tried[asked.most].reason}"
        else:
            found.best = tried[size]
    except ScenarioError as error:
        more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
        found.ruled_out = f"cannot be built: {error.faults[0].path}: {error.faults[0].message}{more}"
    except KeyboardInterrupt:
        # Not the smallest perhaps, but one that keeps them.
        found.complete = False
        found.best = min((one for one in tried.values() if one.kept), key=lambda one: one.size, default=None)
        found.ruled_out = "" if found.best else "interrupted before any size kept the objectives"
    found.trials = [tried[replicas] for replicas in sorted(tried)]
    return found


def sized(scenario: Scenario, service: str, replicas: int) -> list[str]:
    """Settings that give a service so many replicas and its pool the nodes for them.

    Pools of its site that nothing else can use get no nodes, so that they cost nothing.
    """
    wanted = scenario.platform.services[service]
    at = f"infrastructure.sites.{wanted.site}.pools"
    pools = scenario.infrastructure.sites[wanted.site].pools
    mine = wanted.pool or next(iter(pools))
    sets = [f"platform.services.{service}.replicas={replicas}"]
    if mine in pools:
        each = _per_node(scenario, wanted, mine)
        sets.append(f"{at}.{mine}.nodes={math.ceil(replicas / each) if each else replicas}")
    alone = len(scenario.platform.services) == 1 and not scenario.platform.jobs
    if alone and wanted.pool is not None:
        sets += [f"{at}.{name}.nodes=0" for name in pools if name != mine]
    return sets


def _per_node(scenario: Scenario, service: Service, pool: str) -> int:
    """Replicas that fit on one node by what they reserve."""
    node = offer(scenario.infrastructure, scenario.infrastructure.sites[service.site].pools[pool])
    needs = service.resources
    if node is None:
        return 1
    rooms = [
        getattr(node, name) / getattr(needs, name)
        for name in ("cpu", "memory", "accelerators", "disk")
        if getattr(needs, name) > 0
    ]
    return int(min(rooms)) if rooms else 1


def hourly(scenario: Scenario) -> float:
    """USD per hour of the machines a scenario starts with."""
    infrastructure = scenario.infrastructure
    pools = [pool for site in infrastructure.sites.values() for pool in site.pools.values()]
    return 3600 * sum(instance_price(infrastructure, pool) * pool.nodes.initial for pool in pools)


def greatest(load: Loader, app: str, asked: Asked, say: Say) -> tuple[list[Trial], Trial | None, float]:
    """The greatest factor on an application's rate at which the objectives are kept.

    Returns:
        (trials by rising factor, the greatest that keeps them or None, requests/s at factor 1 or NaN).

    Raises:
        UsageError: the arrivals have neither a rate nor a scale.
    """
    arrivals = load([]).applications[app].arrivals
    rate: Any = getattr(arrivals, "rate", None)
    rate = getattr(arrivals, "mean", None) if rate is None else rate
    scale: Any = getattr(arrivals, "scale", None)
    if rate is None and scale is None:
        raise UsageError(f"the arrivals of {app} have no rate and no scale that could be raised")
    tried: dict[float, Trial] = {}

    def at(factor: float) -> Trial:
        if factor not in tried:
            say("", f"{factor:.3g} times the load")
            path = f"applications.{app}.arrivals"
            if scale is not None:
                sets = [f"{path}.scale={scale * factor!r}"]
            else:
                sets = [f"{path}.rate={rate * factor!r}/s"]
            tried[factor] = _trial(load(sets), factor, asked)
        return tried[factor]

    low, high = 0.0, 1.0
    if at(1.0).kept:
        while at(high).kept and high < 1024:
            low, high = high, high * 2
    else:
        low = 0.5
        while not at(low).kept and low > 1 / 1024:
            low, high = low / 2, low
    while tried.get(low) is not None and tried[low].kept and high / low > 1 + PRECISION:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if at(middle).kept else (low, middle)
    kept = [trial for trial in tried.values() if trial.kept]
    best = max(kept, key=lambda trial: trial.size, default=None)
    seen = at(best.size if best else 1.0)
    arrived = seen.metrics.get(f"apps.{app}.arrived", math.nan)
    scenario = load([])
    known = arrived / seen.size / (scenario.duration - scenario.warmup)
    return [tried[factor] for factor in sorted(tried)], best, known


def _trial(scenario: Scenario, size: float, asked: Asked) -> Trial:
    runs = list(_measured(scenario, asked))
    names = list(dict.fromkeys(name for run in runs for name in run))
    values = {name: [run.get(name, math.nan) for run in runs] for name in names}
    bounds = []
    for condition in asked.conditions:
        if condition.metric not in values:
            raise UsageError(
                f"this scenario does not measure {condition.metric}{did_you_mean(condition.metric, values)}"
            )
        given = values[condition.metric]
        interval = intervals.of_mean(given)
        bounds.append(Bound(condition, interval.mean, interval.low, interval.high))
    overloaded = [
        name.removeprefix("services.").removesuffix(".unstable")
        for name, flags in values.items()
        if name.startswith("services.")
        and name.endswith(".unstable")
        and sum(flag > 0 for flag in flags) * 2 > len(flags)
    ]
    means = {name: intervals.of_mean(given).mean for name, given in values.items()}
    return Trial(size, hourly(scenario), bounds, overloaded, means)


def _measured(scenario: Scenario, asked: Asked) -> Iterator[dict[str, float]]:
    """The metrics of each replication, in order."""
    text = pickle.dumps(scenario)
    if asked.jobs == 1 or asked.replications == 1:
        for replication in range(asked.replications):
            yield _one(text, replication, asked.plugins)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=min(asked.jobs, asked.replications), backend="loky")
    yield from parallel(delayed(_remote)(text, number, asked.plugins) for number in range(asked.replications))


def _remote(text: bytes, replication: int, plugins: Sequence[Path]) -> dict[str, float]:
    # Ctrl-C goes to the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _one(text, replication, plugins)


def _one(text: bytes, replication: int, plugins: Sequence[Path]) -> dict[str, float]:
    from sim.stats.metrics import measure
    from sim.study.execute import simulate

    for plugin in plugins:
        registry.load_file(plugin)
    return dict(measure(simulate(pickle.loads(text), replication)))  # noqa: S301 - written by ourselves just now
