# ruff: noqa: E501 - rows of published formats are long
"""Readers of job traces: a few rows of each format written by hand, and what they must become."""

import gzip
import os
from math import isnan, nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.saas.jobtraces.formats import FORMATS, Trace, detect
from sim.saas.jobtraces.gavel import throughputs
from sim.saas.jobtraces.ordering import ordered
from sim.saas.jobtraces.plain import write
from sim.saas.jobtraces.record import Job, by_node
from sim.saas.jobtraces.summary import inspect

PHILLY = """[
  {"status": "Pass", "vc": "a1", "jobid": "application_1", "submitted_time": "2017-10-07 01:00:00", "user": "u",
   "attempts": [
     {"start_time": "2017-10-07 01:00:30", "end_time": "2017-10-07 01:01:30",
      "detail": [{"ip": "m1", "gpus": ["gpu0", "gpu1"]}, {"ip": "m2", "gpus": ["gpu4", "gpu5"]}]},
     {"start_time": "2017-10-07 01:02:00", "end_time": "2017-10-07 02:00:30", "detail": []}]},
  {"status": "Killed", "vc": "a2", "jobid": "application_2", "submitted_time": "2017-10-07 00:30:00", "user": "u",
   "attempts": []},
  {"status": "Failed", "vc": "a2", "jobid": "application_3", "submitted_time": "2017-10-07 00:40:00", "user": "v",
   "attempts": [{"start_time": "2017-10-07 00:40:00", "end_time": "None", "detail": [{"ip": "m3", "gpus": ["gpu0"]}]}]},
  {"status": "Failed", "vc": "a2", "jobid": "application_4", "submitted_time": "2017-10-07 00:50:00", "user": "v",
   "attempts": [{"start_time": "2017-10-07 00:50:01", "end_time": "2017-10-07 00:50:11",
                 "detail": [{"ip": "m3", "gpus": ["gpu0"]}]}]}
]
"""

HELIOS = """job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue
11,u1,vcA,16,64,2,COMPLETED,2020-06-09 18:00:00,2020-06-09 18:00:10,2020-06-09 19:00:10,3600,10
12,u2,vcB,0,4,1,TIMEOUT,2020-06-09 18:00:05,2020-06-09 18:00:05,2020-06-09 18:00:05,0,0
13,u2,vcB,1,6,1,CANCELLED by 7,2020-06-09 18:01:00,,2020-06-09 18:05:00,,
"""

ACME = """job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,queue,gpu_time
k1,u1,8,64,960,Pretrain,NODE_FAIL,2023-03-01 00:18:22+08:00,2023-03-01 00:18:54+08:00,2023-03-01 00:20:51+08:00,117,32,7488.0
k2,u2,1,8,128,Eval,COMPLETED,2023-02-28 16:23:58+00:00,2023-02-28 16:24:11+00:00,2023-02-28 17:09:04+00:00,,13,
"""

PAI = """j1,worker,4.0,Terminated,1000.0,1600.0,600.0,29.296875,50.0,T4
j2,tensorflow,1.0,Failed,2000.0,2010.0,1200.0,58.0,200.0,MISC
j3,ps,2.0,Running,3000.0,,400.0,8.0,,CPU
j4,worker,,Waiting,,,600.0,29.0,100.0,V100
"""

