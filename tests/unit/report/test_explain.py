"""Explanations: sentences of cases small enough to check by hand, numbers against plain loops."""

from __future__ import annotations

import json
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from sim.cli.main import main
from sim.errors import ResultsError
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant
from sim.kernel.kernel import Kernel
from sim.kernel.outcome import Outcome
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.decisions import TOO_FEW, WOULD_DELAY
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.filters import DEFAULT
from sim.paas.scheduler import Scheduler
from sim.registry import load_builtin, lookup
from sim.report import render
from sim.report.explain import Records, explain_job, explain_moment, explain_node, tell
from sim.report.explain.records import grouped
from sim.report.explain.state import Request
from sim.report.explain.totals import example, totals
from sim.report.explain.waits import BEHIND, Waits
from sim.report.explain.whatif import _largest
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.study.execute import run_study

load_builtin()


class Block:
    """Arrivals as a job source takes them."""

    def __init__(self, jobs):
        times, workers, work, estimate = map(np.array, zip(*jobs, strict=True))
        self.times = times.astype(float)
        self.columns = {"workers": workers, "work": work.astype(float), "estimate": estimate.astype(float)}


def run(jobs, *, nodes=1, order="fifo", discipline="skip", decisions="all", scores=("first-fit",), asked=None,
        pools=None):  # fmt: skip
    """Simulate (submitted, workers, seconds, estimate) jobs on nodes of 4 accelerators and 16 cores."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(5), Recorder(kernel))
    cluster = Cluster(ctx)
    kind = NodeType("box", Resources(cpu=16, memory=64e9, accelerators=4))
    for k in range(nodes):
        cluster.set_state(cluster.add(kind, "lab", "a" if pools is None else pools[k]), NodeState.READY)
    scheduler = Scheduler(
        ctx,
        cluster,
        order=lookup("order", order)(),
        discipline=lookup("discipline", discipline)(),
        filters=[lookup("filter", name)() for name in DEFAULT],
        scores=[(lookup("score", name)(), 1.0) for name in scores],
        decisions=decisions,
    )
    made = Jobs(ctx, scheduler)
    one = Constant(1.0)
    wanted = asked or Resources(cpu=1, accelerators=1)
    only = None if pools is None else frozenset({"lab/a"})
    made.add(JobClass("train", one, wanted, one, pools=only), iter([Block(jobs)]))
    kernel.run()
    end = kernel.now
    for part in (made, cluster, scheduler):
        part.close()
    found = ctx.recorder.finish(end)
    return Outcome(found.tables, found.steps, {"ended": {"time": end}})


def explained(outcome, number):
    records = Records.of_outcome(outcome)
    return explain_job(records, records.job(str(number)))


EASY = [(0, 3, 100, 100), (10, 4, 50, 50), (20, 1, 200, 200), (30, 1, 30, 30)]


def test_the_first_in_line_with_a_reservation():
    assert tell(explained(run(EASY, discipline="easy"), 1)) == [
        "Job 1 (train) asked for 4 units with 1 core, 1 accelerator each.",
        "It was submitted at 10 s and started at 00:01:40: it waited 1.5 min, and was tried 3 times.",
        "Nobody was ahead of it in the order fifo, submitted at 10 s.",
        "All that time it found too few places for its whole gang.",
        "As the first in line from 10 s it had a reservation for 00:01:40.",
        "What the nodes said when it (or its like) was first tried:",
        "- 1 node: too few places for the whole gang (lab/a/0).",
        "What would have let it start sooner, all else as it happened:",
        "- with 1 worker instead of 4: at once.",
        "- with 3 more accelerators free on one node (lab/a/0): at once.",
        "- with one more node of lab/a, or lab/a/0 emptied of job 0 (train): at once.",
        "1 job that came later started before it: job 3 (train).",
        "It went to lab/a/0 (4 units).",
        "Unit 1: 1 node left after the filters; there was no choice.",
        "It finished at 00:02:30.",
    ]


def test_held_back_by_a_reservation():
    assert tell(explained(run(EASY, discipline="easy"), 2)) == [
        "Job 2 (train) asked for 1 unit with 1 core, 1 accelerator.",
        "It was submitted at 20 s and started at 00:02:30: it waited 2.17 min, and was tried 5 times.",
        "1 group was ahead of it in the order fifo, submitted at 20 s: job 1 (train, submitted at 10 s).",
        "Why it waited:",
        "- 20 s to 00:01:40: it would have delayed job 1 (train), which has a reservation from 00:01:40.",
        "- 00:01:40 to 00:02:30: it found no node with enough free.",
        "As the first in line from 00:01:40 it had a reservation for 00:02:30.",
        "What the nodes said when it (or its like) was first tried:",
        "- 1 node: would delay a job ahead of it (lab/a/0).",
        "What would have let it start sooner, all else as it happened, had those ahead let it pass:",
        "- if it could have overtaken those ahead of it: at once.",
        "- had it been first in line, with nobody else starting before it: at once.",
        "- if job 1 (train) had not started first: at once.",
        "1 job that came later started before it: job 3 (train).",
        "It went to lab/a/0.",
        "1 node left after the filters; there was no choice.",
        "It finished at 00:05:50.",
    ]


def test_behind_the_first_of_a_strict_queue_and_kept_out_of_another_pool():
    jobs = [(0, 2, 100, 100), (5, 2, 60, 60), (10, 3, 10, 10), (12, 1, 10, 10)]
    told = tell(explained(run(jobs, nodes=2, pools=["a", "b"], discipline="strict"), 3))
    # 2 + 2 accelerators are taken until 65 s; then one would be free, but job 2 wants three.
    assert told[3:] == [
        "All that time it stood behind job 2 (train), the first in line; "
        "the discipline strict lets nobody past.",
        "What would have let it start sooner, all else as it happened, had those ahead let it pass:",
        "- with 1 more accelerator free on one node (lab/a/0): at once.",
        "- with one more node of lab/a, or lab/a/0 emptied of job 0 (train), job 1 (train): at once.",
        "- without the rule on its pool: at once.",
        "- if it could have overtaken those ahead of it: at 00:01:05, after 53 s.",
        "It went to lab/a/0.",
        "1 node left after the filters (rejected: 1 in another pool); there was no choice.",
        "It finished at 00:01:50.",
    ]


def test_a_smaller_request_would_have_fitted():
    # 16 cores: two workers of 6 leave 4, so a third fits with 4 cores instead of 6.
    told = explained(run([(0, 2, 100, 100), (1, 1, 10, 10)], asked=Resources(cpu=6, accelerators=1)), 1)
    (wait,) = told["waits"]
    changes = {each["change"]: each["start"] for each in wait["sooner"]}
    assert changes["with 4 cores per worker instead of 6 cores"] == 1.0
    assert changes["with 2 more cores free on one node (lab/a/0)"] == 1.0
    assert wait["rejected"][0]["short_of"] == {"cpu": {"nodes": 1, "needed": 6.0, "most_free": 4.0}}


def test_the_scorer_that_decided_and_a_tie():
    jobs = [(0, 1, 100, 100), (1, 1, 100, 100), (2, 1, 100, 100)]
    outcome = run(jobs, nodes=3, scores=("least-allocated", "spread"))
    first, second = (explained(outcome, number)["waits"][0]["placed"][0] for number in (0, 1))
    assert (first["node"], first["decided_by"]) == ("lab/a/0", "tie")
    assert (second["node"], second["decided_by"]) == ("lab/a/1", "tie")
    assert [each["node"] for each in second["finalists"]] == ["lab/a/1", "lab/a/2", "lab/a/0"]
    outcome = run(jobs, nodes=2, scores=("most-allocated", "first-fit"))
    last = explained(outcome, 2)["waits"][0]["placed"][0]
    assert last["lead"] == 200.0
    assert last["decided_by"] in ("most-allocated", "first-fit")


def test_a_moment_and_a_node():
    records = Records.of_outcome(run(EASY, discipline="easy"))
    assert tell(explain_moment(records, 35.0)) == [
        "At 35 s:",
        "- lab/a: 1 node ready, 0 of 4 accelerators free, at most 0 on one node, 0 nodes empty.",
        "2 groups waited, in this order:",
        "- job 1 (train), 4 units, since 10 s; it found too few places for its whole gang.",
        "- job 2 (train), 1 unit, since 20 s; it would have delayed job 1 (train).",
        "Job 1 (train) held up the queue (discipline easy, with a reservation from 00:01:40).",
        "Who ran where:",
        "- lab/a/0: job 0 (train), job 3 (train); free: 12 cores, 64 GB memory, 0 accelerators.",
    ]
    assert tell(explain_node(records, records.node("iaas/lab/a/0")))[2:] == [
        "4 groups ran there:",
        "- 0 s to 00:01:40: job 0 (train), 3 units (completed).",
        "- 00:01:40 to 00:02:30: job 1 (train), 4 units (completed).",
        "- 00:02:30 to 00:05:50: job 2 (train) (completed).",
        "- 30 s to 00:01:00: job 3 (train) (completed).",
        "Whom it turned away, and why:",
        "- job 2 (train): would delay a job ahead of it, 3 times (20 s to 00:01:00).",
        "- job 1 (train): too few places for the whole gang, 2 times (10 s to 00:01:00).",
        "- job 2 (train): too little free, once (00:01:40 to 00:01:40).",
    ]
    ran = explain_node(records, records.node("lab/a/0"), 120.0)["ran"]
    assert [each["job"] for each in ran] == ["train/1"]


def test_a_job_that_no_node_can_hold():
    told = tell(explained(run([(0, 9, 10, 10), (1, 1, 10, 10)]), 0))
    assert told == ["Job 0 (train) never queued: not even empty nodes could hold it."]


def test_what_is_not_there():
    outcome = run(EASY)
    records = Records.of_outcome(outcome)
    with pytest.raises(ResultsError, match="no job 17: they are numbered from 0 to 3; the nearest is 3"):
        records.job("17")
    with pytest.raises(ResultsError, match='did you mean "train/1"'):
        records.job("trian/1")
    with pytest.raises(ResultsError, match='did you mean "lab/a/0"'):
        records.node("lab/b/0")
    with pytest.raises(ResultsError, match=r"recorded no decisions.*--set record.decisions=all"):
        explained(run(EASY, decisions="off"), 1)
    with pytest.raises(ResultsError, match=r"not among the .* sampled"):
        explained(run([(k, 1, 5, 5) for k in range(60)], decisions="sampled"), _unsampled())


def _unsampled():
    from zlib import crc32

    from sim.paas.decisions import SAMPLE

    names = [k for k in range(60) if crc32(f"train/{k}".encode()) % SAMPLE == 0]
    assert names
    return next(k for k in range(60) if k not in names)


def test_nodes_are_named_in_stretches():
    names = [f"iaas/s/a/{k}" for k in (0, 1, 2, 5, 7, 8)] + ["iaas/s/b/3"]
    assert grouped(names) == "s/a/0-2,5,7-8; s/b/3"


# ---------------------------------------------------------------- against plain loops


def some_jobs(seed, count=60):
    """A crowded line: times on a grid of their own, so that few moments coincide."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 400, count))
    work = rng.exponential(60, count) + 1
    sizes = rng.choice([1, 1, 2, 3, 5], count)
    return list(zip(times, sizes, work, work * rng.choice([0.7, 1.0, 1.6], count), strict=True))


