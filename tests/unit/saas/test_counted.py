"""Traces that count: curves of requests, and calls of functions."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.saas import functions, ratetraces
from sim.saas.policies.counted import FunctionTrace, RateTrace
from sim.scenario.build import build
from sim.scenario.load import load

STRATUS_DATA = os.environ.get("STRATUS_DATA")
published = pytest.mark.skipif(not STRATUS_DATA, reason="STRATUS_DATA names no folder of traces")


@pytest.fixture
def curve(tmp_path):
    """Four minutes with a gap of one before the last."""
    file = tmp_path / "counts.csv"
    file.write_text(
        "timestamp,value\n2024-02-28 23:59:00,60\n2024-02-29 00:00:00,120.0\n"
        "2024-02-29 00:01:00,0\n2024-02-29 00:03:00,240\n"
    )
    return str(file)


def times(process, until, seed=7):
    blocks = list(process.blocks(np.random.default_rng(seed), 1, until))
    return np.concatenate([block.times for block in blocks]) if blocks else np.empty(0)


# ---------------------------------------------------------------- curves of requests


def test_a_curve_is_read_with_its_step_and_its_gaps(curve):
    found = ratetraces.read(curve)
    assert (found.format, found.step, found.gaps) == ("nab", 60.0, 1)
    assert found.counts.tolist() == pytest.approx([60, 120, 0, np.nan, 240], nan_ok=True)


def test_formats_are_told_by_their_header_and_may_be_packed(tmp_path):
    plain, packed = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    plain.write_text("\ufefftime_s,count\r\n0,1\r\n10,2\r\n\r\n20,3\r\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(b"period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n"))
    assert ratetraces.read(plain).counts.tolist() == [1, 2, 3]
    assert ratetraces.read(packed).format == "worldcup98"
    assert ratetraces.read(plain, step=5.0).gaps == 2


def test_expected_rates_are_the_recorded_ones(curve):
    at = np.array([0.0, 59.9, 60.0, 119.9, 120.0, 180.0, 240.0, 299.9, 300.0])
    assert RateTrace(curve).expected(at, 9).tolist() == [1, 1, 2, 2, 0, 0, 4, 4, 0]
    assert RateTrace(curve, gaps="hold").expected(at, 1).tolist() == [1, 1, 2, 2, 0, 0, 4, 4, 0]
    assert RateTrace(curve, repeat=True).expected(at + 300.0, 1).tolist() == [1, 1, 2, 2, 0, 0, 4, 4, 1]
    assert RateTrace(curve, factor=3.0, most=6.0).expected(at, 1).tolist() == [3, 3, 6, 6, 0, 0, 6, 6, 0]
    assert not RateTrace(curve).expected(at, 0).any()


def test_a_window_in_the_midst_of_steps_is_cut_there(curve):
    process = RateTrace(curve, start=30.0, length=60.0)
    assert process.expected(np.array([0.0, 29.9, 30.0, 59.9, 60.0]), 1).tolist() == [1, 1, 2, 2, 0]
    # Half a minute at 1 and half a minute at 2 are 1.5 on average.
    same = RateTrace(curve, start=30.0, length=60.0, mean=6.0)
    assert same.expected(np.array([0.0, 30.0]), 1).tolist() == [4, 8]
    assert len(times(RateTrace(curve, start=301.0), 100.0)) == 0


def test_a_time_lapse_keeps_the_requests_per_second(curve):
    process = RateTrace(curve, speed=60.0)
    assert process.expected(np.array([0.5, 1.5, 2.5, 4.5, 5.5]), 1).tolist() == [1, 2, 0, 4, 0]


def test_arrivals_follow_the_curve(curve):
    # A Poisson number in each minute, in 300 repetitions of the curve: 4.5 standard errors.
    drawn = times(RateTrace(curve, repeat=True), 90_000.0)
    number = np.histogram(drawn % 300.0, [0, 60, 120, 180, 240, 300])[0]
    due = 300 * np.array([60, 120, 0, 0, 240])
    assert (np.abs(number - due) <= 4.5 * np.sqrt(due)).all()
    longer = times(RateTrace(curve, repeat=True), 90_000.0)
    assert np.array_equal(times(RateTrace(curve, repeat=True), 777.0), longer[longer < 777.0])
    assert times(RateTrace(curve), 1e6)[-1] < 300.0


@pytest.mark.parametrize("repeat", [True, False])
def test_no_window_of_a_curve_exceeds_its_bound(curve, repeat, monkeypatch):
    caught = []
    process = RateTrace(curve, repeat=repeat)
    monkeypatch.setattr(
        "sim.saas.policies.counted.varying_poisson",
        lambda rng, rate, bound, peak, until: caught.append((rate, bound)) or iter(()),
    )
    list(process.blocks(np.random.default_rng(1), 1, 1e4))
    rate, bound = caught[0]
    rng = np.random.default_rng(2)
    for start, width in zip(rng.uniform(0, 1200, 300), 10 ** rng.uniform(-1, 3, 300), strict=True):
        assert rate(np.linspace(start, start + width, 1001)).max() <= bound(start, start + width)


def test_every_bad_row_of_a_curve_is_told_with_its_line(tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text(
        "period,count\n2024-01-01 00:00:00,1\n2024-01-01 00:01:00,-1\nyesterday,4\n"
        "2024-01-01 00:02:00,nan\n2024-01-01 00:01:00,4,5\n2024-01-01 00:00:00,7\n"
    )
    with pytest.raises(ScenarioError) as caught:
        ratetraces.read(file)
    assert [(fault.line, fault.message) for fault in caught.value.faults] == [
        (3, "count: expected a number, 0 or more, got '-1'"),
        (4, "period: expected YYYY-MM-DD HH:MM:SS, got 'yesterday'"),
        (5, "count: expected a number, 0 or more, got 'nan'"),
        (6, "expected 2 columns as in the header, got 3"),
        (7, "period: '2024-01-01 00:00:00' is not after the row before; sort the file"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns period,count or timestamp,value or time_s,count, got ''"),
        ("a,b\n1,2\n", "expected the columns"),
        ("time_s,count\n", "holds no rows"),
        ("time_s,count\n3,1\n", "a single row does not tell the length of a step"),
        ("time_s,count\n0,1\n60,1\n61,1\n120,1\n180,1\n240,1\n", "a second row in one step of 60 s"),
        ("time_s,count\n0,1\n1,1\n2,1\n1e12,1\n", "more than 5000000 steps of 1 s"),
    ],
)
def test_files_that_are_no_curve_say_why(tmp_path, text, message):
    file = tmp_path / "wrong.csv"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        ratetraces.read(file)


def test_factor_and_mean_are_one_thing():
    with pytest.raises(ValueError, match="factor and mean"):
        RateTrace("x.csv", factor=2.0, mean=1.0)


@published
def test_the_world_cup_is_read_whole():
    found = ratetraces.read(Path(STRATUS_DATA or "") / "worldcup98" / "invocation_count.csv.gz")
    # Total and largest minute as its publisher states them; the rows leave 10 minutes out.
    assert found.step == 60.0
    assert np.nansum(found.counts) == 1_352_804_107
    assert np.nanmax(found.counts) == 229_426
    assert len(found.counts) - found.gaps == 125_300


@published
@pytest.mark.parametrize(
    ("name", "step", "rows", "mean"),
    [
        ("elb_request_count_8c0756", 300.0, 4032, 61.8371),
        ("Twitter_volume_AMZN", 300.0, 15831, 53.2985),
        ("nyc_taxi", 1800.0, 10320, 15137.5694),
    ],
)
def test_series_of_the_anomaly_benchmark_are_read_whole(name, step, rows, mean):
    found = ratetraces.read(Path(STRATUS_DATA or "") / "nab" / f"{name}.csv")
    assert (found.step, len(found.counts) - found.gaps) == (step, rows)
    assert np.nanmean(found.counts) == pytest.approx(mean, abs=1e-4)


# ---------------------------------------------------------------- calls of functions

WHO = "HashOwner,HashApp,HashFunction"
QUANTILES = ",".join(f"percentile_Average_{share}" for share in functions.DURATIONS)


@pytest.fixture
def day(tmp_path):
    """Three minutes of three functions, the last of which has no durations."""
    calls, took = tmp_path / "invocations.csv", tmp_path / "durations.csv"
    calls.write_text(f"{WHO},Trigger,1,2,3\no,a,f,http,2,0,1\no,a,g,timer,5,5,5\no,b,h,http,1,0,0\n")
    took.write_text(
        f"{WHO},Average,Count,Minimum,Maximum,{QUANTILES}\n"
        "o,a,g,100,9,100,100,100,100,100,100,100,100,100\n"
        "o,a,f,30,9,10,1000,10,10,10,20,40,1000,1000\n"
    )
    return str(calls), str(took)


def test_functions_are_replayed_minute_by_minute(day):
    process = FunctionTrace(day[0])
    drawn = times(process, 1e6)
    assert np.histogram(drawn, [0, 60, 120, 180])[0].tolist() == [8, 5, 6]
    assert process.expected(np.array([0.0, 60.0, 179.9, 180.0]), 1).tolist() == [8 / 60, 5 / 60, 0.1, 0]
    again = FunctionTrace(day[0], repeat=True, start=60.0, length=120.0)
    assert np.histogram(times(again, 240.0), [0, 60, 120, 180, 240])[0].tolist() == [5, 6, 5, 6]
    assert np.histogram(times(FunctionTrace(day[0], trigger="http"), 1e6), [0, 60, 180])[0].tolist() == [3, 1]
    assert len(times(FunctionTrace(day[0], functions=1), 1e6)) == 15
    assert len(times(FunctionTrace(day[0], thin=0.0), 1e6)) == 0


def test_durations_become_work_and_functions_without_are_left_out(day):
    process = FunctionTrace(*day, repeat=True)
    blocks = list(process.blocks(np.random.default_rng(1), 1, 60_000.0))
    work = np.concatenate([block.columns["work"] for block in blocks])
    # 334 first minutes with 7 calls, 333 second ones with 5 and third ones with 6.
    assert len(work) == 334 * 7 + 333 * 5 + 333 * 6
    f = work[np.abs(work - 0.1) > 1e-12]
    assert len(f) == 334 * 2 + 333
    # Function f: quartiles 10, 20 and 40 ms, highest 1 s; 1001 calls, 4.5 standard errors.
    for share, value in ((0.25, 0.010), (0.5, 0.020), (0.75, 0.040)):
        error = 4.5 * np.sqrt(share * (1 - share) / len(f))
        assert (f < value * (1 - 1e-9)).mean() <= share + error
        assert (f <= value * (1 + 1e-9)).mean() >= share - error
    assert f.max() <= 1.0 + 1e-9


def test_every_bad_row_of_functions_is_told_with_its_line(tmp_path):
    calls = tmp_path / "calls.csv"
    calls.write_text(f"{WHO},Trigger,1,2\no,a,f,http,2\no,a,g,http,x,1\no,a,h,http,1,-4\no,a,i,http,1.5,2\n")
    with pytest.raises(ScenarioError) as caught:
        functions.invocations(calls, 10)
    assert [(fault.line, fault.message) for fault in caught.value.faults] == [
        (2, "expected 6 columns as in the header, got 5"),
        (3, "minute 1: expected a whole number, got 'x'"),
        (4, "minute 2: expected 0 to 1e9 calls, got '-4'"),
        (5, "minute 1: expected a whole number, got '1.5'"),
    ]
    took = tmp_path / "durations.csv"
    took.write_text(
        f"{WHO},{QUANTILES}\no,a,f,5,4,6,7,8,9,10\no,a,g,1,2,3,4,5,6,x\no,a,h,1,1,1,1,1,1,1\n"
        "o,a,h,1,1,1,1,1,1,1\n"
    )
    with pytest.raises(ScenarioError) as caught:
        functions.durations(took)
    assert [fault.line for fault in caught.value.faults] == [2, 3, 5]
    assert "second row of o/a/h" in caught.value.faults[2].message


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("HashOwner,HashApp,Trigger,1", "expected HashOwner,HashApp,HashFunction,Trigger"),
        (f"{WHO},Trigger,2,3", "expected the minutes 1, 2"),
        (f"{WHO},Trigger", "expected HashOwner"),
        (f"{WHO},Trigger,1", "holds no rows"),
    ],
)
def test_files_that_are_no_invocations_say_why(tmp_path, header, message):
    file = tmp_path / "wrong.csv"
    file.write_text(header + "\n")
    with pytest.raises(ScenarioError, match=message):
        functions.invocations(file, 5)


def test_memory_is_keyed_as_the_file_has_it(tmp_path):
    file = tmp_path / "memory.csv"
    names = ",".join(f"AverageAllocatedMb_pct{share}" for share in functions.MEMORY)
    file.write_text(f"HashOwner,HashApp,SampleCount,AverageAllocatedMb,{names}\no,a,9,120,1,2,3,4,5,6,7,8\n")
    assert functions.memory(file)["o", "a"].tolist() == [k * 1e6 for k in range(1, 9)]
    file.write_text(f"{WHO},SampleCount,{names}\no,a,f,9,1,2,3,4,5,6,7,8\n")
    assert list(functions.memory(file)) == [("o", "a", "f")]


@published
def test_the_published_format_of_functions_is_read():
    folder = Path(STRATUS_DATA or "") / "azure_functions"
    found = functions.invocations(folder / "invitro_example_invocations.csv", 10)
    took = functions.durations(folder / "invitro_example_durations.csv")
    memory = functions.memory(folder / "invitro_example_memory.csv")
    assert all(len(function.counts) == 1440 for function in found)
    assert {function.key for function in found} <= set(took)
    assert set(memory) == set(took)
    assert sorted(values[3] for values in took.values())[0] == pytest.approx(0.1)


# ---------------------------------------------------------------- in a scenario

SCENARIO = """
name: counted
duration: 5min
infrastructure:
  instances: {box: {cpu: 8, memory: 64GB, source: made up}}
  sites: {dc: {kind: cloud, pools: {cpus: {instance: box, nodes: 1}}}}
