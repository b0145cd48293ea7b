"""Jobs of a trace in a scenario: windows, scaling, and what each job brings along."""

import json

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.saas.jobtraces.ordering import ordered
from sim.saas.policies.jobs import JobPreset, JobTrace
from sim.scenario.build import build
from sim.scenario.facts import caveats
from sim.scenario.load import load

# ruff: noqa: E501 - rows and messages are long
TRACE = """arrival_s,duration_s,workers,accelerators,cpu,nodes,estimate_s,tenant,priority,deadline_s,device,status
1060,20,1,0.5,2,,,,,,,failed
1000,10,4,1,1,2,30,blue,7,100,V100,completed
1010,40,1,0,3,,,red,-1,,T4|V100,completed
1100,5,1,2.5,1,,,,,,A100,cancelled
"""

SCENARIO = """
name: replay
question: Does every job keep what is its own?
duration: 1000s
drain: true
infrastructure:
  instances:
    small: {cpu: 8, memory: 64Gi, device: t4, accelerators: 4, source: made up}
    big: {cpu: 8, memory: 64Gi, device: v100-sxm2-16, accelerators: 4, source: made up}
  sites:
    dc: {kind: cloud, pools: {small: {instance: small, nodes: 1}, big: {instance: big, nodes: 1}}}
platform:
  jobs:
    train:
      arrivals: {process: job-trace, file: trace.csv, devices: {T4: t4, V100: v100-sxm2-16}}
      resources: {cpu: 1, accelerators: 1}
      tenant: white
"""


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


def replayed(path, until=1e9, seed=1, **options):
    blocks = list(JobTrace(str(path), **options).blocks(np.random.default_rng(seed), 1, until))
    times = np.concatenate([block.times for block in blocks]) if blocks else np.empty(0)
    return times.tolist(), blocks


def scenario(trace, text=SCENARIO, sets=()):
    path = trace.parent / "s.yaml"
    path.write_text(text)
    return load(path, sets)


def table(outcome, name, *columns):
    data = outcome.tables[name]
    lists = [(data[c].texts() if hasattr(data[c], "texts") else data[c].tolist()) for c in columns]
    return list(zip(*lists, strict=True))


def test_the_first_job_of_the_trace_arrives_at_zero_and_the_file_is_sorted(trace):
    times, [block] = replayed(trace)
    assert times == [0, 10, 60, 100]
    assert block.columns["work"].tolist() == [10, 40, 20, 5]
    assert block.columns["workers"].tolist() == [4, 1, 1, 1]
    # Two and a half accelerators of one worker are three devices.
    assert block.columns["accelerators"].tolist() == [1, 0, 0.5, 3]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"start": 10.0}, [0, 50, 90]),
        ({"start": 10.0, "length": 50.0}, [0]),
        ({"length": 60.5}, [0, 10, 60]),
        ({"jobs": 2}, [0, 10]),
        ({"jobs": 2, "statuses": ["failed", "cancelled"]}, [60, 100]),
        ({"accelerators_only": True}, [0, 60, 100]),
        ({"scale": 4.0}, [0, 2.5, 15, 25]),
        ({"until": 60.0}, [0, 10]),
        # A lap of a stated length lasts as long as that.
        ({"length": 60.5, "repeat": True, "until": 130.0}, [0, 10, 60, 60.5, 70.5, 120.5, 121]),
        # Else as long as its jobs, and a mean gap: 100 + 100/3.
        ({"repeat": True, "until": 140.0}, [0, 10, 60, 100, 400 / 3]),
        ({"thin": 0.0}, []),
    ],
)
def test_windows_and_scaling(trace, options, times):
    assert replayed(trace, **options)[0] == pytest.approx(times)


def test_durations_scale_with_their_estimates_and_nothing_else(trace):
    _, [block] = replayed(trace, duration_scale=0.5)
    assert block.columns["work"].tolist() == [5, 20, 10, 2.5]
    assert block.columns["estimate"][0] == 15
    assert block.columns["deadline"][0] == 100


