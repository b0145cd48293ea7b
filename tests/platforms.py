"""What the tests of whole platforms share: from a text to an outcome, and exact laws that hold in any run."""

from __future__ import annotations

import json
import math

import numpy as np

from sim.kernel.outcome import Outcome
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.study.truth import EXPONENTIAL, STATION


def station(
    rate, *, service="engine: {policy: concurrent, servers: 1}", work=EXPONENTIAL, duration=2000, warmup=100
):
    """Text of a scenario with Poisson arrivals at one service of 100 ms."""
    return STATION.format(rate=rate, service=service, work=work, duration=duration, warmup=warmup)


def simulate(scenario: str | dict, *sets: str, replication: int = 0) -> Outcome:
    """From the text of a scenario (or its content) through loader and builder to the outcome of a run."""
    text = scenario if isinstance(scenario, str) else json.dumps(scenario)
    return build(loads(text, sets), replication).run()


def column(outcome: Outcome, table: str, name: str):
    """A column as an array, texts as an array of objects."""
    data = outcome.tables[table][name]
    return np.array(data.texts(), dtype=object) if hasattr(data, "texts") else data


def rows(outcome: Outcome, table: str) -> list[dict]:
    """A table as one dictionary a row."""
    names = list(outcome.tables[table])
    values = zip(*(column(outcome, table, name).tolist() for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def content(outcome: Outcome) -> dict:
    """All that was recorded, as bytes and texts: equal runs have equal contents."""
    tables = {
        (table, name): tuple(data.texts()) if hasattr(data, "texts") else data.tobytes()
        for table, columns in outcome.tables.items()
        for name, data in columns.items()
    }
    steps = {path: (times.tobytes(), values.tobytes()) for path, (times, values) in outcome.steps.items()}
    return tables | steps


def area(outcome: Outcome, path: str, start: float = 0.0, end: float | None = None) -> float:
    """Integral of a step series, added up one step after the other without the library's own functions."""
    times, values = (data.tolist() for data in outcome.steps[path])
    end = outcome.facts["ended"]["time"] if end is None else end
    pieces = zip(values, times, [*times[1:], math.inf], strict=True)
    return math.fsum(value * max(0.0, min(to, end) - max(at, start)) for value, at, to in pieces)


def check_station(outcome: Outcome, service: str) -> None:
    """Little's law and the utilisation law of one service over the whole run, exactly.

    The area under "in system" is the time all calls spent inside, the area under "busy" the time all
    batches spent in service; calls still there count up to the end of the run.
    """
    end = outcome.facts["ended"]["time"]
    mine = column(outcome, "calls", "service") == service
    enter, start, finish, batch = (
        column(outcome, "calls", name)[mine] for name in ("enter", "start", "finish", "batch")
    )
    left = np.where(np.isnan(finish), end, finish)
    inside = math.fsum((left - enter).tolist())
    begun = ~np.isnan(start)
    served = math.fsum(((left - start)[begun] / batch[begun]).tolist())
    assert math.isclose(area(outcome, f"paas/{service}/in_system"), inside, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(area(outcome, f"paas/{service}/busy"), served, rel_tol=1e-9, abs_tol=1e-9)