CASES = [
    (seed, order, discipline)
    for seed, (order, discipline) in enumerate(
        [("fifo", "strict"), ("fifo", "skip"), ("fifo", "easy"), ("sjf", "easy"), ("ljf", "strict")]
    )
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[1]}-{case[2]}")
def ran(request):
    seed, order, discipline = request.param
    outcome = run(some_jobs(seed), nodes=3, order=order, discipline=discipline, scores=("least-allocated",))
    return Records.of_outcome(outcome), discipline


def free_before(records, decision):
    """Accelerators free on each node when an attempt was made: by summing over all units."""
    earlier = {
        row["unit"] for row in records.decisions if row["outcome"] == "bound" and row["id"] < decision["id"]
    }
    free = [4.0] * 3
    for stay in records.stays:
        for unit, node, asked in stay.units:
            gone = stay.ended <= decision["time"]
            if node and unit in earlier and not gone:
                free[int(node[-1])] -= asked.accelerators
    return free


def test_every_rejection_is_what_the_units_table_says(ran):
    records, _ = ran
    checked = 0
    for row in records.decisions:
        if row["outcome"] not in ("bound", "waiting"):
            continue
        units = next(stay for stay in records.stays if stay.owner == row["owner"]).units
        found = {name: set() for name in ("too little free", TOO_FEW, WOULD_DELAY)}
        for each in records.rejections.get(row["id"], ()):
            found[each["reason"]] |= set(range(each["first"], each["last"] + 1))
        if found[WOULD_DELAY] and len(units) > 1:
            continue  # some of its units had a place on trial, which no table holds
        free = free_before(records, row)
        full = {node for node in range(3) if free[node] < 1}
        assert found["too little free"] == full
        if found[TOO_FEW]:
            assert found[TOO_FEW] == set(range(3)) - full
            assert sum(free) < len(units)
        if row["outcome"] == "bound":
            assert row["candidates"] == 3 - len(full) - len(found[WOULD_DELAY])
            # Least allocated, ties to the lowest number.
            open_nodes = [node for node in range(3) if node not in full | found[WOULD_DELAY]]
            assert int(row["node"][-1]) == max(open_nodes, key=lambda node: (free[node], -node))
        checked += 1
    assert checked > 100


