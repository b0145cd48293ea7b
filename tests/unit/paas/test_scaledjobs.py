"""A queue of work items starts jobs at each look, by KEDA's strategies."""

import pytest

from tests.platforms import rows, simulate

TEXT = """
name: items
duration: 20min
warmup: 0
drain: {drain}
infrastructure:
  instances: {{box: {{cpu: {cpu}, memory: 64Gi}}}}
  sites: {{here: {{kind: cloud, pools: {{boxes: {{instance: box}}}}}}}}
platform:
  jobs:
    items:
      arrivals: {{process: periodic, period: 4s, phase: aligned}}
      resources: {{cpu: 1}}
      duration: {seconds}
      scaled_job: {scaled}
"""


def started(scaled, *, cpu=64, seconds="10min", drain="false"):
    found = rows(simulate(TEXT.format(scaled=scaled, cpu=cpu, seconds=seconds, drain=drain)), "jobs")
    return sorted(found, key=lambda job: job["id"])


def by_moment(jobs):
    moments = [job["started"] for job in jobs if job["started"] == job["started"]]
    return [(moment, moments.count(moment)) for moment in sorted(set(moments))]


def test_items_wait_for_the_next_look_in_order():
    jobs = started("{polling: 30s}", seconds="10s")
    # Items at 0, 4, ... 28 start at 30, the next ones at 60, and so on.
    assert by_moment(jobs)[:3] == [(30.0, 8), (60.0, 7), (90.0, 8)]
    assert [job["submitted"] for job in jobs[:3]] == [0.0, 4.0, 8.0]
    assert all(job["finished"] == job["started"] + 10 for job in jobs if job["status"] == "completed")


@pytest.mark.parametrize(
    ("scaled", "first"),
    [
        # default: what the queue asks for less the jobs that run: 8, then 7 items and 8 jobs: none.
        ("{polling: 30s}", [(30.0, 8), (90.0, 7)]),
        # accurate: every item of the queue has no job yet.
        ("{polling: 30s, strategy: accurate}", [(30.0, 8), (60.0, 7), (90.0, 8)]),
        ("{polling: 30s, strategy: eager}", [(30.0, 8), (60.0, 7), (90.0, 8)]),
        ("{polling: 30s, strategy: accurate, max: 10}", [(30.0, 8), (60.0, 2), (630.0, 8)]),
        ("{polling: 30s, strategy: custom, deduction: 3}", [(30.0, 5), (60.0, 7), (90.0, 8)]),
        ("{polling: 30s, strategy: custom, running_share: 50%}", [(30.0, 8), (60.0, 3), (90.0, 7)]),
    ],
)
def test_strategies(scaled, first):
    assert by_moment(started(scaled))[:3][: len(first)] == first


def test_jobs_that_find_no_node_are_pending_and_their_items_still_queue():
    # Room for two. default: 8 start at 30, 2 of them run; 6 + 7 items queue and 8 jobs are there: 5 more.
    jobs = started("{polling: 30s}", cpu=2, seconds="10min")
    assert by_moment(jobs) == [(30.0, 2), (630.0, 2)]


def test_a_run_that_drains_ends_with_every_item_done():
    jobs = started("{polling: 7min, strategy: accurate}", cpu=200, seconds="10s", drain="true")
    assert len(jobs) == 300
    assert {job["status"] for job in jobs} == {"completed"}
    assert max(job["started"] for job in jobs) == 21 * 60.0
    waiting = started("{polling: 7min, strategy: accurate}", seconds="10s")
    assert {job["status"] for job in waiting if job["submitted"] > 14 * 60} == {"queued"}