OPENB = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p1,4000,15258,1,220,,BE,Succeeded,100,400,130
p2,88000,327680,8,1000,V100M16|V100M32,LS,Running,200,900,200
p3,2000,1024,0,0,,LS,Failed,300,310,305
p4,2000,1024,1,1000,,LS,Pending,300,310,
"""

DLRM = (
    "instance_sn,role,app_name,cpu_request,cpu_limit,gpu_request,gpu_limit,rdma_request,rdma_limit,memory_request,"
    "memory_limit,disk_request,disk_limit,max_instance_per_node,creation_time,scheduled_time,deletion_time\n"
    "instance_3,HN,app_0,12,12,1,1,25,25,120.0,120.0,640.0,800.0,8,,,\n"
    "instance_4,HN,app_50,8,8,1,1,25,25,40.0,40.0,85.0,100.0,4,,,1798536.0\n"
    "instance_8,CN,app_52,64,64,0,0,1,1,320.0,320.0,255.0,300.0,-1,302389.0,302449.0,313223.0\n"
    "instance_9,CN,app_62,48,48,0,0,1,1,240.0,240.0,425.0,500.0,-1,963638.0,963710.0,\n"
)
SPOT = (
    "job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type\n"
    "239255,13,A10,20,1,1,0,2764799,HP\n"
    "437261,57,A100-SXM4-80GB,15,1,94,9589663,71718,Spot\n"
)
SWF = """; Version: 2.2
; MaxProcs: 128
1 0 10 3600 8 -1 -1 16 7200 2048 1 5 1 -1 2 -1 -1 -1
2 60 -1 100 4 -1 -1 -1 -1 -1 0 -1 1 -1 -1 -1 -1 -1