def test_a_worker_may_be_all_that_a_job_has_on_a_node(trace):
    _, [block] = replayed(trace, worker="node")
    assert block.columns["workers"].tolist() == [2, 1, 1, 1]
    assert block.columns["accelerators"].tolist() == [2, 0, 0.5, 3]
    assert block.columns["cpu"].tolist() == [2, 3, 2, 1]


def test_accelerators_are_named_as_the_catalog_does_or_left_free(trace):
    devices = {"V100": "v100-sxm2-16|v100-sxm2-32", "T4": "t4"}
    _, [block] = replayed(trace, devices=devices)
    assert block.columns["device"].tolist() == [
        "v100-sxm2-16|v100-sxm2-32",
        "t4|v100-sxm2-16|v100-sxm2-32",
        "",
        "",
    ]
    _, [block] = replayed(trace, ignore=["device", "cpu"])
    assert not {"device", "cpu"} & block.columns.keys()


def test_thinning_keeps_a_share_of_the_same_jobs(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("arrival_s,duration_s\n" + "".join(f"{k},{k}\n" for k in range(10_000)))
    times, blocks = replayed(path, thin=0.3)
    # 3000 expected, standard deviation 46: a false alarm once in 10,000 with bounds of 3.9 of them.
    assert abs(len(times) - 3000) < 3.9 * 46
    assert np.concatenate([block.columns["work"] for block in blocks]).tolist() == times


def test_every_job_keeps_what_is_its_own_in_a_run(trace):
    outcome = build(scenario(trace)).run()
    jobs = table(
        outcome, "jobs", "tenant", "workers", "submitted", "started", "finished", "estimate", "status"
    )
    # Job 1 takes all four V100; job 2 needs none but must run beside a T4 or a V100, job 3 half a device.
    assert jobs[0] == ("blue", 4, 0.0, 0.0, 10.0, 30.0, "completed")
    assert jobs[1][:5] == ("red", 1, 10.0, 10.0, 50.0)
    assert jobs[2][:5] == ("white", 1, 60.0, 60.0, 80.0)
    assert jobs[3][:5] == ("white", 1, 100.0, 100.0, 105.0)
    nodes = dict(table(outcome, "units", "owner", "node"))
    assert nodes["train/0"].startswith("iaas/dc/big")


def test_a_job_that_may_use_one_of_two_accelerators_runs_on_either(trace):
    only = [
        "platform.jobs.train.arrivals.devices={T4: t4, V100: t4}",
        "platform.scheduler.scores={first-fit: 1}",
    ]
    nodes = dict(table(build(scenario(trace, sets=only)).run(), "units", "owner", "node"))
    assert nodes["train/0"].startswith("iaas/dc/small") and nodes["train/1"].startswith("iaas/dc/small")


def test_overrides_reach_the_trace(trace):
    found = scenario(trace, sets=["platform.jobs.train.arrivals.jobs=1"])
    assert len(table(build(found).run(), "jobs", "tenant")) == 1


def refused(trace, text=SCENARIO, sets=()):
    with pytest.raises(ScenarioError) as caught:
        scenario(trace, text, sets)
    return [str(fault) for fault in caught.value.faults]


def test_a_bad_row_is_a_fault_of_the_scenario_unless_it_is_skipped(trace):
    trace.write_text(TRACE.replace("1060,20", "1060,long"))
    [fault] = refused(trace)
    assert "trace.csv:2:1: duration_s: expected a number, 0 or more, got 'long'" in fault
    assert "platform.jobs.train.arrivals.file" in fault
    found = scenario(trace, sets=["platform.jobs.train.arrivals.on_bad_row=skip"])
    assert len(table(build(found).run(), "jobs", "tenant")) == 3
    (said,) = (text for text in caveats(found) if "trace.csv" in text)
    assert "trace.csv: 1 of 4 rows are bad and skipped; the first, line 2: duration_s: expected" in said


def test_what_a_trace_does_not_say_the_class_must(trace):
    trace.write_text(TRACE.replace("1060,20", "1060,"))
    [fault] = refused(trace)
    assert "platform.jobs.train.duration: is missing: the trace does not say of every job" in fault
    outcome = build(scenario(trace, sets=["platform.jobs.train.duration=7s"])).run()
    assert table(outcome, "jobs", "work") == [(10.0,), (40.0,), (7.0,), (5.0,)]


@pytest.mark.parametrize(
    ("arrivals", "part"),
    [
        ("{process: job-trace, file: none.csv}", "no such file"),
        ("{process: job-trace, file: trace.csv, format: swift}", "format"),
        ("{process: job-trace, file: trace.csv, format: swf}", "expected 18 fields"),
        ("{process: job-trace, file: trace.csv, devices: {V100: v200}}", "no device is called 'v200'"),
        (
            "{process: job-preset, name: filly}",
            "the catalog has no preset 'filly' (did you mean \"philly\"?)",
        ),
        ("{process: job-preset, name: gavel}", "'gavel' has no rate of its own"),
        ("{process: job-preset, name: sharegpt}", "'sharegpt' is a preset of requests"),
        ("{process: poisson, rate: 1/h}", "is missing: nothing says how long it runs"),
    ],
)
def test_wrong_arrivals_are_told(trace, arrivals, part):
    old = "{process: job-trace, file: trace.csv, devices: {T4: t4, V100: v100-sxm2-16}}"
    assert old in SCENARIO
    found = refused(trace, SCENARIO.replace(old, arrivals))
    assert any(part in fault for fault in found), found


def test_a_csv_of_ones_own_is_replayed_by_the_names_of_its_columns(trace):
    trace.write_text("when,secs,gpus\n5,10,2\n7,20,1\n")
    names = "platform.jobs.train.arrivals.columns={when: arrival_s, secs: duration_s, gpus: workers}"
    outcome = build(scenario(trace, sets=[names])).run()
    assert table(outcome, "jobs", "submitted", "work", "workers") == [(0.0, 10.0, 2), (2.0, 20.0, 1)]
    found = refused(trace, sets=["platform.jobs.train.arrivals.columns={when: arrival}"])
    assert any("no plain column is called 'arrival'" in fault for fault in found)


def test_jobs_are_no_requests(trace):
    text = json.dumps(
        {
            "name": "n",
            "duration": "10s",
            "infrastructure": {
                "instances": {"box": {"cpu": 4, "memory": "8Gi"}},
                "sites": {"here": {"kind": "cloud", "pools": {"p": {"instance": "box"}}}},
            },
            "platform": {"services": {"s": {"site": "here", "time": {"policy": "constant", "value": "1s"}}}},
            "applications": {
                "a": {
                    "users": {"here": 1},
                    "arrivals": {"process": "job-preset", "name": "philly"},
                    "calls": {"c": {"to": "s"}},
                }
            },
        }
    )
    [fault] = refused(trace, text)
    assert "job-preset brings training jobs, not requests" in fault


def test_a_preset_needs_no_file_and_a_longer_run_sees_the_same_jobs_first():
    def drawn(until):
        blocks = list(JobPreset("philly").blocks(np.random.default_rng(3), 1, until))
        return [np.concatenate([b.times for b in blocks])] + [
            np.concatenate([b.columns[name] for b in blocks]) for name in ("workers", "work", "accelerators")
        ]

    short, long = drawn(2e6), drawn(4e6)
    assert len(long[0]) > len(short[0]) > 4096
    for few, many in zip(short, long, strict=True):
        assert many[: len(few)].tolist() == few.tolist()
    assert short[0][-1] < 2e6


def test_a_trace_longer_than_memory_allows_is_replayed_alike(trace, monkeypatch):
    whole = replayed(trace)[0]
    monkeypatch.setattr("sim.saas.policies.jobs.ordered", lambda jobs: ordered(jobs, 2))
    assert replayed(trace)[0] == whole
