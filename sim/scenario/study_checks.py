"""What the study asks must exist: arms, metrics, and conditions in the unit of their metric."""

from __future__ import annotations

from collections.abc import Iterator

from sim.metrics import condition, names_of
from sim.scenario.document import Location
from sim.scenario.facts import chats, engines, hosts
from sim.scenario.faults import Problem, unknown_name
from sim.scenario.spec import Scenario


def metric_names(scenario: Scenario) -> list[str]:
    """Every metric that a run of the scenario gives."""
    sites = scenario.infrastructure.sites
    return names_of(
        {
            "apps": scenario.applications,
            "services": {name: {"site": each.site} for name, each in scenario.platform.services.items()},
            "engines": engines(scenario),
            "chats": chats(scenario),
            "hosts": hosts(scenario),
            "pools": [f"{site}/{pool}" for site in sites for pool in sites[site].pools],
            "links": scenario.infrastructure.network.links,
            "jobs": list(scenario.platform.jobs),
        }
    )


def check_study(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with what the study asks for."""
    study = scenario.study
    if study.baseline is not None and study.baseline not in study.arms:
        yield unknown_name(("study", "baseline"), "arm", study.baseline, study.arms)
    names = set(metric_names(scenario))
    for index, metric in enumerate(study.show):
        if metric not in names:
            yield unknown_name(("study", "show", index), "metric", metric, names)
        elif metric in study.show[:index]:
            yield Problem(("study", "show", index), f"{metric!r} stands twice")
    for index, metric in enumerate(study.tradeoff):
        if metric not in names:
            yield unknown_name(("study", "tradeoff", index), "metric", metric, names)
    if len(set(study.tradeoff)) == 1:
        yield Problem(("study", "tradeoff"), "needs two different metrics")
    if study.answer is None:
        return
    at: Location = ("study", "answer")
    if study.answer.metric not in names:
        yield unknown_name((*at, "metric"), "metric", study.answer.metric, names)
    for metric, text in study.answer.subject_to.items():
        if metric not in names:
            yield unknown_name((*at, "subject_to", metric), "metric", metric, names, "key")
            continue
        try:
            condition(metric, text)
        except ValueError as error:
            yield Problem((*at, "subject_to", metric), str(error))
