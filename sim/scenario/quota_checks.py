"""What queues, cohorts and jobs must know of each other."""

from __future__ import annotations

from collections.abc import Iterator

from sim.scenario.document import Location
from sim.scenario.faults import Problem, unknown_name
from sim.scenario.spec import Scenario

_AT: Location = ("platform", "scheduler")


def check_quotas(scenario: Scenario) -> Iterator[Problem]:
    """Cohorts that are not there or lie within themselves, queues that nobody uses, rules without effect."""
    wanted = scenario.platform.scheduler
    for name, cohort in wanted.cohorts.items():
        at: Location = (*_AT, "cohorts", name)
        if cohort.parent is not None and cohort.parent not in wanted.cohorts:
            yield unknown_name((*at, "parent"), "cohort", cohort.parent, wanted.cohorts)
        elif name in _above(scenario, name):
            yield Problem((*at, "parent"), f"{name} would lie within itself")
        if cohort.parent is None and (cohort.borrowing.named() or cohort.lending.named()):
            yield Problem(at, "`borrowing` and `lending` need a `parent` to borrow from and lend to", "key")
    for name, queue in wanted.queues.items():
        at = (*_AT, "queues", name)
        if queue.cohort is not None and queue.cohort not in wanted.cohorts:
            yield unknown_name((*at, "cohort"), "cohort", queue.cohort, wanted.cohorts)
        if queue.cohort is None and (queue.borrowing.named() or queue.lending.named()):
            yield Problem(at, "`borrowing` and `lending` need a `cohort` to borrow from and lend to", "key")
        tenants = {job.tenant for job in scenario.platform.jobs.values()}
        if name not in tenants and not _traced(scenario):
            yield unknown_name(at, "tenant", name, tenants, "key")
    if not wanted.queues:
        if wanted.preemption.policy == "quota":
            yield Problem((*_AT, "preemption"), "`quota` gives back what `queues` borrow: give some")
        if wanted.cohorts:
            yield Problem((*_AT, "cohorts"), "cohorts are of `queues`: give some", "key")


def _above(scenario: Scenario, name: str) -> list[str]:
    """Ancestors of a cohort, up to one that is not there or was met before."""
    cohorts = scenario.platform.scheduler.cohorts
    found: list[str] = []
    node = cohorts[name].parent
    while node is not None and node in cohorts and node not in found:
        found.append(node)
        node = cohorts[node].parent
    return found


def _traced(scenario: Scenario) -> bool:
    """Whether tenants may come from a trace."""
    return any(hasattr(job.arrivals, "file") for job in scenario.platform.jobs.values())
