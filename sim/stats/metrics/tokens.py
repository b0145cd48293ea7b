"""Metrics of language models: when tokens came, and what they took.

All are as vLLM's and inference-perf's load generators define them. Requests and calls belong to the
window by the moment they came, gaps and throughput by the stretches of iterations that began in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.paas.llm.gaps import Gaps
from sim.stats.quantiles import of_sorted, quantile
from sim.stats.steps import integral
from sim.stats.view import Mask, View, average, equals, ratio

Floats = NDArray[np.float64]

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Timing:
    """Tokens of some requests, NaN where none came.

    Attributes:
        ttft: to the first token (s).
        tpot: per further token (s); NaN for answers of one token, which have no further one.
    """

    ttft: Floats
    tpot: Floats


def measure(view: View) -> dict[str, float]:
    """The metrics of services with a language model's engine, and of tokens in all."""
    found: dict[str, float] = {}
    given = generated = 0.0
    for name, facts in view.facts.get("engines", {}).items():
        numbers = _sequences(view, name) | _iterations(view, name, facts) | _transfers(view, name)
        numbers |= _prefixes(view, name) | _adapters(view, name)
        generated += numbers["tokens_out"] * view.length
        given += float(np.sum(view.numbers("sequences", "prompt")[_begun(view, name)]))
        found |= {f"services.{name}.{metric}": value for metric, value in numbers.items()}
    if found:
        found["total.tokens_out"] = generated
        found["total.tokens_in"] = given
    return found


def of_requests(view: View, rows: NDArray[np.int64]) -> Timing:
    """Timing of requests as their users saw it; that of the last call with tokens.

    The way of the first token to the user counts as that of the reply.
    """
    request, finish = view.numbers("sequences", "request"), view.numbers("sequences", "finish")
    order = np.lexsort((finish, request))
    known = request[order]
    wanted = view.numbers("requests", "id")[rows]
    last = np.searchsorted(known, wanted, side="right") - 1
    there = (last >= 0) & (len(known) > 0)
    there[there] = known[last[there]] == wanted[there]
    place = order[last[there]]
    first, output = view.numbers("sequences", "first")[place], view.numbers("sequences", "output")[place]
    ttft, tpot = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    mine = rows[there]
    back = view.numbers("requests", "done")[mine] - finish[place]
    ttft[there] = first - view.numbers("requests", "arrival")[mine] + back
    tpot[there] = _per_token(first, finish[place], output)
    return Timing(ttft, tpot)


def missed(view: View, app: str, rows: NDArray[np.int64], slo: dict[str, Any]) -> Mask:
    """Which requests of an application had their tokens later than its SLO allows.

    An answer of one token meets any bound on TPOT: no further token came too late.
    """
    late = np.zeros(len(rows), dtype=bool)
    bounds = slo.get("ttft"), slo.get("tpot")
    if app not in view.facts.get("chats", {}) or not any(bounds):
        return late
    timing = of_requests(view, rows)
    for values, most in zip((timing.ttft, timing.tpot), bounds, strict=True):
        if most:
            # A hair of tolerance: differences of moments are rounded.
            late |= values > most * (1 + 1e-9)
    return late


def times(timing: Timing) -> dict[str, float]:
    """Means and quantiles of both."""
    return _spread("ttft", timing.ttft) | _spread("tpot", timing.tpot)


def gaps(view: View, service: str) -> Gaps:
    """The gaps between the tokens of a service, of the window."""
    rows = _stretches(view, service)
    first, slope, count, sequences = (
        view.numbers("iterations", name)[rows] for name in ("first", "slope", "count", "sequences")
    )
    return Gaps(first, slope, count, sequences)


def calls(view: View, service: str) -> Timing:
    """Timing of the calls of a service, of the window."""
    rows = _rows(view, service)
    enter, first, finish, output = (
        view.numbers("sequences", name)[rows] for name in ("enter", "first", "finish", "output")
    )
    return Timing(first - enter, _per_token(first, finish, output))


def _rows(view: View, service: str) -> NDArray[np.int64]:
    mine = equals(view.text("sequences", "service"), service) & view.inside("sequences", "enter")
    return np.flatnonzero(mine)


def _begun(view: View, service: str) -> Mask:
    """Sequences whose first token came in the window."""
    return equals(view.text("sequences", "service"), service) & view.inside("sequences", "first")


def _stretches(view: View, service: str) -> NDArray[np.int64]:
    return np.flatnonzero(_of_replicas(view, service, "iterations"))


def _of_replicas(view: View, service: str, table: str) -> Mask:
    """Rows of the window that replicas of a service wrote."""
    units = view.numbers("units", "id")[equals(view.text("units", "owner"), service)]
    mine: Mask = np.isin(view.numbers(table, "replica"), units) & view.inside(table, "time")
    return mine


