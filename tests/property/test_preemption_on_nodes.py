"""Preemption of gangs over several nodes against plain loops that know nodes, gangs and first fit."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_preemption import Job, simulate, traces

KEYS = {
    "sjf": lambda job, left: job.work,
    "srtf": lambda job, left: left,
    "priority": lambda job, left: -job.priority,
    "smallest-first": lambda job, left: job.workers,
}


def seat(free, workers, each):
    """First-fit nodes of all workers, or None; `free` changes only on success."""
    trial, places = list(free), []
    for _ in range(workers):
        fitting = [node for node, there in enumerate(trial) if there >= each]
        if not fitting:
            return None
        trial[fitting[0]] -= each
        places.append(fitting[0])
    free[:] = trial
    return places


def reference(jobs, nodes, order, each):
    """Ends of all jobs. Whoever does not fit takes the place of those behind it, the last first.

    Of the ones taken off in turn until it fits, the others are put back where they were, the last one
    taken first, if that leaves it its nodes. Who was taken off waits again, for another look at once.
    """
    left, ends, places = [job.work for job in jobs], [inf] * len(jobs), {}
    free, now = list(nodes), 0.0

    def key(i):
        return KEYS[order](jobs[i], left[i]), jobs[i].arrival, i

    def give_back(i, sign):
        for node in places_of[i]:
            free[node] += sign * each

    while any(end == inf for end in ends):
        again = True
        while again:
            again = False
            late = []
            here = [i for i, job in enumerate(jobs) if job.arrival <= now and ends[i] == inf]
            for i in sorted((i for i in here if i not in places), key=key):
                found = seat(free, jobs[i].workers, each)
                if found is None:
                    behind = sorted((k for k in places if key(k) > key(i)), key=key, reverse=True)
                    places_of = dict(places)
                    gone, trial = [], list(free)
                    for k in behind:
                        for node in places[k]:
                            trial[node] += each
                        gone.append(k)
                        found = seat(trial, jobs[i].workers, each)
                        if found is not None:
                            break
                    if found is None:
                        continue
                    victims = []
                    for k in reversed(gone):
                        needed = list(trial)
                        for node in places[k]:
                            needed[node] -= each
                        if min(needed) >= 0:
                            trial = needed
                        else:
                            victims.append(k)
                    for k in victims:
                        give_back(k, 1)
                        del places[k]
                        late.append(k)
                    found = seat(free, jobs[i].workers, each)
                    places[i] = found
                    if late:
                        again = True
                        break
                else:
                    places[i] = found
        then = min([job.arrival for job in jobs if job.arrival > now] + [now + left[i] for i in places])
        for i in list(places):
            left[i] -= then - now
            if left[i] < 1e-9:
                ends[i] = then
                for node in places.pop(i):
                    free[node] += each
        now = then
    return ends


@pytest.mark.parametrize("order", KEYS)
@settings(max_examples=25, deadline=None)
@given(
    jobs=traces(5, st.integers(0, 3)),
    nodes=st.sampled_from([(4, 2, 4), (2, 2, 2, 2, 2), (6, 4)]),
)
def test_gangs_on_nodes_end_when_the_reference_says(order, jobs, nodes):
    found = simulate(jobs, nodes, order, "skip", each=2)["jobs"]
    ends = [row["finished"] for row in sorted(found, key=lambda row: row["id"])]
    assert ends == pytest.approx(reference(jobs, nodes, order, 2), abs=1e-6)


def test_who_need_not_go_stays():
    # The newcomer of two fits once the last in line and the one before it are off; one of these can stay.
    jobs = [Job(0.0, 1, 50.0, 2), Job(0.0, 1, 60.0, 1), Job(0.0, 1, 70.0, 0), Job(1.0, 1, 5.0, 3)]
    found = simulate(jobs, (4, 2), "priority", "skip", each=2)["jobs"]
    assert {row["id"]: row["preemptions"] for row in found} == {0: 0, 1: 0, 2: 1, 3: 0}
    assert [row["finished"] for row in sorted(found, key=lambda row: row["id"])] == [50.0, 60.0, 75.0, 6.0]
