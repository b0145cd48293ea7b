"""Quotas through the whole platform: never exceeded, always given back, and no end of preemption."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.report.explain import Records, explain_job, tell
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics import measure
from tests.platforms import rows, simulate

QUEUES = """
name: quotas
seed: 5
duration: 2h
drain: true
record: {decisions: all}
limits: {events: 1M}
infrastructure:
  instances: {box: {cpu: 64, memory: 256Gi, device: t4, accelerators: 4}}
  sites: {hall: {kind: cloud, pools: {boxes: {instance: box, nodes: 3}}}}
platform:
  scheduler:
    order: fifo
    preemption: quota
    cohorts: {all: {}}
    queues:
      vision:
        cohort: all
        nominal: {accelerators: 4}
        preemption: {reclaim: any, within_queue: lower-priority}
      speech: {cohort: all, nominal: {accelerators: 8}, preemption: {reclaim: any}}
  jobs:
    see: &job
      arrivals: {process: poisson, rate: 30/h}
      workers: {dist: choice, values: [1, 2, 4], weights: [3, 2, 1]}
      resources: {cpu: 1, accelerators: 1}
      duration: {dist: lognormal, mean: 15min, cv: 1}
      tenant: vision
    hear: {<<: *job, tenant: speech, arrivals: {process: poisson, rate: 20/h}}
