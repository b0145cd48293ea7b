"""How long jobs waited for which reason, over a whole run, and the longest waits explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.report.explain.job import explain_job
from sim.report.explain.records import Records, called
from sim.report.explain.sentences import span, tell
from sim.report.explain.waits import Waits

#: Waits that are taken apart; of more, an even choice.
MOST_WAITS = 2_000


@dataclass(frozen=True, slots=True)
class Totals:
    """Seconds waited by reason.

    Attributes:
        seconds: mean per recorded job, by reason.
        jobs: recorded jobs.
        longest: the job that waited longest of those recorded, empty if none waited.
    """

    seconds: dict[str, float]
    jobs: int
    longest: str


def totals(records: Records) -> Totals | None:
    """Why the recorded jobs of a run waited; None if decisions were off or it had no jobs."""
    waits = Waits(records)
    stays = [stay for stay in records.stays if stay.kind == "worker" and waits.joined(stay) is not None]
    if not stays:
        return None
    every = -(-len(stays) // MOST_WAITS)
    seconds: dict[str, float] = {}
    for stay in stays[::every]:
        for part in waits.spans(stay):
            seconds[part.reason] = seconds.get(part.reason, 0.0) + part.end - part.start
    jobs = len({stay.owner for stay in stays[::every]})
    end = records.end
    last = max(stays, key=lambda stay: min(stay.left, end) - stay.submitted)
    longest = last.owner if min(last.left, end) > last.submitted else ""
    means = {reason: value / jobs for reason, value in sorted(seconds.items(), key=lambda item: -item[1])}
    return Totals(means, jobs, longest)


def example(records: Records, owner: str) -> tuple[str, Sequence[str]]:
    """A job's explanation: a heading and its sentences, those of its waits only."""
    data = explain_job(records, owner)
    waited = sum(wait["waited"] for wait in data["waits"])
    told = [line for line in tell(data) if not line.startswith("# ")]
    stop = next((at for at, line in enumerate(told) if line.startswith("It went to ")), len(told))
    return f"{called(owner)} waited {span(waited)}", told[1 : stop + 1]