def test_every_bound_unit_has_its_row_and_every_group_joined_once(ran):
    records, _ = ran
    bound = [row["unit"] for row in records.decisions if row["outcome"] == "bound"]
    assert sorted(bound) == sorted(unit for stay in records.stays for unit, node, _ in stay.units if node)
    joined = [row["owner"] for row in records.decisions if row["outcome"] == "queued"]
    assert sorted(joined) == sorted(records.jobs)


def test_spans_are_the_whole_wait_and_the_first_in_line_is_first(ran):
    records, discipline = ran
    waits = Waits(records)
    keys = {row["owner"]: (row["key"], row["time"], row["group"]) for row in waits.queued.values()}
    seen = set()
    for stay in records.stays:
        spans = waits.spans(stay)
        seen |= {span.reason for span in spans}
        if stay.bound == stay.submitted:
            assert spans == []
            continue
        assert (spans[0].start, spans[-1].end) == (stay.submitted, stay.bound)
        assert all(one.end == two.start for one, two in pairwise(spans))
        for span in spans:
            middle = (span.start + span.end) / 2
            line = [s.owner for s in records.stays if s.submitted <= middle < s.bound]
            if span.reason in (BEHIND, WOULD_DELAY):
                assert span.by == min(line, key=keys.__getitem__) != stay.owner
    usual = {"too little free", TOO_FEW}
    held = {"strict": {BEHIND}, "skip": set(), "easy": {WOULD_DELAY}}[discipline]
    assert usual | held >= seen >= held


