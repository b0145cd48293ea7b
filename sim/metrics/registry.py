"""The names, meanings and directions of all metrics.

A metric is one number per run. Its name is a path, `apps.<app>.latency.p99`; the part in angle
brackets is a name of the scenario.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sim.errors import UsageError, did_you_mean
from sim.metrics.definitions import DEFINITIONS


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of metric.

    Attributes:
        pattern: its name, scenario names in angle brackets.
        label: its short title.
        dimension: how its value is shown (`sim.units.show`).
        better: "low", "high" or None where neither is.
        meaning: what exactly is counted.
        steady: whether it describes a steady state, and so means nothing for an overloaded station.
        source: who defined it so, where it is not ours or common.
    """

    pattern: str
    label: str
    dimension: str
    better: str | None
    meaning: str
    steady: bool = False
    source: str = ""
    regex: re.Pattern[str] = field(init=False, repr=False, compare=False, default=re.compile(""))

    def __post_init__(self) -> None:
        text = re.sub(r"<(\w+)>", r"(?P<\1>[^.]+)", self.pattern.replace(".", r"\."))
        object.__setattr__(self, "regex", re.compile(text))


_SCOPE = re.compile(r"<(app|chat|service|engine|host|pool|link|queue)>")
_STEADY = re.compile(r"latency|queue|wait|ttft|e2e|ntpot|in_system|jct|delay|slowdown|finish_time")


def _parse(prefix: str, text: str) -> list[Metric]:
    found: list[Metric] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            known = found.pop()
            if line.strip().startswith("source: "):
                found.append(dataclasses.replace(known, source=line.strip().removeprefix("source: ")))
            else:
                found.append(dataclasses.replace(known, meaning=f"{known.meaning} {line.strip()}".strip()))
            continue
        name, dimension, better, label = (part.strip() for part in line.split("|"))
        shown = "" if dimension == "count" else dimension
        direction = None if better == "-" else better
        found.append(Metric(f"{prefix}.{name}", label, shown, direction, "", bool(_STEADY.match(name))))
    return found


_ALL = [metric for prefix, text in DEFINITIONS.items() for metric in _parse(prefix, text)]

#: Every metric by its pattern.
METRICS: dict[str, Metric] = {metric.pattern: metric for metric in _ALL}


@cache
def lookup(name: str) -> Metric:
    """The metric a full name belongs to.

    Raises:
        UsageError: no metric has such a name; the message proposes one.
    """
    for metric in _ALL:
        if metric.regex.fullmatch(name):
            return metric
    raise UsageError(f"unknown metric {name!r}{did_you_mean(name, METRICS)}")


def names_of(facts: Mapping[str, Any]) -> list[str]:
    """Every full metric name of a run, from its facts."""
    sites = dict.fromkeys(service["site"] for service in facts.get("services", {}).values())
    found = []
    for metric in _ALL:
        part = _SCOPE.search(metric.pattern)
        if part is None:
            jobs, tokens = metric.pattern.startswith("jobs."), "token" in metric.pattern
            if (not jobs or facts.get("jobs")) and (not tokens or facts.get("engines")):
                found.append(metric.pattern)
            continue
        for name in facts.get(f"{part[1]}s", {}):
            one = metric.pattern.replace(part[0], name, 1)
            found += [one.replace("<site>", site) for site in sites] if "<site>" in one else [one]
    return found