platform:
  services: {api: {site: dc, time: {policy: constant, value: 1ms}, resources: {cpu: 4}, replicas: 1}}
applications:
  shop:
    users: {dc: 1}
    arrivals: ARRIVALS
    calls: {ask: {to: api}}
"""


def test_bad_rows_are_faults_of_the_scenario(tmp_path, curve):
    (tmp_path / "bad.csv").write_text("time_s,count\n0,1\n60,none\n120,-2\n")
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("ARRIVALS", "{process: rate-trace, file: bad.csv}"))
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "s.yaml")
    assert [fault.path for fault in caught.value.faults] == ["applications.shop.arrivals.file"] * 2
    assert "bad.csv:3:1: count: expected a number" in str(caught.value.faults[0])
    for text, message in (
        ("{process: weekly, preset: azure-llm-conv}", "has no daily curve; these have: .*burstgpt"),
        ("{process: weekly, preset: nyc-taxy}", 'did you mean "nyc-taxi"'),
        ("{process: rate-trace, file: none.csv}", "none.csv"),
        ("{process: azure-functions, file: counts.csv}", "expected HashOwner"),
    ):
        (tmp_path / "s.yaml").write_text(SCENARIO.replace("ARRIVALS", text))
        with pytest.raises(ScenarioError, match=message):
            load(tmp_path / "s.yaml")


def test_a_curve_and_functions_run(tmp_path, curve, day):
    for text in ("{process: rate-trace, file: counts.csv}", f"{{process: azure-functions, file: {day[0]}}}"):
        (tmp_path / "s.yaml").write_text(SCENARIO.replace("ARRIVALS", text))
        outcome = build(load(tmp_path / "s.yaml")).run()
        assert 10 < len(outcome.tables["requests"]["arrival"]) < 600


@published
@pytest.mark.parametrize(
    "arrivals",
    [
        "{process: rate-trace, file: DATA/worldcup98/invocation_count.csv.gz, start: 68d, speed: 24, "
        "mean: 2/s}",
        "{process: rate-trace, file: DATA/nab/nyc_taxi.csv, speed: 24, mean: 2/s}",
        "{process: rate-trace, file: DATA/nab/elb_request_count_8c0756.csv, mean: 2/s, gaps: hold}",
        "{process: rate-trace, file: DATA/nab/Twitter_volume_AMZN.csv, mean: 2/s, repeat: true}",
        "{process: azure-functions, file: DATA/azure_functions/invitro_example_invocations.csv, "
        "durations: DATA/azure_functions/invitro_example_durations.csv, thin: 50%}",
    ],
    ids=["worldcup98", "nyc-taxi", "elb", "twitter", "functions"],
)
def test_published_files_run(tmp_path, arrivals):
    text = SCENARIO.replace("ARRIVALS", arrivals.replace("DATA", STRATUS_DATA or ""))
    (tmp_path / "s.yaml").write_text(text)
    scenario = load(tmp_path / "s.yaml")
    came = len(build(scenario).run().tables["requests"]["arrival"])
    times = np.arange(0.5, 300.0)
    due = float(np.sum(scenario.applications["shop"].arrivals.expected(times, 1)))
    # Poisson about the recorded curve, to five standard deviations.
    assert due > 0
    assert abs(came - due) < 5 * due**0.5