def room_at(records, time, without=()):
    """Accelerators free in all at the end of a moment: by summing over all units."""
    used = sum(
        asked.accelerators
        for stay in records.stays
        if stay not in without and stay.bound <= time < stay.ended
        for _, _, asked in stay.units
    )
    return 12 - used


def test_counterfactual_starts_are_the_first_moments_with_room(ran):
    records, _ = ran
    ends = sorted({stay.ended for stay in records.stays})
    compared = 0
    for stay in records.stays:
        if stay.bound == stay.submitted:
            continue
        said = {each["kind"]: each["start"] for each in explained_wait(records, stay)["sooner"]}
        moments = [stay.submitted, *(t for t in ends if stay.submitted < t < stay.bound)]
        rivals = [s for s in records.stays if s is not stay and stay.submitted <= s.bound < stay.bound]
        for kind, without in (("overtake", ()), ("first", rivals)):
            fits = (t for t in moments if room_at(records, t, without) >= len(stay.units))
            wanted = next(fits, inf)
            if kind == "overtake" or rivals:
                assert said.get(kind, inf) == pytest.approx(wanted)
                compared += 1
        workers = room_at(records, stay.submitted)
        if 0 < workers < len(stay.units):
            assert said["workers"] == stay.submitted
    assert compared > 20


def explained_wait(records, stay):
    return explain_job(records, stay.owner)["waits"][0]


def test_the_largest_request_that_fits_is_found():
    rng = np.random.default_rng(4)
    for _ in range(60):
        free = np.zeros((4, 10), order="F")
        free[:, 0] = rng.integers(0, 9, 4)
        count = int(rng.integers(1, 5))
        asked = (float(rng.integers(2, 9)), 0.0, 0.0, 0.0)
        parts = {free[n, 0] / k for n in range(4) for k in range(1, count + 1)}
        fitting = [
            a for a in parts if 0 < a < asked[0] and sum(int(f / a + 1e-9) for f in free[:, 0]) >= count
        ]
        assert _largest(free, asked, 0, count) == pytest.approx(max(fitting, default=0.0))


def test_recording_changes_no_other_table():
    def tables(decisions):
        outcome = run(some_jobs(9), nodes=3, discipline="easy", scores=("random",), decisions=decisions)
        own = {"decisions", "rejections", "finalists", "shapes"}
        made = {
            name: {key: c.texts() if hasattr(c, "texts") else c.tobytes() for key, c in columns.items()}
            for name, columns in outcome.tables.items()
            if name not in own
        }
        return made, {name: (t.tobytes(), v.tobytes()) for name, (t, v) in outcome.steps.items()}

    assert tables("off") == tables("sampled") == tables("all")


