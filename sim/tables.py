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


#: Outcomes of a request and of a service call; only a call is cancelled.
COMPLETED, REJECTED, TIMEOUT, FAILED, IN_FLIGHT = "completed", "rejected", "timeout", "failed", "in-flight"
CANCELLED = "cancelled"

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
    "attempts": _table("""
        request     int   -     request it belongs to
        app         text  -     application that made it
        number      int   -     0 for the first
        kind        text  -     first, retry or hedge
        site        text  -     site of the service that was asked first
        began       float s     moment it was made
        done        float s     moment the client heard of its end, or did not wait any longer
        status      text  -     completed, rejected, timeout, failed; in-flight if another one was faster
        reason      text  -     why it did not complete
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
        status      text  -     completed, rejected, timeout, failed, cancelled or in-flight
        reason      text  -     why it did not complete
    """),
    "sequences": _table("""
        call        int   -     number of the call, whose tokens a language model's engine has all generated
        request     int   -     request it belongs to
        service     text  -     service that was asked
        replica     int   -     unit that served it
        prompt      int   -     prompt tokens
        output      int   -     tokens generated
        enter       float s     moment the call reached the service
        first       float s     moment of the first token
        finish      float s     moment of the last token
        preemptions int   -     times it lost its place in the batch
        cached      int   -     prompt tokens that the prefix cache held when it first got a place
        loaded      int   -     those of them that came from the host's memory
        evicted     int   -     blocks the prefix cache gave up since the row before of that replica
    """),
    "iterations": _table("""
        replica     int   -     unit whose engine it was; a row for each stretch of like iterations
        time        float s     moment its first iteration began
        first       float s     gap between the tokens it gave and those before
        slope       float s     what the gap of each further iteration is longer
        count       int   -     iterations; 0 in rows of a pipeline that say how long sequences were in one
        sequences   int   -     sequences that generated a token in each
        prompts     int   -     prompt tokens processed
        blocks      int   -     blocks of the key-value cache in use
    """),
    "hosted": _table("""
        call        int   -     number of the call, of a service that hosts several models
        service     text  -     service that was asked
        replica     int   -     unit it came to
        model       text  -     model it is for
        hit         int   -     1 if that was in memory at the moment, else 0
    """),
    "swaps": _table("""
        time        float s     moment the load of a model began; written when it has ended
        service     text  -     service that hosts it
        replica     int   -     unit it was loaded on
        model       text  -     model loaded
        evicted     text  -     models that made room for it, with blanks between them
        seconds     float s     time it took, from the object store if it was not on the node
    """),
    "adapters": _table("""
        replica     int   -     unit that brought a low-rank adapter into one of its slots; a row each time
        time        float s     moment of the iteration that waited for it
        adapter     int   -     its number, the most popular being 0
        seconds     float s     time to bring it in
    """),
    "transfers": _table("""
        call        int   -     number of the call whose prompt's cache it was
        service     text  -     service that processed the prompt
        source      int   -     unit that did
        target      int   -     unit that generates
        bytes       float bytes size of the cache
        first       float s     moment of the first token, from which on the cache waited
        began       float s     moment the target had room for it and the transfer began
        ended       float s     moment the cache had arrived
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
        cpu         float -     cores it reserves
        memory      float bytes memory it reserves
        accelerators float -    accelerators it reserves
        disk        float bytes disk it reserves
    """),
    "jobs": _table("""
        id          int   -     number of the job
        name        text  -     job class of the scenario
        tenant      text  -     who owns it
        workers     int   -     units of the gang it asked for
        demand      float -     accelerators of that gang
        priority    float -     larger goes first, where the order looks at it
        weight      float -     of its claim to a fair share
        deadline    float s     moment by which it should be done, infinite for none
        submitted   float s     moment it entered the queue
        started     float s     moment its gang first ran
        finished    float s     moment its work was done
        work        float s     running time it needs on the accelerators it asked for
        estimate    float s     running time its user stated
        attained    float s     time it held nodes, over all its runs
        preemptions int   -     times it lost its place
        lost        float s     work done and lost again
        status      text  -     completed, running, queued or failed
    """),
    "runs": _table("""
        job         int   -     number of the job
        started     float s     moment its gang was bound to nodes
        working     float s     moment it began to work, after its restart
        ended       float s     moment it left the nodes
        workers     int   -     units of the gang
        rate        float -     seconds of work done per second, the mean where others slowed it down
        progress    float s     work done in this run
        lost        float s     part of it that it had to do again afterwards
        reason      text  -     why it ended: completed, or what took its place
        nodes       text  -     its nodes, with blanks between them
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
        cpu         float -     cores it has
        memory      float bytes memory it has
        accelerators float -    accelerators it has
        disk        float bytes disk it has
        device      text  -     its accelerator
        accelerator_memory float bytes memory of one of them
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
        due         float s     end of the bin of arrivals that was foreseen, the last that counts
        bin         float s     its length
        expected    float 1/s   mean rate foreseen in it
        low         float 1/s   rate foreseen to be exceeded with probability level
        high        float 1/s   rate foreseen to be exceeded with probability 1 - level
        level       float -     quantile that high is
    """),
    "vertical": _table("""
        time        float s     moment of the recommendation
        service     text  -     service
        mode        text  -     Off, Initial or Recreate
        used        float -     cores a ready replica used, mean of the last minute
        lower       float -     cores below which a replica is evicted
        target      float -     cores recommended
        upper       float -     cores above which a replica is evicted
        request     float -     cores that a new replica asks for
        evicted     int   -     replicas evicted
        memory      float bytes memory of the replica that used most, where that is sampled
        memory_lower float bytes memory below which a replica is evicted
        memory_target float bytes memory recommended
        memory_upper float bytes memory above which a replica is evicted
        memory_request float bytes memory that a new replica asks for
        killed      int   -     replicas that ran out of memory
    """),
    "node_scaling": _table("""
        time        float s     moment of it
        policy      text  -     node autoscaler
        pool        text  -     site/pool
        node        text  -     node it is about, empty where nodes are asked for
        action      text  -     grow, kept or unneeded (at a change), drain, removed or failed
        nodes       int   -     nodes asked for, or 1
        utilisation float -     requests over what the node has: of accelerators if any, else cores or memory
        reason      text  -     why
    """),
    "decisions": _table("""
        id          int   -     number of the row, in order of the moments
        time        float s     moment of it, of the first of equal attempts
        group       int   -     units that are placed together: a gang or a replica; -1 for none
        owner       text  -     service or job
        shape       int   -     what it asks for, a row of `shapes`
        outcome     text  -     queued, waiting, bound, preempted, holds (up the queue), open (nobody does)
        key         float -     what the order made of it; smaller is tried earlier
        ahead       int   -     groups before it in the queue
        head        text  -     the first of them
        by          text  -     who holds it up, or for whom it was preempted
        until       float s     earliest start of who holds it up, or its own if it holds; infinite: unknown
        unit        int   -     unit that was placed, or found no place
        node        text  -     node chosen
        candidates  int   -     nodes left after the filters
        reason      text  -     why it waits or was preempted; the order (queued), the discipline (holds)
        last        float s     moment of the last attempt with the same answer
        attempts    int   -     attempts with that answer in a row
    """),
    "rejections": _table("""
        decision    int   -     row of `decisions`
        reason      text  -     why the nodes were rejected, by the first filter that did
        first       int   -     number of the first node of a stretch, -1 where only counted
        last        int   -     number of the last node of the stretch
        nodes       int   -     how many
    """),
    "finalists": _table("""
        decision    int   -     row of `decisions`
        rank        int   -     0 for the node chosen
        node        int   -     number of the node
        scorer      text  -     scorer
        points      float -     its points, 0 to 100 over the candidates
        weight      float -     by which they count
    """),
    "shapes": _table("""
        shape       int   -     number of what a group asks for; a row for each kind of its units
        units       int   -     units of this kind
        cpu         float -     cores of each
        memory      float bytes memory of each
        accelerators float -    accelerators of each
        disk        float bytes disk of each
        site        text  -     the only site it may run at
        pools       text  -     the only pools it may run in
        device      text  -     accelerator it needs
        accelerator_memory float bytes memory it needs on one accelerator
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
