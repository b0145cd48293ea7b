"""Who has to give way so that a workload fits its queue's quota: Kueue's two ways of choosing.

`classic`: candidates are those over whom the queue has the better claim in the tree (they borrow what
is its own), then those of other borrowing queues, then its own; each group by priority, lowest first,
then by start, latest first. They are removed in turn until the workload fits, and put back in reverse
while it still does (pkg/scheduler/preemption, package classical, mid-2026).

`fair`: queues are asked in order of their dominant share, the largest first, and give a workload away
if the other's share stays at or below theirs afterwards (LessThanOrEqualToFinalShare), else if it
stays below theirs before (LessThanInitialShare). Between queues of different cohorts the shares
compared are those of their ancestors below the cohort they have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sim.paas.quota.tree import Member, Tree, beyond

Within = Literal["never", "lower-priority", "lower-or-newer-equal"]
Reclaim = Literal["never", "lower-priority", "any"]


@dataclass(frozen=True)
class Rules:
    """What a queue may do to others.

    Attributes:
        within_queue: whose place a workload may take in its own queue.
        reclaim: whose, of those in other queues that borrow.
        borrow: whether it may take the place of lower priorities in other queues even while it borrows.
        threshold: the highest priority for that; none: any below its own.
    """

    within_queue: Within = "never"
    reclaim: Reclaim = "never"
    borrow: bool = False
    threshold: float | None = None


@dataclass(frozen=True)
class Held:
    """A workload that has quota, or asks for some.

    Attributes:
        id: number; ties go by it.
        queue: its queue.
        amounts: per resource of the tree.
        priority: higher is more important.
        queued: moment that counts for its place in the queue (s).
        started: moment it got its quota (s); not looked at of one that asks.
    """

    id: int
    queue: str
    amounts: tuple[float, ...]
    priority: float = 0.0
    queued: float = 0.0
    started: float = 0.0


#: Whether the workload would find nodes with these taken off.
Fits = Callable[[Sequence[Held]], bool]

_ADVANTAGE, _RECLAIM, _OWN = range(3)


def anywhere(victims: Sequence[Held]) -> bool:
    """There is always a place, once there is quota."""
    return True


def classic(tree: Tree, asks: Held, held: Iterable[Held], rules: Rules, fits: Fits = anywhere) -> list[Held]:
    """The workloads to take off, in the order they were chosen; none if that does not help.

    Args:
        tree: with all of `held` in use; left as it was.
        asks: who wants to start.
        held: who has quota.
        rules: of the queue of `asks`.
        fits: whether it finds nodes too.
    """
    scarce = tree.lacking(asks.queue, asks.amounts) or [
        at for at, more in enumerate(asks.amounts) if more > 0
    ]
    found = sorted(
        _candidates(tree, asks, held, rules, scarce), key=lambda each: (each[0], *_least_important(each[1]))
    )
    others = [kind for kind, _, _ in found if kind != _OWN]
    own = tree.queues[asks.queue]
    if not others or (not rules.borrow and any(_full(own, at) for at in scarce)):
        attempts = [True]
    elif not rules.borrow and _ADVANTAGE not in others:
        attempts = [False, True]
    else:
        attempts = [True, False]
    for borrowing in attempts:
        chosen = _attempt(tree, asks, found, scarce, rules, borrowing, fits)
        if chosen:
            return chosen
    return []


def _full(member: Member, at: int) -> bool:
    """Whether it uses all that it owns."""
    return not beyond(member.owns[at], member.used[at])


def _least_important(held: Held) -> tuple[float, float, int]:
    return held.priority, -held.started, held.id


def _may(asks: Held, other: Held, rules: Rules) -> bool:
    """Whether priorities allow it."""
    policy = rules.within_queue if other.queue == asks.queue else rules.reclaim
    if policy == "any" or other.priority < asks.priority:
        return policy != "never"
    return policy == "lower-or-newer-equal" and other.priority == asks.priority and asks.queued < other.queued


def _candidates(
    tree: Tree, asks: Held, held: Iterable[Held], rules: Rules, scarce: Sequence[int]
) -> list[tuple[int, Held, Member | None]]:
    """(kind, workload, cohort in common) of those that priorities and quotas expose."""
    own = tree.queues[asks.queue]
    path = list(own.above())
    #: Per cohort above: whether all up to below it could hold the workload as its own.
    better: list[bool] = []
    rest = list(asks.amounts)
    claim = False
    for node in (own, *path[:-1]) if path else ():
        claim = claim or not any(beyond(node.used[at] + more, node.owns[at]) for at, more in enumerate(rest))
        rest = [max(0.0, more - node.spare(at)) for at, more in enumerate(rest)]
        better.append(claim)
    found: list[tuple[int, Held, Member | None]] = []
    for other in held:
        if not any(other.amounts[at] > 0 for at in scarce) or not _may(asks, other, rules):
            continue
        if other.queue == asks.queue:
            found.append((_OWN, other, None))
            continue
        theirs = tree.queues[other.queue]
        common = next((node for node in theirs.above() if node in path), None)
        if common is not None and _exposed(theirs, common, scarce):
            found.append((_ADVANTAGE if better[path.index(common)] else _RECLAIM, other, common))
    return found


def _exposed(queue: Member, common: Member, scarce: Sequence[int]) -> bool:
    """Whether a queue and its cohorts below the common one all use more than they own."""
    node: Member | None = queue
    while node is not None and node is not common:
        if not any(node.borrows(at) for at in scarce):
            return False
        node = node.parent
    return True


def _attempt(
    tree: Tree,
    asks: Held,
    found: Sequence[tuple[int, Held, Member | None]],
    scarce: Sequence[int],
    rules: Rules,
    borrowing: bool,
    fits: Fits,
) -> list[Held]:
    chosen: list[Held] = []
    try:
        for kind, other, common in found:
            if kind == _RECLAIM and borrowing and not _while_borrowing(asks, other, rules):
                continue
            if common is not None and not _exposed(tree.queues[other.queue], common, scarce):
                continue
            tree.add(other.queue, other.amounts, -1)
            chosen.append(other)
            if tree.fits(asks.queue, asks.amounts, borrowing=borrowing) and fits(chosen):
                return _put_back(tree, asks, chosen, borrowing, fits)
        return []
    finally:
        for other in chosen:
            tree.add(other.queue, other.amounts)


def _while_borrowing(asks: Held, other: Held, rules: Rules) -> bool:
    if not rules.borrow or other.priority >= asks.priority:
        return False
    return rules.threshold is None or other.priority <= rules.threshold


def _put_back(tree: Tree, asks: Held, chosen: list[Held], borrowing: bool, fits: Fits) -> list[Held]:
    """Those of the chosen that are needed: the others are put back, the latest but one tried first.

    The tree is left as it was, with all of them off.
    """
    victims = list(chosen)
    back: list[Held] = []
    for other in reversed(chosen[:-1]):
        tree.add(other.queue, other.amounts)
        rest = [each for each in victims if each is not other]
        if tree.fits(asks.queue, asks.amounts, borrowing=borrowing) and fits(rest):
            victims = rest
            back.append(other)
        else:
            tree.add(other.queue, other.amounts, -1)
    for other in back:
        tree.add(other.queue, other.amounts, -1)
    return victims


def fair(tree: Tree, asks: Held, held: Iterable[Held], rules: Rules, fits: Fits = anywhere) -> list[Held]:
    """As `classic`, by dominant shares."""
    scarce = tree.lacking(asks.queue, asks.amounts) or [
        at for at, more in enumerate(asks.amounts) if more > 0
    ]
    by_queue: dict[str, list[Held]] = {}
    for _, other, _ in sorted(
        _candidates(tree, asks, held, rules, scarce), key=lambda each: _least_important(each[1])
    ):
        by_queue.setdefault(other.queue, []).append(other)
    chosen: list[Held] = []
    later: dict[str, list[Held]] = {}

    def enough() -> bool:
        return tree.fits(asks.queue, asks.amounts) and fits(chosen)

    def give(other: Held) -> bool:
        tree.add(other.queue, other.amounts, -1)
        chosen.append(other)
        return enough()

    try:
        while by_queue:
            name = _largest(tree, by_queue)
            line = by_queue.pop(name)
            if name == asks.queue:
                done = give(line.pop(0))
            else:
                done = False
                while line:
                    other = line.pop(0)
                    low = _while_borrowing(asks, other, rules)
                    if low or _final(tree, asks, other):
                        done = give(other)
                        break
                    later.setdefault(name, []).append(other)
                if not _exposed_anywhere(tree, asks.queue, name, scarce):
                    line = []
            if done:
                return _put_back(tree, asks, chosen, True, fits)
            if line:
                by_queue[name] = line
        while later:
            name = _largest(tree, later)
            other = later.pop(name)[0]
            mine, theirs = _apart(tree, asks.queue, other.queue)
            if mine.share(_seen_at(tree, asks, mine)) < theirs.share() and give(other):
                return _put_back(tree, asks, chosen, True, fits)
        return []
    finally:
        for other in chosen:
            tree.add(other.queue, other.amounts)


def _exposed_anywhere(tree: Tree, own: str, other: str, scarce: Sequence[int]) -> bool:
    if own == other:
        return True
    path = list(tree.queues[own].above())
    theirs = tree.queues[other]
    common = next((node for node in theirs.above() if node in path), None)
    return common is not None and _exposed(theirs, common, scarce)


def _largest(tree: Tree, queues: Iterable[str]) -> str:
    """The queue to ask first: from the root down, always the member with the largest share."""
    found = list(queues)
    paths = {name: [tree.queues[name], *tree.queues[name].above()][::-1] for name in found}
    depth = 0
    while len(found) > 1:
        level = {name: paths[name][min(depth, len(paths[name]) - 1)] for name in found}
        best = max(member.share() for member in level.values())
        first = next(member for member in level.values() if member.share() == best)
        found = [name for name in found if level[name] is first]
        depth += 1
        if all(depth >= len(paths[name]) for name in found):
            break
    return found[0]


def _apart(tree: Tree, one: str, other: str) -> tuple[Member, Member]:
    """The ancestors of two queues, or they themselves, just below the cohort they have in common."""
    first = [tree.queues[one], *tree.queues[one].above()]
    second = [tree.queues[other], *tree.queues[other].above()]
    while len(first) > 1 and len(second) > 1 and first[-2] is second[-2]:
        first.pop()
        second.pop()
    return (first[-2] if len(first) > 1 else first[-1]), (second[-2] if len(second) > 1 else second[-1])


def _final(tree: Tree, asks: Held, other: Held) -> bool:
    """Whether the asker's share would be at most the other's without its workload."""
    mine, theirs = _apart(tree, asks.queue, other.queue)
    # What the asker's cohort keeps of its own does not count above it.
    with_it = mine.share(_seen_at(tree, asks, mine))
    tree.add(other.queue, other.amounts, -1)
    without = theirs.share()
    tree.add(other.queue, other.amounts)
    return with_it <= without


def _seen_at(tree: Tree, asks: Held, member: Member) -> list[float]:
    """How much more an ancestor would use if a queue used so much more."""
    before = list(member.used)
    tree.add(asks.queue, asks.amounts)
    more = [after - was for after, was in zip(member.used, before, strict=True)]
    tree.add(asks.queue, asks.amounts, -1)
    return more