def test_an_explanation_is_json(ran):
    records, _ = ran
    data = explain_job(records, records.stays[-1].owner)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    json.dumps(explain_moment(records, 200.0), allow_nan=False)
    json.dumps(explain_node(records, records.nodes[0]), allow_nan=False)
    assert Request(records, records.shapes[0]).units >= 1


def test_waiting_time_by_reason_adds_up_to_the_waits(ran):
    records, _ = ran
    told = totals(records)
    waited = [row["started"] - row["submitted"] for row in records.jobs.values()]
    assert told.jobs == len(waited)
    assert sum(told.seconds.values()) == pytest.approx(np.mean(waited))
    assert records.jobs[told.longest]["started"] - records.jobs[told.longest]["submitted"] == max(waited)
    heading, sentences = example(records, told.longest)
    assert heading.startswith("job ")
    assert sentences[-1].startswith("It went to ")


SCENARIO = """
name: waits
duration: 20min
drain: true
record: {decisions: all}
infrastructure:
  instances: {box: {cpu: 8, memory: 32GB, accelerators: 2, device: a30}}
  sites: {lab: {kind: cloud, pools: {a: {instance: box, nodes: 2}}}}
platform:
  scheduler: {discipline: strict}
  jobs:
    train:
      arrivals: {process: poisson, rate: 60/h}
      workers: {dist: choice, values: [1, 3]}
      duration: {dist: exponential, mean: 3min}
study:
  arms: {strict: {}, skip: {platform.scheduler.discipline: skip}}
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return run_study(loads(SCENARIO), out=tmp_path_factory.mktemp("explain"), finish=render)


def test_the_report_has_totals_and_examples(stored):
    page = (stored / "report.html").read_text()
    assert "<h2>Why jobs waited</h2>" in page
    assert "<summary>strict: job " in page
    lines = (stored / "plots" / "why-waited.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {"strict", "skip"}


def test_the_command_from_the_scenario_s_name(stored, capsys):
    out = ["--out", str(stored.parent.parent)]
    assert main(["explain", "waits", *out, "--job", "3", "--arm", "skip"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Job 3 (train) asked for ")
    assert said.err == "skip, replication 0 (other arms: strict)\n"
    assert main(["explain", str(stored), "--at", "10min", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["explanation"]["time"] == 600.0
    assert main(["explain", str(stored), "--node", "lab/a/1", "--at", "5min"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--job", "9999"], 3, "no job 9999: they are numbered from 0 to "),
        (["--node", "lab/a/9"], 3, "no node 'lab/a/9' (did you mean \"lab/a/"),
        (["--job", "1", "--arm", "strikt"], 3, 'did you mean "strict"'),
        (["--at", "99d"], 3, "the run ended at "),
        (["--at", "soon"], 2, "is not a duration"),
        ([], 2, "give --job NUMBER, --node NAME or --at TIME"),
        (["--job", "1", "--at", "5min"], 2, "--job stands alone"),
    ],
)
def test_what_the_command_refuses(stored, capsys, arguments, code, text):
    assert main(["explain", str(stored), *arguments]) == code
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""


def test_no_results_of_that_name(stored, capsys):
    assert main(["explain", "wait", "--out", str(stored.parent.parent), "--job", "1"]) == 3
    assert 'did you mean "waits"' in capsys.readouterr().err


@pytest.mark.parametrize("preemption", ["on-event", "{policy: rounds, length: 60s}"])
def test_preempted_jobs_are_told_and_nothing_else_changes(preemption):
    def outcome(decisions):
        sets = [f"record.decisions={decisions}", f"platform.scheduler.preemption={preemption}"]
        sets += ["platform.scheduler.discipline=skip", "platform.scheduler.order=sjf", "study.arms={}"]
        return build(loads(SCENARIO, sets), 0).run()

    told, silent = outcome("all"), outcome("off")
    for table in ("jobs", "units", "nodes"):
        for name, column in told.tables[table].items():
            other = silent.tables[table][name]
            same = column.texts() == other.texts() if hasattr(column, "texts") else None
            assert same if same is not None else np.array_equal(column, other, equal_nan=True)
    records = Records.of_outcome(told)
    preempted = [row for row in records.decisions if row["outcome"] == "preempted"]
    assert preempted
    sentences = tell(explain_job(records, preempted[0]["owner"]))
    assert any(line.startswith("It was preempted at ") for line in sentences)