"""


def usage(outcome, queue, kind="used"):
    return outcome.steps[f"paas/queues/{queue}/{kind}/accelerators"]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 50),
    order=st.sampled_from(["fifo", "fair-sharing", "sjf", "priority"]),
    discipline=st.sampled_from(["skip", "strict", "easy"]),
    sharing=st.sampled_from(["classic", "fair"]),
    borrowing=st.sampled_from([None, 0, 3]),
    lending=st.sampled_from([None, 2]),
)
def test_the_laws_of_quotas(seed, order, discipline, sharing, borrowing, lending):
    sets = [
        f"seed={seed}",
        f"platform.scheduler.order={order}",
        f"platform.scheduler.discipline={discipline}",
        f"platform.scheduler.preemption={{policy: quota, sharing: {sharing}}}",
    ]
    if borrowing is not None:
        sets.append(f"platform.scheduler.queues.vision.borrowing={{accelerators: {borrowing}}}")
    if lending is not None:
        sets.append(f"platform.scheduler.queues.speech.lending={{accelerators: {lending}}}")
    outcome = simulate(QUEUES, *sets)
    assert outcome.facts["ended"]["reason"] == "completed", "preemption has no end"
    limit = 4 + min(borrowing if borrowing is not None else 8, lending if lending is not None else 8)
    assert max(usage(outcome, "vision")[1]) <= limit
    assert max(usage(outcome, "speech")[1]) <= 12
    jobs = rows(outcome, "jobs")
    assert {job["status"] for job in jobs} <= {"completed", "failed"}
    for job in jobs:
        # Only what could never have had quota fails.
        assert (job["status"] == "failed") == (job["tenant"] == "vision" and job["demand"] > limit)
    for run in rows(outcome, "runs"):
        (job,) = (job for job in jobs if job["id"] == run["job"])
        assert run["workers"] == job["workers"], "a gang runs whole"


@pytest.mark.parametrize("sharing", ["classic", "fair"])
def test_a_lender_gets_its_own_back_at_once(sharing):
    """While jobs of one accelerator wait, their queue holds all of its own."""
    outcome = simulate(QUEUES, f"platform.scheduler.preemption={{policy: quota, sharing: {sharing}}}",
                       "platform.jobs.see.workers=1", "platform.jobs.hear.workers=1",
                       "platform.jobs.hear.arrivals.rate=45/h")  # fmt: skip
    times, used = usage(outcome, "speech")
    waits = [
        (job["submitted"], job["started"])
        for job in rows(outcome, "jobs")
        if job["tenant"] == "speech" and job["started"] > job["submitted"]
    ]
    assert waits, "nobody waited: the case tells nothing"
    for (at, until), value in zip(pairwise([*times.tolist(), times[-1] + 1]), used.tolist(), strict=True):
        if any(start < until and at < end and min(until, end) - max(at, start) > 0 for start, end in waits):
            assert value >= 8
    assert sum(job["preemptions"] for job in rows(outcome, "jobs") if job["tenant"] == "vision") > 0


def test_without_reclaiming_a_lender_waits():
    calm = simulate(QUEUES, "platform.scheduler.preemption=none")
    assert sum(job["preemptions"] for job in rows(calm, "jobs")) == 0
    back = measure(simulate(QUEUES))
    waits = measure(calm)
    assert waits["queues.speech.wait.mean"] > back["queues.speech.wait.mean"]
    assert back["queues.vision.borrowed"] > 0
    assert back["queues.vision.of_nominal"] == pytest.approx(back["queues.vision.used"] / 4)


def test_fair_sharing_holds_the_shares_that_the_weights_say():
    """Both queues own nothing and always have work: 3 to 1 by weight, of 12."""
    sets = [
        "platform.scheduler.order=fair-sharing",
        "platform.scheduler.preemption=none",
        "platform.scheduler.cohorts.all={nominal: {accelerators: 12}}",
        "platform.scheduler.queues={vision: {cohort: all, weight: 3, nominal: {accelerators: 0}}, "
        "speech: {cohort: all, weight: 1, nominal: {accelerators: 0}}}",
        "platform.jobs.see.workers=1", "platform.jobs.hear.workers=1", "duration=8h", "warmup=2h",
        "drain=false",        "platform.jobs.see.arrivals.rate=90/h", "platform.jobs.hear.arrivals.rate=90/h",
    ]  # fmt: skip
    found = measure(simulate(QUEUES, *sets))
    assert found["queues.vision.used"] == pytest.approx(9, abs=0.1)
    assert found["queues.speech.used"] == pytest.approx(3, abs=0.1)


def test_in_a_strict_queue_nobody_passes_who_lacks_quota():
    sets = [
        "platform.scheduler.preemption=none",
        "platform.scheduler.queues.vision.borrowing={accelerators: 0}",
    ]
    strict = simulate(QUEUES, *sets, "platform.scheduler.discipline=strict")
    mine = [job for job in rows(strict, "jobs") if job["tenant"] == "vision"]
    mine.sort(key=lambda job: (job["submitted"], job["id"]))
    assert all(one["started"] <= two["started"] for one, two in pairwise(mine))
    skip = [job for job in rows(simulate(QUEUES, *sets), "jobs") if job["tenant"] == "vision"]
    skip.sort(key=lambda job: (job["submitted"], job["id"]))
    assert not all(one["started"] <= two["started"] for one, two in pairwise(skip))


def test_the_reason_for_a_wait_is_the_quota():
    outcome = simulate(QUEUES, "platform.scheduler.preemption=none",
                       "platform.scheduler.queues.vision.borrowing={accelerators: 0}")  # fmt: skip
    reasons = {row["reason"] for row in rows(outcome, "decisions") if row["outcome"] == "waiting"}
    assert "the quota of its queue is used up" in reasons
    records = Records.of_outcome(outcome)
    late = max((job for job in rows(outcome, "jobs") if job["tenant"] == "vision"),
               key=lambda job: job["started"] - job["submitted"])  # fmt: skip
    told = " ".join(tell(explain_job(records, f"see/{late['id']}")))
    assert "waited for quota" in told
    assert "with more quota" in told and "at once" not in told


def test_a_second_run_of_a_scenario_begins_with_nothing_in_use():
    scenario = loads(QUEUES)
    first, second = build(scenario).run(), build(scenario).run()
    assert usage(first, "vision")[1].tolist() == usage(second, "vision")[1].tolist()
    assert usage(second, "vision")[1][0] == 0
