"""The tables a run records: every column with its type, unit and meaning.

The model layers write rows in this order, `stats` and `report` read the columns by name, and the
reference page is generated from here. Times are simulated seconds since the start of the run; a
moment that never came is NaN. Ids are small integers in order of creation.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column: `kind` is "float", "int" or "text" (text is stored dictionary-encoded)."""

    name: str
    kind: str
    unit: str
    meaning: str


def _table(text: str) -> tuple[Column, ...]:
    rows = (line.split(None, 3) for line in text.strip().splitlines())
    return tuple(
        Column(name, kind, "" if unit == "-" else unit, meaning) for name, kind, unit, meaning in rows
    )


#: Outcomes of a request and of a service call.
COMPLETED, REJECTED, TIMEOUT, FAILED, IN_FLIGHT = "completed", "rejected", "timeout", "failed", "in-flight"

TABLES: dict[str, tuple[Column, ...]] = {
    "requests": _table("""
        id          int   -     number of the request in the run
        app         text  -     application that made it
        origin      text  -     site of the user
        site        text  -     site of the service that answered its first call
        arrival     float s     moment the user made it
        done        float s     moment the reply reached the user, or it was given up
        status      text  -     completed, rejected, timeout, failed or in-flight
        reason      text  -     why it did not complete
        network     float s     part of the latency spent in transfers (sum over its calls)
        queue       float s     part spent waiting for a server or a replica
        compute     float s     part spent in service
        sent        float bytes payload sent towards services
        received    float bytes payload sent back to the user
    """),
    "calls": _table("""
        id          int   -     number of the call in the run
        request     int   -     request it belongs to
        service     text  -     service that was asked
        replica     int   -     unit that served it, -1 for none
        enter       float s     moment it reached the service
        start       float s     moment its service began
        finish      float s     moment it left the service, served or not
        batch       int   -     size of the batch it was served in
        status      text  -     completed, rejected, timeout, failed or in-flight
        reason      text  -     why it did not complete
    """),
    "units": _table("""
        id          int   -     number of the unit (a replica or a worker)
        kind        text  -     replica or worker
        owner       text  -     service or job
        node        text  -     node it was bound to last
        submitted   float s     moment it asked the scheduler for a place
        bound       float s     moment it was bound to a node
        pulled      float s     moment its image was on the node
        loaded      float s     moment its weights were in memory
        ready       float s     moment it could serve (warmed up) or began to work
        ended       float s     moment it left the node
        reason      text  -     why it ended
    """),
    "jobs": _table("""
        id          int   -     number of the job
        name        text  -     job class of the scenario
        tenant      text  -     who owns it
        workers     int   -     units of the gang
        submitted   float s     moment it entered the queue
        started     float s     moment its gang first ran
        finished    float s     moment its work was done
        work        float s     running time it needs on the accelerators it asked for
        estimate    float s     running time its user stated
        preemptions int   -     times it lost its place
        lost        float s     work done and lost again
        status      text  -     completed, running, queued or failed
    """),
    "nodes": _table("""
        id          int   -     number of the node
        name        text  -     path of the node
        pool        text  -     site/pool
        site        text  -     site
        instance    text  -     instance type
        requested   float s     moment it was asked for (billing starts)
        ready       float s     moment it first could run units
        ended       float s     moment it was given back
        reason      text  -     why it ended
    """),
    "scaling": _table("""
        time        float s     moment of the observation
        service     text  -     service
        policy      text  -     autoscaler
        signal      float -     value the policy looked at (its unit is the policy's)
        predicted   float -     value it forecast for the moment a new replica would be ready
        current     int   -     replicas it had asked for before
        wanted      int   -     replicas the signal (or the forecast) asks for
        allowed     int   -     replicas after the policy's own windows and rates
        applied     int   -     replicas after the bounds of the service
        ready       int   -     replicas ready at that moment
        reason      text  -     why applied differs from wanted
    """),
    "decisions": _table("""
        time        float s     moment of the scheduling attempt
        unit        int   -     unit that was to be placed
        owner       text  -     service or job
        outcome     text  -     bound or waiting
        node        text  -     node chosen
        candidates  int   -     nodes left after the filters
        rejected    text  -     JSON: nodes removed by each filter's reason
        scores      text  -     JSON: per finalist, the points of each scorer
    """),
    "faults": _table("""
        time        float s     moment it began
        target      text  -     path of what failed
        kind        text  -     crash, reclaim or outage
        until       float s     moment it was repaired
        units       int   -     units it ended
    """),
}


def columns(table: str) -> tuple[str, ...]:
    """Names of a table's columns, in the order rows are written."""
    return tuple(column.name for column in TABLES[table])