3 70 -1 -1 4 -1 -1 4 60 -1 5 5 1 -1 1 -1 -1 -1
4 80 0 50 4 -1 -1 4 60 -1 2 5 1 -1 1 -1 -1 -1
"""

GAVEL = "LM (batch size 5)\tcmd\t--steps\t1\t5000\t2\t5.0\t1.5\t30.0\nA3C\tcmd\t--max\t0\t300\t1\t1.0\t-1.0\t45.5\n"

PLAIN = """arrival_s,duration_s,workers,accelerators,tenant,priority,deadline_s,status,device
0,100,2,0.5,blue,-3,500,completed,t4
10.5,,,,,,,,
"""


def written(folder, text, name="trace"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def jobs(folder, text, **options):
    trace = Trace(written(folder, text), **options)
    return list(trace.jobs()), trace.ledger


def faults(folder, text, **options):
    with pytest.raises(ScenarioError) as caught:
        jobs(folder, text, **options)
    return [str(fault).removeprefix(str(folder / "trace")).lstrip(":") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (PHILLY, "philly"),
        (HELIOS, "helios"),
        (ACME, "acme"),
        (PAI, "pai-v2020"),
        (OPENB, "openb-v2023"),
        (DLRM, "dlrm-v2025"),
        (SPOT, "spot-v2026"),
        (SWF, "swf"),
        (SWF.split("\n", 2)[2], "swf"),
        (GAVEL, "gavel"),
        (PLAIN, "plain"),
        ("timestamp,duration,num_gpus,gpu_time,cluster\n2017-09-04 10:30:41,2.5,8,20,7f\n", "philly-csv"),
        ("job_id,user,submit_time,num_inst,num_gpu,num_cpu,duration\n1,u,5,2,1,12,60\n", "pai-v2020-sample"),
    ],
)
def test_a_file_tells_its_format(tmp_path, text, name):
    assert detect(written(tmp_path, text)).name == name
    assert detect(written(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())).name == name
    assert FORMATS[name].name == name


def test_philly_takes_the_demand_of_the_first_attempt_and_the_time_to_the_end_of_the_last(tmp_path):
    (first, second), ledger = jobs(tmp_path, PHILLY)
    assert first[:4] == (1507338000.0, 3600.0, 4, 1.0)
    assert (first.nodes, first.wait, first.tenant, first.status) == (2, 30.0, "a1", "completed")
    assert first.id == "application_1"
    assert second.arrival - first.arrival == -600
    assert (second.work, second.workers, second.status) == (10.0, 1, "failed")
    assert ledger.left_out == {"never started": 1, "not ended": 1}
    assert (ledger.rows, ledger.jobs, ledger.bad) == (4, 2, 0)


def test_helios_spreads_cores_over_workers_and_knows_jobs_without_accelerators(tmp_path):
    (big, small), ledger = jobs(tmp_path, HELIOS)
    assert (big.workers, big.accelerators, big.cpu, big.nodes) == (16, 1.0, 4.0, 2)
    assert (big.work, big.wait, big.tenant, big.status) == (3600.0, 10.0, "vcA", "completed")
    assert (small.workers, small.accelerators, small.cpu, small.work) == (1, 0.0, 4.0, 0.0)
    assert (small.status, small.arrival - big.arrival) == ("failed", 5.0)
    assert ledger.left_out == {"never started": 1}


def test_the_duration_of_kalos_counts_the_wait_and_is_not_taken(tmp_path):
    # The example of the trace's own description: 8 s from start to end, 10 s queued, duration 18.
    kalos = ACME.replace("00:20:51+08:00,117", "00:20:51+08:00,149")
    assert jobs(tmp_path, kalos)[0][0].work == 117.0
    unended = ACME.replace("2023-03-01 00:20:51+08:00", "")
    assert jobs(tmp_path, unended)[0][0].work == 117.0


def test_a_start_that_the_clocks_put_before_the_submission_leaves_the_wait_unknown(tmp_path):
    early = jobs(tmp_path, HELIOS.replace("2020-06-09 18:00:10", "2020-06-09 17:59:59"))[0][0]
    assert isnan(early.wait) and early.work == 3611.0
    early = jobs(tmp_path, PHILLY.replace("01:00:30", "00:59:00"))[0][0]
    assert isnan(early.wait) and early.work == 3690.0


def test_acme_times_of_two_zones_are_brought_to_the_first(tmp_path):
    (big, small), _ = jobs(tmp_path, ACME)
    # 16:23:58 UTC is 00:23:58 in UTC+8.
    assert small.arrival - big.arrival == 5 * 60 + 36
    assert big.arrival % 86400 == 18 * 60 + 22
    assert (big.work, big.workers, big.cpu, big.model, big.status) == (117.0, 64, 15.0, "Pretrain", "failed")
    assert small.work == 44 * 60 + 53


def test_pai_has_no_header_and_percent_of_a_gpu(tmp_path):
    (shared, two), ledger = jobs(tmp_path, PAI)
    assert (shared.workers, shared.accelerators, shared.cpu, shared.device) == (4, 0.5, 6.0, "T4")
    assert (shared.arrival, shared.work, shared.memory) == (1000.0, 600.0, 30000 * 2**20)
    assert (two.accelerators, two.device, two.status, two.demand) == (2.0, "", "failed", 2.0)
    assert ledger.left_out == {"not ended": 1, "never started": 1}
    headed = ",".join(
        ("job_name,task_name,inst_num,status,start_time,end_time,plan_cpu,plan_mem,plan_gpu,gpu_type",)
    )
    assert jobs(tmp_path, headed + "\n" + PAI)[0] == [shared, two]


def test_openb_pods_take_shares_of_one_device_or_several_whole_ones(tmp_path):
    (part, eight, none), ledger = jobs(tmp_path, OPENB)
    assert (part.accelerators, part.work, part.wait, part.memory) == (0.22, 270.0, 30.0, 15258 * 2**20)
    assert (eight.workers, eight.accelerators, eight.cpu) == (1, 8.0, 88.0)
    assert eight.device == "V100M16|V100M32"
    assert (none.accelerators, none.model, none.status) == (0.0, "LS", "failed")
    assert ledger.left_out == {"never scheduled": 1}


def test_instances_of_the_dlrm_trace_that_were_there_before_it_are_left_out(tmp_path):
    (only,), ledger = jobs(tmp_path, DLRM)
    assert (only.arrival, only.work, only.wait, only.accelerators) == (302389.0, 10774.0, 60.0, 0.0)
    assert (only.cpu, only.memory, only.tenant, only.model) == (64.0, 320 * 2.0**30, "app_52", "CN")
    assert ledger.left_out == {"there before the trace": 2, "not ended": 1}


def test_spot_jobs_have_less_priority_than_the_others(tmp_path):
    (high, spot), _ = jobs(tmp_path, SPOT)
    assert (high.arrival, high.work, high.workers, high.accelerators) == (0.0, 2764799.0, 1, 1.0)
    assert (spot.workers, spot.cpu, spot.device, spot.tenant) == (94, 15.0, "A100-SXM4-80GB", "57")
    assert (high.priority, spot.priority) == (1.0, 0.0)


def test_a_table_with_names_of_its_own_is_told_how_it_can_be_read(tmp_path):
    (fault,) = faults(tmp_path, b"submit_time,gpu_count,duration_s\n1,2,3\n")
    assert "if its columns (submit_time, gpu_count, duration_s) tell of jobs" in fault
    assert "--column submit_time=arrival_s" in fault


def test_swf_prefers_what_was_requested_and_leaves_out_parts(tmp_path):
    (first, second), ledger = jobs(tmp_path, SWF)
    assert (first.arrival, first.work, first.workers, first.estimate) == (0.0, 3600.0, 16, 7200.0)
    assert (first.memory, first.wait, first.tenant, first.model) == (2048 * 1024, 10.0, "user5", "queue2")
    assert isnan(first.accelerators)
    assert (second.workers, second.status, second.tenant) == (4, "failed", "")
    assert isnan(second.estimate) and isnan(second.wait)
    assert ledger.left_out == {"never ran": 1, "part of a job": 1}


def test_gavel_counts_steps_and_needs_the_throughputs_for_seconds(tmp_path):
    (first, second), _ = jobs(tmp_path, GAVEL)
    assert isnan(first.work) and isnan(first.deadline)
    assert (first.arrival, first.workers, first.priority, second.arrival) == (30.0, 2, 5.0, 45.5)
    table = written(
        tmp_path,
        """{"v100": {"('LM (batch size 5)', 2)": {"null": 50.0, "('A3C', 1)": [1, 1]},
                    "('A3C', 1)": {"null": 6.0}, "('A3C', 2)": {"null": 0.0}}, "k80": {}}""",
        "speeds.json",
    )
    (first, second), _ = jobs(tmp_path, GAVEL, speeds=throughputs(table))
    assert (first.work, first.deadline) == (100.0, 150.0)
    assert second.work == 50.0 and isnan(second.deadline)
    old = "A3C\tcmd\t--max\t0\t300\t7.5\t1\n"
    assert jobs(tmp_path, old, speeds=throughputs(table))[0][0][:3] == (7.5, 50.0, 1)
    with pytest.raises(ScenarioError, match="has no device 'h100', but v100, k80"):
        throughputs(table, "h100")
    assert faults(tmp_path, GAVEL.replace("A3C", "B4D"), speeds=throughputs(table)) == [
        "2:1: job type: the table has no throughput of 'B4D' on 1 workers"
    ]


def test_plain_leaves_unknown_what_is_empty(tmp_path):
    (first, second), _ = jobs(tmp_path, PLAIN)
    assert first[:4] == (0.0, 100.0, 2, 0.5)
    assert (first.tenant, first.priority, first.deadline, first.status) == ("blue", -3.0, 500.0, "completed")
    assert second.workers == 1 and isnan(second.work) and isnan(second.accelerators)


@pytest.mark.parametrize("text", [PHILLY, HELIOS, ACME, PAI, OPENB, SWF, GAVEL, PLAIN])
def test_plain_gives_every_format_back_as_it_was(tmp_path, text):
    before = list(ordered(jobs(tmp_path, text)[0]))
    copy = tmp_path / "copy.csv"
    with copy.open("w", encoding="utf-8", newline="") as file:
        assert write(before, file) == len(before)
    after = list(Trace(copy).jobs())
    midnight = before[0].arrival // 86400 * 86400
    for old, new in zip(before, after, strict=True):
        assert repr(new) == repr(old._replace(arrival=old.arrival - midnight))


WRONG = [
    (
        HELIOS.replace("12,u2,vcB,0", "12,u2,vcB,some"),
        ["3:1: gpu_num: expected a number, 0 or more, got 'some'"],
    ),
    (HELIOS.replace("12,u2,vcB,0", "12,u2,vcB,0.5"), ["3:1: gpu_num: expected a whole number, got '0.5'"]),
    (HELIOS.replace(",3600,10", ",-3600,10"), ["2:1: duration: expected a number, 0 or more, got '-3600'"]),
    (HELIOS.replace(",3600,10", ",1e400,10"), ["2:1: duration: expected a number, 0 or more, got '1e400'"]),
    (HELIOS.replace("19:00:10", "17:00:10"), ["2:1: end_time: is before start_time"]),
    (
        HELIOS.replace("2020-06-09 18:00:10", "soon"),
        ["2:1: start_time: expected YYYY-MM-DD HH:MM:SS, got 'soon'"],
    ),
    (HELIOS.replace(",vcA", ""), ["2:1: expected 12 columns, got 11"]),
    (
        ACME.replace("+00:00", ""),
        ["3:1: submit_time: '2023-02-28 16:23:58' names a time zone and other times do not"],
    ),
    (OPENB.replace(",1,220,", ",1,1220,"), ["2:1: gpu_milli: expected 1000 or less, got 1220"]),
    (OPENB.replace(",100,400,130", ",100,120,130"), ["2:1: deletion_time: 120 is before scheduled_time 130"]),
    (PAI.replace("1600.0", "nan"), None),
    (PAI.replace("1600.0", "inf"), ["1:1: end_time: expected a number, 0 or more, got 'inf'"]),
    (SWF.replace("3600 8", "1e99 8"), ["3:1: run time: expected a number, -1 or more, got '1e99'"]),
    (SWF.replace("3600 8 -1", "3600 8"), ["3:1: expected 18 fields, got 17"]),
    (
        PHILLY.replace("02:00:30", "00:00:30"),
        ["2:1: end_time: the last attempt ends before the first starts"],
    ),
    (PHILLY.replace('"2017-10-07 00:50:11"', "7"), ["11:1: end_time: expected YYYY-MM-DD HH:MM:SS, got 7"]),
    (PLAIN.replace("100,2,", "100,1e6,"), ["2:1: workers: expected a whole number up to 200000, got 1e+06"]),
    (
        SWF.replace("-1 -1 16", "-1 -1 16.5"),
        ["3:1: processors: expected a whole number up to 200000, got 16.5"],
    ),
    (PLAIN.replace("100,2,", "100,2.5,"), ["2:1: workers: expected a whole number, got '2.5'"]),
    (
        PLAIN.replace("completed", "well"),
        ["2:1: status: expected one of completed, failed, cancelled, running, got 'well'"],
    ),
    (GAVEL.replace("\t2\t", "\t0\t"), ["1:1: scale factor: expected a number, 1 or more, got '0'"]),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_a_bad_row_is_told_with_its_line(tmp_path, text, expected):
    if expected is not None:
        assert faults(tmp_path, text) == expected
        good, ledger = jobs(tmp_path, text, on_bad_row="skip")
        assert ledger.bad == 1 and str(ledger.first).endswith(expected[0])
        assert len(good) >= 1
        assert ledger.rows == ledger.jobs + ledger.bad + sum(ledger.left_out.values())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"arrival_s\n", "holds no rows"),
        (b"this,and,that\n1,2,3\n", "is of no known format (philly, philly-csv, pai-v2020"),
        (b"\xff\xfea\x00", "is UTF-16; save it as UTF-8"),
        (b"\x00\x01\x02\x03", "is not text"),
        (b"PK\x03\x04zip", "is a zip archive"),
        (gzip.compress(b"\x00" * 257 + b"ustar" + b"\x00" * 300, mtime=0), "is a tar archive"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:40], "is not a whole gzip file"),
        (b"\x1f\x8bno", "is not a whole gzip file"),
        (b"[", "is not JSON"),
        (b"[]", "holds no rows"),
        (b'[{"a": 1}, {"b"', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1 2]", "expected , or ], got 2"),
        (b"arrival_s\n" + b"9" * 2_000_000, "longer than"),
        (b"arrival_s\n1\xff\n", "expected a number, 0 or more"),
        (b"arrival_s,arrival_s\n1,2\n", "stands twice in the header"),
        (b"arrival_s,arival\n1,2\n", "unknown column 'arival' (did you mean"),
        (b"arrival_s\nsoon\n", "expected a number, 0 or more, got 'soon'"),
    ],
)
@pytest.mark.parametrize("on_bad_row", ["stop", "skip"])
def test_hostile_files_are_faults_and_not_tracebacks(tmp_path, content, part, on_bad_row):
    assert any(part in fault for fault in faults(tmp_path, content, on_bad_row=on_bad_row))


SAMPLES = [text.encode() for text in (PHILLY, HELIOS, ACME, PAI, OPENB, SWF, GAVEL, PLAIN)]
TOKENS = [
    b"nan",
    b"-1",
    b"1e300",
    b'"',
    b"\n",
    b"\x00",
    b"\xff",
    b",",
    b"\t",
    b"[",
    b"{",
    b"null",
    b"9" * 400,
    b"",
]


@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(
        st.tuples(st.integers(0, 1500), st.integers(0, 20), st.sampled_from(TOKENS)), max_size=8
    ),
    form=st.sampled_from(["auto", *FORMATS]),
    on_bad_row=st.sampled_from(["stop", "skip"]),
)
@settings(max_examples=300)
def test_damaged_files_give_jobs_or_faults_and_every_row_is_accounted_for(
    tmp_path_factory, sample, changes, form, on_bad_row
):
    content = bytearray(sample)
    for at, length, token in changes:
        content[at : at + length] = token
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        trace = Trace(path, form, on_bad_row)
        found = list(trace.jobs())
    except ScenarioError as error:
        assert error.faults and all(fault.file == str(path) for fault in error.faults)
        return
    ledger = trace.ledger
    assert ledger.rows == len(found) + ledger.bad + sum(ledger.left_out.values())
    assert on_bad_row == "skip" or not ledger.bad
    assert all(job.work >= 0 or isnan(job.work) for job in found)
    assert all(1 <= job.workers <= 200_000 and job.arrival >= 0 for job in found)


def test_a_folder_and_a_missing_file_are_faults(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        Trace(tmp_path)
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        Trace(tmp_path / "none")


def test_all_faults_up_to_twenty_are_told_at_once(tmp_path):
    bad = "arrival_s\n1\n" + "x\n" * 3
    assert [fault.split(":")[0] for fault in faults(tmp_path, bad)] == ["3", "4", "5"]
    assert len(faults(tmp_path, "arrival_s\n" + "x\n" * 100)) == 21


def test_gzip_reads_as_the_file_inside(tmp_path):
    assert repr(jobs(tmp_path, gzip.compress(HELIOS.encode()))[0]) == repr(jobs(tmp_path, HELIOS)[0])


def test_philly_is_read_in_pieces_smaller_than_a_job(tmp_path, monkeypatch):
    whole = jobs(tmp_path, PHILLY)[0]
    for size in (1, 7, 64):
        monkeypatch.setattr("sim.saas.jobtraces.philly.CHUNK", size)
        assert jobs(tmp_path, PHILLY)[0] == whole


def test_ordering_agrees_with_a_sort_whatever_fits_in_memory():
    given = [Job(float(k * 37 % 11), work=float(k), tenant=f"t{k}") for k in range(25)]
    wanted = sorted(given, key=lambda job: job.arrival)
    for stretch in (1, 4, 25, 26):
        assert repr(list(ordered(given, stretch))) == repr(wanted)


def test_a_gang_can_be_regrouped_by_node_where_it_divides():
    job = Job(0.0, workers=16, accelerators=1.0, cpu=4.0, memory=nan, nodes=2)
    assert by_node(job)[2:5] == (2, 8.0, 32.0)
    assert by_node(job).demand == job.demand
    assert by_node(job._replace(nodes=3)).workers == 16


def test_inspect_counts_what_is_there(tmp_path):
    found = inspect(Trace(written(tmp_path, HELIOS), on_bad_row="skip"))
    assert (found["format"], found["rows"], found["jobs"], found["bad_rows"]) == ("helios", 3, 2, 0)
    assert found["span_s"] == 5.0
    assert found["share_by_hour"][18] == 1.0
    assert found["accelerators"] == {"0": 1, "16": 1}
    assert found["accelerator_hours"] == 16.0
    assert found["duration_s"]["max"] == 3600.0
    assert found["tenants"] == {"number": 2, "jobs": 2, "most": {"vcA": 1, "vcB": 1}}
    assert found["wait_s"]["p50"] == 5.0


STRATUS_DATA = os.environ.get("STRATUS_DATA")
published = pytest.mark.skipif(not STRATUS_DATA, reason="STRATUS_DATA names no folder of traces")


@published
def test_the_philly_reduction_has_its_published_figures():
    """Figures computed from the file apart from this reader: 82,247 jobs, 978,078 GPU-hours."""
    found = inspect(Trace(Path(STRATUS_DATA or "") / "philly" / "philly_jobs_all.csv.gz"))
    assert found["jobs"] == 82_247 and found["bad_rows"] == 0
    assert found["accelerator_hours"] == pytest.approx(978_078, rel=1e-6)
    assert found["accelerators"]["1"] == 76_627
    assert found["tenants"]["most"]["6214e9"] == 41_226
    assert found["duration_s"]["p50"] == 1144.0
    assert found["share_by_hour"][7] == pytest.approx(0.0870, abs=5e-5)


@published
def test_the_openb_pods_have_their_published_figures():
    found = inspect(Trace(Path(STRATUS_DATA or "") / "alibaba_gpu_v2023" / "openb_pod_list_default.csv"))
    assert (found["rows"], found["jobs"]) == (8152, 7255)
    assert found["left_out"] == {"never scheduled": 897}
    # 5,193 of the 8,152 pods are Running in the list.
    assert found["statuses"]["most"]["running"] == 5193


@published
def test_rows_of_the_real_files_read_as_a_hand_reads_them():
    philly = next(Trace(Path(STRATUS_DATA or "") / "philly" / "philly_jobs_all.csv.gz").jobs())
    # 2017-09-04 10:30:41,2240194.0,8,17921552.0,7f04ca
    assert philly[:4] == (1504521041.0, 2240194.0, 8, 1.0) and philly.tenant == "7f04ca"
    pods = Trace(Path(STRATUS_DATA or "") / "alibaba_gpu_v2023" / "openb_pod_list_default.csv").jobs()
    first, second = next(pods), next(pods)
    # openb-pod-0000,12000,16384,1,1000,,LS,Running,0,12537496,0
    assert (first.work, first.cpu, first.memory, first.accelerators) == (12537496.0, 12.0, 2**34, 1.0)
    # openb-pod-0001,6000,12288,1,460,,LS,Running,427061,12902960,427061
    assert (second.arrival, second.accelerators, second.wait) == (427061.0, 0.46, 0.0)


@published
def test_the_instances_of_the_dlrm_trace_have_their_published_figures():
    found = inspect(Trace(Path(STRATUS_DATA or "") / "alibaba_gpu" / "disaggregated_DLRM_trace.csv.gz"))
    # 16,485 on CPU nodes and 7,386 on GPU nodes; 7,280 were there before the trace and 4,201 after it.
    assert (found["rows"], found["jobs"], found["bad_rows"]) == (23871, 12390, 0)