def _per_token(first: Floats, finish: Floats, output: NDArray[np.int64]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(output > 1, (finish - first) / (output - 1), np.nan)


def _spread(name: str, values: Floats) -> dict[str, float]:
    ordered = np.sort(values[~np.isnan(values)])
    found = of_sorted(ordered, list(_SHARES.values())).tolist()
    return {f"{name}.mean": average(ordered)} | {
        f"{name}.{label}": value for label, value in zip(_SHARES, found, strict=True)
    }


def _sequences(view: View, name: str) -> dict[str, float]:
    rows = _rows(view, name)
    enter, finish, output, preemptions = (
        view.numbers("sequences", column)[rows] for column in ("enter", "finish", "output", "preemptions")
    )
    elapsed = finish - enter
    return {
        **times(calls(view, name)),
        **_spread("e2e", elapsed),
        "ntpot.mean": average(elapsed / output),
        "preemptions": float(np.sum(preemptions)),
    }


def _prefixes(view: View, name: str) -> dict[str, float]:
    rows = _rows(view, name)
    prompt, cached, loaded, evicted = (
        float(np.sum(view.numbers("sequences", column)[rows]))
        for column in ("prompt", "cached", "loaded", "evicted")
    )
    return {
        "hit_rate": ratio(cached, prompt),
        "host_hit_rate": ratio(loaded, prompt),
        "tokens_saved": ratio(cached, view.length),
        "evictions": ratio(evicted, view.length),
    }


def _iterations(view: View, name: str, facts: dict[str, float | None]) -> dict[str, float]:
    found = gaps(view, name)
    rows = _stretches(view, name)
    prompts = float(np.sum(view.numbers("iterations", "prompts")[rows]))
    outputs = float(found.count + np.count_nonzero(_begun(view, name)))
    blocks = view.numbers("iterations", "blocks")[rows].astype(float)
    took = found.first * found.iterations + found.slope * (found.iterations * (found.iterations - 1) / 2)
    # Rows that only tell the longer gap of a few sequences name no blocks.
    own = blocks > 0
    ready = integral(view.steps(f"paas/{name}/ready"), view.start, view.end)
    flop, peak = facts["flop"], facts["peak"]
    held = float(np.dot(blocks[own], took[own]))
    return {
        "itl.mean": found.mean(),
        "itl.p50": found.quantile(0.5),
        "itl.p99": found.quantile(0.99),
        "itl.max": found.quantile(1.0),
        "tokens_in": ratio(prompts, view.length),
        "tokens_out": ratio(outputs, view.length),
        "kv_blocks": ratio(held, float(np.sum(took[own]))),
        "kv_use": ratio(held, (facts.get("blocks") or 0.0) * ready),
        "batch_use": ratio(generating_seconds(view, rows, took), (facts.get("places") or 0.0) * ready),
        "mfu": ratio(flop * (prompts + outputs), peak * ready) if flop and peak else float("nan"),
    }


def generating_seconds(view: View, rows: NDArray[np.int64], took: Floats) -> float:
    """Seconds that sequences spent in iterations which gave them a token, added up.

    Those whose gap began before the first iteration of a stretch stand in rows of their own before it, with
    their longer gap: they count with that iteration, in which the rows end. Where iterations overlap, rows
    without any iteration say who was in one for how long besides.
    """
    replica, time, first, sequences, blocks, count = (
        view.numbers("iterations", name)[rows]
        for name in ("replica", "time", "first", "sequences", "blocks", "count")
    )
    own = blocks > 0
    order = np.lexsort((np.arange(len(rows)), replica))
    # The stretch after each row, of the same replica or of none.
    after = np.where(own[order], np.arange(len(rows)), len(rows))
    after = np.minimum.accumulate(after[::-1])[::-1]
    late = ~own[order] & (after < len(rows))
    row, stretch = order[late], order[after[late]]
    together = np.isclose(time[row] + first[row], time[stretch] + first[stretch], rtol=1e-12, atol=1e-9)
    row, stretch = row[together], stretch[together]
    beside = count == 0
    return (
        float(np.dot(took[own], sequences[own]))
        + float(np.dot(first[stretch], sequences[row]))
        + float(np.dot(first[beside], sequences[beside]))
    )


def _adapters(view: View, name: str) -> dict[str, float]:
    """Adapters that the replicas of a service brought in."""
    mine = _of_replicas(view, name, "adapters")
    ready = integral(view.steps(f"paas/{name}/ready"), view.start, view.end)
    return {
        "adapter_loads": ratio(float(np.count_nonzero(mine)), view.length),
        "adapter_loading": ratio(float(np.sum(view.numbers("adapters", "seconds")[mine])), ready),
    }


def _transfers(view: View, name: str) -> dict[str, float]:
    """Caches of a service that left it, by the moment of the first token."""
    mine = equals(view.text("transfers", "service"), name) & view.inside("transfers", "first")
    first, began, ended, size = (
        view.numbers("transfers", column)[mine] for column in ("first", "began", "ended", "bytes")
    )
    return {
        "handover.mean": average(ended - first),
        "handover.p99": quantile(ended - first, 0.99),
        "transfer.mean": average(ended - began),
        "moved": float(np.sum(size)),
    }
