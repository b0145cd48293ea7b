"""`philly`: Microsoft Philly 2017, `cluster_job_log` (Jeon et al., ATC'19; github msr-fiddle/philly-traces).

One JSON array of jobs, each with its scheduling attempts. A job's demand is that of its first attempt;
its work is the time from the begin of the first attempt to the end of the last, as in the trace's own
analysis. The times are local to the cluster, without a zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import nan
from typing import Any, TextIO

from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.record import BadRow, Job, LeftOut, Status, per_accelerator, waited
from sim.saas.jobtraces.rows import NOTHING, wall_seconds

#: Characters read at once, and the longest job.
CHUNK = 1 << 16
LONGEST = 1 << 22

_STATUSES: dict[str, Status] = {"Pass": "completed", "Killed": "cancelled", "Failed": "failed"}

_decode = json.JSONDecoder().raw_decode


class Philly:
    """The format, as `sim.saas.jobtraces.formats` lists it."""

    name = "philly"
    about = "Microsoft Philly 2017, cluster_job_log (JSON)"
    clock = 0.0

    def jobs(self, file: TextIO, ledger: Ledger) -> Iterator[Job]:
        """Yield the jobs of a file in its own order; the ledger learns of the rest."""
        for line, entry in _entries(file, ledger):
            ledger.rows += 1
            try:
                job = _job(entry)
            except BadRow as error:
                ledger.wrong(line, str(error))
            except LeftOut as reason:
                ledger.left_out[str(reason)] += 1
            else:
                yield job


def _entries(file: TextIO, ledger: Ledger) -> Iterator[tuple[int, Any]]:
    """Members of the array with the line each begins in; never more than a few in memory."""
    text, at, line, ended = file.read(CHUNK), 0, 1, False
    expected = "["
    while True:
        while at < len(text) and text[at].isspace():
            line += text[at] == "\n"
            at += 1
        if at == len(text) and not ended:
            text, at = file.read(CHUNK), 0
            ended = not text
            continue
        sign = text[at : at + 1]
        if expected == "":
            try:
                entry, end = _decode(text, at)
            except (json.JSONDecodeError, RecursionError) as error:
                if not ended and len(text) - at < LONGEST:
                    more = file.read(max(CHUNK, len(text) - at))
                    text, at, ended = text[at:] + more, 0, not more
                    continue
                where = line + text.count("\n", at, getattr(error, "pos", at))
                ledger.give_up(where, f"is not JSON: {getattr(error, 'msg', 'nested too deep')}")
            yield line, entry
            line += text.count("\n", at, end)
            at, expected = end, ",]"
            continue
        if not sign or sign not in expected:
            ledger.give_up(line, f"expected {' or '.join(expected)}, got {sign or 'the end of the file'}")
        at += 1
        if sign == "]":
            return
        if sign == "[" and text[at:].lstrip()[:1] == "]":
            return
        expected = ""


def _job(entry: Any) -> Job:
    if not isinstance(entry, dict):
        raise BadRow(f"expected a job {{...}}, got {json.dumps(entry)[:40]}")
    submitted = _moment(entry, "submitted_time")
    attempts = entry.get("attempts")
    if not isinstance(attempts, list) or not all(isinstance(each, dict) for each in attempts):
        raise BadRow("attempts: expected a list of {start_time, end_time, detail}")
    if submitted is None:
        raise BadRow("submitted_time: expected YYYY-MM-DD HH:MM:SS, got nothing")
    if not attempts:
        raise LeftOut("never started")
    started, ended = _moment(attempts[0], "start_time"), _moment(attempts[-1], "end_time")
    if started is None:
        raise LeftOut("start not recorded")
    if ended is None:
        raise LeftOut("not ended")
    if ended < started:
        raise BadRow("end_time: the last attempt ends before the first starts")
    nodes, gpus = _demand(attempts[0].get("detail"))
    if not gpus:
        raise LeftOut("no accelerators recorded")
    job = Job(
        arrival=submitted,
        work=ended - started,
        nodes=nodes,
        wait=waited(submitted, started),
        tenant=str(entry.get("vc", "")),
        status=_STATUSES.get(str(entry.get("status")), ""),
        id=str(entry.get("jobid", "")),
    )
    return per_accelerator(job, gpus, nan)


def _demand(detail: Any) -> tuple[int, int]:
    """Servers and accelerators of an attempt."""
    if not isinstance(detail, list):
        raise BadRow("detail: expected a list of {ip, gpus}")
    lists = [each.get("gpus") if isinstance(each, dict) else None for each in detail]
    if not all(isinstance(gpus, list) for gpus in lists):
        raise BadRow("gpus: expected a list of accelerators")
    return len(lists), sum(map(len, lists))  # type: ignore[arg-type]


def _moment(entry: dict[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if value is None or (isinstance(value, str) and value.lower() in NOTHING):
        return None
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected YYYY-MM-DD HH:MM:SS, got {json.dumps(value)[:40]}")
    return wall_seconds(value, name)


PHILLY = Philly()
