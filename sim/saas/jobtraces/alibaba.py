"""Alibaba's GPU cluster traces (github alibaba/clusterdata).

* `pai-v2020`: `pai_task_table.csv` of cluster-trace-gpu-v2020 (Weng et al., NSDI'22), published without a
  header line. Each task is a gang of `inst_num` instances; a job of several tasks (parameter servers and
  workers) gives several gangs. `plan_cpu` and `plan_gpu` are percent of one, `plan_mem` is in GiB. Times
  show the time of day when read as Unix time in UTC+8.
* `pai-v2020-sample`: the job lists of that trace's simulator, `pai_job_*_100K.csv`; their `num_gpu` and
  `num_cpu` are those of the whole job, as that simulator takes them.
* `openb-v2023`: the pod lists of cluster-trace-gpu-v2023, `openb_pod_list_*.csv` (Weng et al., ATC'23):
  each pod is one worker; `gpu_milli` is a share of one device where there is one.
* `dlrm-v2025`: `disaggregated_DLRM_trace.csv` of cluster-trace-gpu-v2025 (Yang et al., NSDI'25): each
  instance of an inference service is one worker. What was there before the trace began is left out.
* `spot-v2026`: `job_info_df.csv` of cluster-trace-v2026-spot-gpu (Duan et al., ASPLOS'26). Cores and GPUs
  are taken as those of one worker (jobs of 94 workers state 15 cores). High-priority jobs have priority 1.
"""

from __future__ import annotations

from math import isnan

from sim.saas.jobtraces.record import BadRow, Job, LeftOut, Status, waited
from sim.saas.jobtraces.rows import Row
from sim.saas.jobtraces.tables import Table

_STATUSES: dict[str, Status] = {
    "Terminated": "completed",
    "Succeeded": "completed",
    "Failed": "failed",
    "Running": "running",
}

#: Columns of pai_task_table.csv, in its order.
TASK_COLUMNS = (
    "job_name",
    "task_name",
    "inst_num",
    "status",
    "start_time",
    "end_time",
    "plan_cpu",
    "plan_mem",
    "plan_gpu",
    "gpu_type",
)

_UTC8 = 8 * 3600.0


def _ran(row: Row, begin: str, end: str) -> float:
    """Seconds between two columns of a row."""
    started, ended = row.known(begin), row.known(end)
    if isnan(started) or (started == 0 and row.text("status") == "Waiting"):
        raise LeftOut("never started")
    if isnan(ended) or ended == 0 < started:
        raise LeftOut("not ended")
    if ended < started:
        raise BadRow(f"{end}: {ended:g} is before {begin} {started:g}")
    return ended - started


def _type(text: str) -> str:
    """The accelerator a task asked for; CPU and MISC name none."""
    return "" if text in ("CPU", "MISC") else text


def _task(row: Row) -> Job:
    work = _ran(row, "start_time", "end_time")
    gpu, cpu, memory = row.known("plan_gpu"), row.known("plan_cpu"), row.known("plan_mem")
    return Job(
        arrival=row.number("start_time"),
        work=work,
        workers=row.workers("inst_num") if row.text("inst_num") else 1,
        accelerators=0.0 if isnan(gpu) else gpu / 100,
        cpu=cpu / 100,
        memory=memory * 2.0**30,
        device=_type(row.text("gpu_type")),
        model=row.text("task_name"),
        status=_STATUSES.get(row.text("status"), ""),
        id=row.text("job_name"),
    )


def _sample(row: Row) -> Job:
    workers = row.workers("num_inst") if row.text("num_inst") else 1
    gpu = row.known("num_gpu")
    return Job(
        arrival=row.number("submit_time"),
        work=row.number("duration"),
        workers=workers,
        accelerators=0.0 if isnan(gpu) else gpu / workers,
        cpu=row.known("num_cpu") / workers,
        estimate=row.known("user_gpu_dur"),
        wait=row.known("wait_time"),
        tenant=row.text("user"),
        device=_type(row.text("gpu_type")),
        status=_STATUSES.get(row.text("status"), ""),
        id=row.text("job_id"),
    )


def _pod(row: Row) -> Job:
    created = row.number("creation_time")
    scheduled = row.known("scheduled_time")
    if isnan(scheduled):
        raise LeftOut("never scheduled")
    gpus, share = row.whole("num_gpu"), row.number("gpu_milli")
    if share > 1000:
        raise BadRow(f"gpu_milli: expected 1000 or less, got {share:g}")
    return Job(
        arrival=created,
        work=_ran(row, "scheduled_time", "deletion_time"),
        accelerators=share / 1000 if gpus == 1 else float(gpus),
        cpu=row.number("cpu_milli") / 1000,
        memory=row.number("memory_mib") * 2.0**20,
        nodes=1,
        wait=waited(created, scheduled),
        device=row.text("gpu_spec"),
        model=row.text("qos"),
        status=_STATUSES.get(row.text("pod_phase"), ""),
        id=row.text("name"),
    )


def _instance(row: Row) -> Job:
    created, scheduled = row.known("creation_time"), row.known("scheduled_time")
    if isnan(created) or isnan(scheduled):
        raise LeftOut("there before the trace")
    return Job(
        arrival=created,
        work=_ran(row, "scheduled_time", "deletion_time"),
        accelerators=float(row.whole("gpu_request")),
        cpu=row.number("cpu_request"),
        memory=row.number("memory_request") * 2.0**30,
        nodes=1,
        wait=waited(created, scheduled),
        tenant=row.text("app_name"),
        model=row.text("role"),
        id=row.text("instance_sn"),
    )


def _spot(row: Row) -> Job:
    kind = row.text("job_type")
    return Job(
        arrival=row.number("submit_time"),
        work=row.number("duration"),
        workers=row.workers("worker_num"),
        accelerators=row.number("gpu_request"),
        cpu=row.number("cpu_request"),
        priority=1.0 if kind == "HP" else 0.0,
        tenant=row.text("organization"),
        device=row.text("gpu_model"),
        model=kind,
        id=row.text("job_name"),
    )


PAI = Table(
    "pai-v2020",
    "Alibaba PAI 2020, pai_task_table.csv",
    ("inst_num", "start_time", "end_time", "plan_cpu", "plan_gpu"),
    _task,
    bare=TASK_COLUMNS,
    clock=_UTC8,
)
PAI_SAMPLE = Table(
    "pai-v2020-sample",
    "Alibaba PAI 2020, job lists of its simulator",
    ("job_id", "submit_time", "duration", "num_gpu"),
    _sample,
    clock=_UTC8,
)
OPENB = Table(
    "openb-v2023",
    "Alibaba 2023, openb_pod_list_*.csv",
    ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "creation_time", "deletion_time", "scheduled_time"),
    _pod,
)
DLRM = Table(
    "dlrm-v2025",
    "Alibaba 2025, disaggregated_DLRM_trace.csv",
    ("cpu_request", "gpu_request", "memory_request", "creation_time", "scheduled_time", "deletion_time"),
    _instance,
)
SPOT = Table(
    "spot-v2026",
    "Alibaba 2026, job_info_df.csv",
    ("cpu_request", "gpu_request", "worker_num", "submit_time", "duration", "job_type"),
    _spot,
)
