"""Who has to go so that a unit of higher priority fits: the rules of Kubernetes' DefaultPreemption.

Pure functions over plain data. Only what has a strictly lower priority may go. On one node: all of
it is taken away; if the newcomer fits then, each is given back, the most important first, as long as
the newcomer still fits; who cannot be given back is a victim. Of several nodes the one that does the
least harm is taken. A gang falls whole, so for gangs the same is done with the cluster as one node
and gangs in place of units.

Source: pkg/scheduler/framework/preemption and plugins/defaultpreemption of Kubernetes v1.30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: Added to each priority in a sum, so that several victims of negative priority do not look cheap.
_OFFSET = 2**31


@dataclass(frozen=True, slots=True)
class Runner:
    """A unit, or a whole gang, that runs.

    Attributes:
        id: of the unit or group.
        priority: larger is more important.
        started: seconds; of two with equal priority the earlier is the more important.
        budgets: names of the disruption budgets that its eviction counts against.
    """

    id: int
    priority: float
    started: float
    budgets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes to make room on one node.

    Attributes:
        victims: who has to go, the most important first.
        violations: how many of them go against a disruption budget.
    """

    victims: tuple[Runner, ...]
    violations: int = 0


def plan(
    priority: float,
    running: Sequence[Runner],
    fits: Callable[[Sequence[Runner]], bool],
    allowed: Mapping[str, int] | None = None,
) -> Plan | None:
    """The victims on one node (or, for a gang, in the cluster); None if the newcomer fits in no case.

    Args:
        priority: of the newcomer.
        running: what runs there.
        fits: whether the newcomer fits while these of `running` stay.
        allowed: budget -> evictions it still allows; budgets not named allow none.
    """
    kept = [each for each in running if each.priority >= priority]
    lower = sorted((each for each in running if each.priority < priority), key=_importance)
    if not fits(kept):
        return None
    violating, others = _against_budgets(lower, allowed or {})
    victims: list[Runner] = []
    violations = 0
    for number, each in enumerate((*violating, *others)):
        if fits([*kept, each]):
            kept.append(each)
        else:
            victims.append(each)
            violations += number < len(violating)
    return Plan(tuple(sorted(victims, key=_importance)), violations)


def pick(plans: Mapping[int, Plan]) -> int:
    """The node with the least harm, of one or more; ties go to the first.

    In this order: fewest violations of budgets, lowest priority of the most important victim, lowest
    sum of priorities, fewest victims, latest start of the earliest started among the most important.
    A node without victims wins at once.
    """
    return min(plans, key=lambda node: _harm(plans[node]))


def select(
    priority: float,
    nodes: Mapping[int, Sequence[Runner]],
    fits: Callable[[int, Sequence[Runner]], bool],
    allowed: Mapping[str, int] | None = None,
    *,
    offset: int = 0,
    candidates: int | None = None,
) -> tuple[int, Plan] | None:
    """The node to make room on, and its victims; None if no node can be made to hold the newcomer.

    Args:
        priority: of the newcomer.
        nodes: node -> what runs there; only nodes that eviction can help on.
        fits: whether the newcomer fits on a node while these stay.
        allowed: budget -> evictions it still allows.
        offset: place in `nodes` at which the search starts (upstream: random).
        candidates: the search ends once it has so many, one of them within the budgets; see
            `candidates_wanted`. None: it looks at all.
    """
    order = list(nodes)
    order = order[offset:] + order[:offset]
    clean: dict[int, Plan] = {}
    harmful: dict[int, Plan] = {}
    for node in order:

        def keeps(stay: Sequence[Runner], node: int = node) -> bool:
            return fits(node, stay)

        found = plan(priority, nodes[node], keeps, allowed)
        if found is None:
            continue
        (harmful if found.violations else clean)[node] = found
        if candidates is not None and clean and len(clean) + len(harmful) >= candidates:
            break
    plans = clean | harmful
    if not plans:
        return None
    node = pick(plans)
    return node, plans[node]


def candidates_wanted(nodes: int, percentage: int = 10, least: int = 100) -> int:
    """How many candidates upstream looks for among so many nodes."""
    return min(nodes, max(nodes * percentage // 100, least))


def _importance(each: Runner) -> tuple[float, float]:
    return (-each.priority, each.started)


def _against_budgets(
    ordered: Sequence[Runner], allowed: Mapping[str, int]
) -> tuple[list[Runner], list[Runner]]:
    """Those whose eviction a budget forbids once the more important ones were counted; the others."""
    left = dict(allowed)
    violating: list[Runner] = []
    others: list[Runner] = []
    for each in ordered:
        for budget in each.budgets:
            left[budget] = left.get(budget, 0) - 1
        over = any(left[budget] < 0 for budget in each.budgets)
        (violating if over else others).append(each)
    return violating, others


def _harm(found: Plan) -> tuple[float, ...]:
    victims = found.victims
    if not victims:
        return (-1.0,)
    top = victims[0].priority
    earliest = min(each.started for each in victims if each.priority == top)
    total = sum(each.priority + _OFFSET for each in victims)
    return (found.violations, top, total, len(victims), -earliest)
