"""Explanations as sentences: what the data of `job` and `node` mean, one fact a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sim.paas.decisions import OVER_QUOTA, TOO_FEW, WOULD_DELAY
from sim.report.explain.records import called
from sim.report.explain.waits import BEHIND, UNTOLD
from sim.report.explain.whatif import amount
from sim.units import show

Json = Mapping[str, Any]

#: Parts of a wait, and rows of a list, that are told one by one.
MOST = 8

#: What the key of an order is, where it can be said.
_KEYS = {
    "fifo": ("submitted at", "moment"),
    "sjf": ("stated to run", "duration"),
    "srtf": ("stated to run on for", "duration"),
    "edf": ("due at", "moment"),
    "smallest-first": ("workers:", ""),
}


def moment(time: float | None) -> str:
    """A simulated moment as days and a clock: `1 d 02:13:45`; below a minute in seconds."""
    if time is None:
        return "never"
    if time < 60:
        return f"{show(time)} s"
    seconds = round(time)
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock


def span(seconds: float) -> str:
    """A length of time."""
    return show(seconds, "duration")


def tell(data: Json) -> list[str]:
    """An explanation as paragraphs, each a heading or a sentence; lines with "- " are list items."""
    tellers = {"job": _job, "node": _node, "moment": _moment}
    return list(tellers[data["kind"]](data))


def _job(data: Json) -> Iterator[str]:
    name = called(data["job"])
    if not data["waits"]:
        yield f"{_capital(name)} never queued: not even empty nodes could hold it."
        return
    yield f"{_capital(name)}{_asked(data['request'])}."
    for number, wait in enumerate(data["waits"]):
        if len(data["waits"]) > 1:
            yield f"# Time {number + 1} in the queue"
        yield from _wait(wait)
    if data.get("finished") is not None:
        yield f"It finished at {moment(data['finished'])}."


def _asked(request: Sequence[Json]) -> str:
    parts = []
    for kind in request:
        each = [
            amount(kind[name], name) for name in ("cpu", "memory", "accelerators", "disk") if name in kind
        ]
        units = "1 unit" if kind["units"] == 1 else f"{kind['units']} units"
        per = "" if kind["units"] == 1 else " each"
        where = "".join(
            f" {word} {kind[name]}"
            for name, word in (("site", "at"), ("pools", "in"), ("device", "on"))
            if name in kind
        )
        parts.append(f"{units} with {', '.join(each)}{per}{where}")
    return " asked for " + " and ".join(parts)


def _wait(wait: Json) -> Iterator[str]:
    came = moment(wait["submitted"])
    if wait["left"] is None:
        yield f"It was submitted at {came} and still waited at the end, {span(wait['waited'])} later."
    elif not wait["placed"]:
        yield f"It was submitted at {came} and left the queue at {moment(wait['left'])} without a place."
    elif wait["waited"] > 0:
        yield (
            f"It was submitted at {came} and started at {moment(wait['left'])}: "
            f"it waited {span(wait['waited'])}, and was tried {_times(wait['attempts'])}."
        )
    else:
        yield f"It was submitted at {came} and started at once."
    if wait["waited"] > 0:
        yield _in_line(wait)
        yield from _reasons(wait)
        yield from _rejected(wait)
        yield from _what_if(wait)
    for each in wait["preempted_for_it"]:
        yield f"For it, {called(each['victim'])} was preempted at {moment(each['time'])}{_why(each)}."
    yield from _placed(wait["placed"])
    for each in wait["preempted"]:
        whom = f" for {called(each['by'])}" if each["by"] else ""
        yield f"It was preempted at {moment(each['time'])}{whom}{_why(each)}."
    if not wait["preempted"] and wait["end_reason"] not in ("", "completed") and wait["ended"] is not None:
        yield f"It lost its nodes at {moment(wait['ended'])}: {wait['end_reason']}."


def _why(preempted: Json) -> str:
    """The reason, if it says more than for whom."""
    reason = preempted["reason"]
    return "" if reason.startswith("preempted for") else f": {reason}"


def _in_line(wait: Json) -> str:
    ahead, order = wait["ahead"], wait["order"]
    mine = _key(order, wait["key"])
    if not ahead["count"]:
        return f"Nobody was ahead of it in the order {order}{mine}."
    were = "was" if ahead["count"] == 1 else "were"
    text = f"{_count(ahead['count'], 'group')} {were} ahead of it in the order {order}{mine}"
    named = [called(each["job"], _key(order, each["key"])) for each in ahead["named"]]
    if not named and ahead["first"]:
        named = [called(ahead["first"])]
    more = ", ..." if len(named) < ahead["count"] else ""
    return f"{text}: {', '.join(named)}{more}."


def _key(order: str, key: float | None) -> str:
    if key is None:
        return ""
    words, kind = _KEYS.get(order, ("key", ""))
    value = moment(key) if kind == "moment" else show(key, kind)
    return f", {words} {value}"


def _reasons(wait: Json) -> Iterator[str]:
    spans = _merged(wait["spans"])
    if len(spans) == 1:
        yield f"All that time it {_because(spans[0])}."
    else:
        yield "Why it waited:"
    shown = [] if len(spans) == 1 else spans if len(spans) <= MOST else spans[: MOST - 1]
    for each in shown:
        yield f"- {moment(each['start'])} to {moment(each['end'])}: it {_because(each)}."
    if shown and len(shown) < len(spans):
        totals: dict[str, float] = {}
        for each in spans[len(shown) :]:
            totals[each["reason"]] = totals.get(each["reason"], 0.0) + each["end"] - each["start"]
        parts = [f"{span(value)} {reason}" for reason, value in totals.items()]
        yield f"- then, until {moment(spans[-1]['end'])}: {'; '.join(parts)}."
    if wait["reservations"]:
        first, last = wait["reservations"][0], wait["reservations"][-1]
        when = moment(first["until"])
        if first["until"] != last["until"]:
            when = f"{when} at first and {moment(last['until'])} at last"
        yield f"As the first in line from {moment(first['time'])} it had a reservation for {when}."


def _merged(spans: Sequence[Json]) -> list[dict[str, Any]]:
    """Spans in which it stood behind one after another, drawn together."""
    found: list[dict[str, Any]] = []
    for each in spans:
        if found and each["reason"] == BEHIND == found[-1]["reason"]:
            found[-1] |= {"end": each["end"], "others": found[-1].get("others", 0) + 1}
        else:
            found.append(dict(each))
    return found


def _because(each: Json) -> str:
    reason, by = each["reason"], each["by"]
    if reason == BEHIND:
        whom = f"{called(by)}, the first in line"
        if each.get("others"):
            whom += f", and then {_count(each['others'], 'other')}"
        return f"stood behind {whom}; the discipline {each['discipline']} lets nobody past"
    if reason == WOULD_DELAY:
        whom = called(by) if by else "a job ahead of it"
        until = "" if each["until"] is None else f", which has a reservation from {moment(each['until'])}"
        return f"would have delayed {whom}{until}"
    if reason == UNTOLD:
        return "was not tried, for a reason that was not recorded"
    if reason == OVER_QUOTA:
        return "waited for quota: its queue had used up its own and what it may borrow"
    if reason == TOO_FEW:
        return "found too few places for its whole gang"
    if reason == "too little free":
        return "found no node with enough free"
    return f"found no node: {reason}"


def _rejected(wait: Json) -> Iterator[str]:
    if not wait["rejected"]:
        return
    yield "What the nodes said when it (or its like) was first tried:"
    for each in wait["rejected"]:
        names = f" ({each['names']})" if each["names"] else ""
        yield f"- {_count(each['nodes'], 'node')}: {each['reason']}{names}."
        for name, part in each.get("short_of", {}).items():
            free = amount(part["most_free"], name)
            yield (
                f"- {_count(part['nodes'], 'node')} of these: at most {free} free on one, "
                f"{amount(part['needed'], name)} needed."
            )


def _what_if(wait: Json) -> Iterator[str]:
    if any(each["reason"] == OVER_QUOTA for each in wait["spans"]):
        yield "It would have started sooner with more quota; when is not worked out."
    elif not wait["sooner"]:
        yield "No single change that was tried would have let it start sooner."
    else:
        held = any(each["reason"] in (BEHIND, WOULD_DELAY) for each in wait["spans"])
        past = ", had those ahead let it pass" if held else ""
        yield f"What would have let it start sooner, all else as it happened{past}:"
        for each in wait["sooner"]:
            gain = each["start"] - wait["submitted"]
            when = "at once" if gain <= 0 else f"at {moment(each['start'])}, after {span(gain)}"
            yield f"- {each['change']}: {when}."
    over = wait["overtaken_by"]
    if over["count"]:
        names = ", ".join(called(owner) for owner in over["named"])
        more = ", ..." if over["count"] > len(over["named"]) else ""
        yield f"{_capital(_count(over['count'], 'job'))} that came later started before it: {names}{more}."


def _placed(placed: Sequence[Json]) -> Iterator[str]:
    nodes: dict[str, int] = {}
    for each in placed:
        nodes[each["node"]] = nodes.get(each["node"], 0) + 1
    if not placed:
        return
    where = ", ".join(f"{node}" + (f" ({n} units)" if n > 1 else "") for node, n in nodes.items())
    yield f"It went to {where}."
    for position, each in enumerate(placed):
        if position and each["finalists"] == []:
            continue
        unit = "" if len(placed) == 1 else f"Unit {position + 1}: "
        yield f"{unit}{_capital(_choice(each)) if not unit else _choice(each)}"
        for rank, finalist in enumerate(each["finalists"]):
            points = ", ".join(
                f"{scorer} {show(part['points'])} x {show(part['weight'])}"
                for scorer, part in finalist["points"].items()
            )
            chosen = ", chosen" if rank == 0 else ""
            yield f"- {finalist['node']}: {points}; sum {show(finalist['sum'])}{chosen}."
        if position + 1 >= 3 < len(placed):
            yield f"The other {len(placed) - position - 1} units are in the JSON."
            break


def _choice(each: Json) -> str:
    text = f"{_count(each['candidates'], 'node')} left after the filters"
    if each["rejected"]:
        parts = ", ".join(f"{part['nodes']} {part['reason']}" for part in each["rejected"])
        text += f" (rejected: {parts})"
    if each["decided_by"] == "tie":
        return f"{text}; the first two had equal points, so the lower number won."
    if each["decided_by"] in ("the only node left", ""):
        return f"{text}; there was no choice." if each["candidates"] == 1 else f"{text}."
    return f"{text}; {each['decided_by']} decided, by {show(each['lead'])} points."


def _node(data: Json) -> Iterator[str]:
    has = ", ".join(amount(value, name) for name, value in data["has"].items())
    yield f"Node {data['node']} ({data['instance']}) has {has}."
    life = "was never ready" if data["ready"] is None else f"was ready from {moment(data['ready'])}"
    if data["ended"] is not None:
        life += f" and given back at {moment(data['ended'])}"
    share = "" if data["busy"] is None or data["at"] is not None else (
        f"; on average {show(data['busy'], 'fraction')} of it was promised to units"
    )  # fmt: skip
    yield f"It {life}{share}."
    for down in data["down"]:
        to = "the end" if down["to"] is None else moment(down["to"])
        yield f"It was down from {moment(down['from'])} to {to}."
    when = "" if data["at"] is None else f" at {moment(data['at'])}"
    if not data["ran"]:
        yield f"Nothing ran there{when}."
    else:
        yield f"{_count(len(data['ran']), 'group')} ran there{when}:"
        for each in data["ran"][: 3 * MOST]:
            to = "the end" if each["to"] is None else moment(each["to"])
            units = "" if each["units"] == 1 else f", {each['units']} units"
            why = f" ({each['reason']})" if each["reason"] else ""
            yield f"- {moment(each['from'])} to {to}: {called(each['job'])}{units}{why}."
        if len(data["ran"]) > 3 * MOST:
            yield f"- and {len(data['ran']) - 3 * MOST} more, which are in the JSON."
    if not data["recorded"]:
        yield "Whom it turned away was not recorded; --set record.decisions=all records it."
    elif data["rejected"]:
        yield "Whom it turned away, and why:"
        for each in sorted(data["rejected"], key=lambda entry: -entry["attempts"])[: 2 * MOST]:
            yield (
                f"- {called(each['job'])}: {each['reason']}, {_times(each['attempts'])} "
                f"({moment(each['from'])} to {moment(each['to'])})."
            )
        if len(data["rejected"]) > 2 * MOST:
            yield f"- and {len(data['rejected']) - 2 * MOST} more, which are in the JSON."


def _moment(data: Json) -> Iterator[str]:
    yield f"At {moment(data['time'])}:"
    for pool in data["pools"]:
        free = f"{show(pool['free'])} of {amount(pool['total'], pool['resource'])} free"
        yield (
            f"- {pool['pool']}: {_count(pool['nodes'], 'node')} ready, {free}, at most "
            f"{show(pool['most_on_one_node'])} on one node, {_count(pool['empty_nodes'], 'node')} empty."
        )
    if not data["queue"]:
        yield "Nobody waited."
    else:
        yield f"{_count(len(data['queue']), 'group')} waited, in this order:"
        for each in data["queue"][: 2 * MOST]:
            units = "1 unit" if each["units"] == 1 else f"{each['units']} units"
            reason = "" if each["reason"] in (None, UNTOLD) else f"; it {_short(each)}"
            yield f"- {called(each['job'])}, {units}, since {moment(each['since'])}{reason}."
        if len(data["queue"]) > 2 * MOST:
            yield f"- and {len(data['queue']) - 2 * MOST} more, which are in the JSON."
    hold = data["held_up_by"]
    if hold is not None:
        until = "" if hold["until"] is None else f", with a reservation from {moment(hold['until'])}"
        yield f"{_capital(called(hold['job']))} held up the queue (discipline {hold['discipline']}{until})."
    used = [node for node in data["nodes"] if node["jobs"]]
    if used:
        yield "Who ran where:"
        for node in used[: 2 * MOST]:
            names = ", ".join(called(owner) for owner in node["jobs"][:MOST])
            more = f" and {len(node['jobs']) - MOST} more" if len(node["jobs"]) > MOST else ""
            free = ", ".join(amount(value, name) for name, value in node["free"].items())
            yield f"- {node['node']}: {names}{more}; free: {free}."
        if len(used) > 2 * MOST:
            yield f"- and {len(used) - 2 * MOST} more nodes, which are in the JSON."


def _short(each: Json) -> str:
    return _because({**each, "until": None, "discipline": "the discipline"})


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
