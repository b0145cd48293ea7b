"""The answer in words: which arm, by how much, how sure, and what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sim.metrics import Metric, lookup
from sim.units import show

Json = Mapping[str, Any]


def value(number: float | None, metric: Metric) -> str:
    """A metric's value for people."""
    return "–" if number is None else show(number, metric.dimension)


def interval(low: float | None, high: float | None, metric: Metric) -> str:
    """`3 to 5 ms`; empty where one run gives no interval."""
    if low is None or high is None:
        return ""
    first, last = value(low, metric), value(high, metric)
    number, _, unit = last.rpartition(" ")
    if number and first.endswith(f" {unit}"):
        first = first.removesuffix(f" {unit}")
    return f"{first} to {last}"


def spread(low: float | None, high: float | None, metric: Metric) -> str:
    """Half the width of an interval, `± 0.3 ms`; empty where there is none."""
    if low is None or high is None or low == high:
        return ""
    half = (high - low) / 2
    if 2 * half < 0.002 * abs(high + low) / 2:
        return "± <0.1 %"
    return (
        f"± {show(half * 100, digits=2)} points"
        if metric.dimension == "fraction"
        else f"± {show(half, metric.dimension, 2)}"
    )


def difference(versus: Json, metric: Metric) -> tuple[str, str]:
    """A paired difference as text and its tone: good, bad, or nothing where it could be chance (≈)."""
    mean, low, high = versus["mean"], versus["low"], versus["high"]
    if mean is None:
        return "", ""
    if mean == 0 and not low and not high:
        return "same", ""
    sign = "+" if mean > 0 else "−"
    relative = versus["relative"]
    if metric.dimension == "fraction":
        size = f"{show(abs(mean) * 100, digits=2)} points"
    elif relative is not None:
        size = show(abs(relative), "fraction", 2)
    else:
        size = value(abs(mean), metric)
    clear = low is not None and high is not None and (low > 0 or high < 0)
    if not clear:
        return f"≈ {sign}{size}" if low is not None else f"{sign}{size}", ""
    better = metric.better
    tone = "" if better is None else ("good" if (mean < 0) == (better == "low") else "bad")
    return f"{sign}{size}", tone


def _extreme(metric: Metric, goal: str) -> str:
    return f"the {'lowest' if goal == 'min' else 'highest'} {metric.label}"


def answer(summary: Json) -> tuple[str, list[str]]:
    """The deciding figure and the sentences around it."""
    found = summary["answer"]
    if found is None:
        return "", [
            "The scenario names no deciding metric (`study.answer`); the numbers below speak for themselves."
        ]
    metric = lookup(found["metric"])
    decisions = found["decisions"]
    if len(decisions) == 1:
        return _single(decisions[0], metric, found)
    return _along(summary, decisions, metric, found)


def _single(decision: Json, metric: Metric, found: Json) -> tuple[str, list[str]]:
    winner = decision["winner"]
    if winner is None:
        reasons = [f"{each['label']}: {'; '.join(each['reasons'])}." for each in decision["candidates"]]
        return "None qualifies", ["No arm meets the conditions.", *reasons]
    chosen = next(each for each in decision["candidates"] if each["label"] == winner["label"])
    # A bare count says nothing without its name.
    unit = "" if metric.dimension else f" {metric.label}"
    figure = f"{winner['label']}: {value(winner['mean'], metric)}{unit}"
    if len(decision["candidates"]) == 1:
        return figure, [f"{metric.label[0].upper()}{metric.label[1:]}{_within(chosen, metric)}."]
    best = f"{_extreme(metric, found['goal'])}{_condition(found)}{_within(chosen, metric)}"
    sentences = [f"{winner['label']} has {best}."]
    sentences += _runner_up(decision, metric)
    sentences += _excluded(decision)
    return figure, sentences


def _within(candidate: Json, metric: Metric) -> str:
    span = interval(candidate["low"], candidate["high"], metric)
    return (
        f" (95 % interval {span}, {candidate['n']} replications)"
        if span
        else " (one replication: no interval)"
    )


def _condition(found: Json) -> str:
    parts = []
    for text in found["subject_to"]:
        name, sign, bound = text.split(" ", 2)
        parts.append(f"{lookup(name).label} {_sign(sign)} {bound}")
    return f" among those that meet “{' and '.join(parts)}”" if parts else ""


def _runner_up(decision: Json, metric: Metric) -> list[str]:
    second, gap = decision["runner_up"], decision["difference"]
    if second is None:
        return []
    text = f"Next is {second['label']} with {value(second['mean'], metric)}"
    if decision["verdict"] == "clear":
        size, _ = difference(gap, metric)
        return [f"{text}; the winner's {size} holds run by run (paired, 95 %)."]
    if decision["verdict"] == "one replication":
        return [f"{text}; one replication cannot say whether that is chance."]
    return [f"{text}, too close to tell apart with these replications."]


def _excluded(decision: Json) -> list[str]:
    out = [each for each in decision["candidates"] if not each["qualifies"]]
    return [f"Ruled out: {each['label']} ({'; '.join(map(reason, each['reasons']))})." for each in out]


def reason(text: str) -> str:
    """A reason of `sim.study.answer`: the metric's label for its name, and shorter."""
    name, _, rest = text.partition(" ")
    if " not met: " not in rest:
        return text
    bound, _, found = rest.partition(" not met: ")
    return f"{lookup(name).label} {found}, not {_sign(bound)}"


def _sign(text: str) -> str:
    return text.replace(">=", "≥").replace("<=", "≤")


def _along(summary: Json, decisions: Sequence[Json], metric: Metric, found: Json) -> tuple[str, list[str]]:
    """Winners by point: runs of neighbouring points with one winner become one sentence."""
    names = summary["axis_names"]
    axis = next(iter(summary["axes"]))
    single = len(summary["axes"]) == 1
    runs: list[tuple[str, list[Json]]] = []
    for decision in decisions:
        label = decision["winner"]["arm"] if decision["winner"] else ""
        if single and runs and runs[-1][0] == label:
            runs[-1][1].append(decision)
        else:
            runs.append((label, [decision]))
    sentences = []
    for label, group in runs:
        where = _span(group, names, axis if single else None)
        if not label:
            sentences.append(f"{where}: no arm meets the conditions.")
            continue
        means = [decision["winner"]["mean"] for decision in group]
        low, high = value(min(means), metric), value(max(means), metric)
        span = low if low == high else f"{low} to {high}"
        doubt = [decision for decision in group if decision["verdict"] == "not distinguishable"]
        close = " (not always distinguishable from the next)" if doubt else ""
        sentences.append(f"{where}: {label}, {span} {metric.label}{close}.")
    sentences.append(f"Chosen for {_extreme(metric, found['goal'])}{_condition(found)}.")
    winners = list(dict.fromkeys(label for label, _ in runs if label))
    if not winners:
        return "None qualifies", sentences
    if not single and len(winners) > 1:
        return f"It depends on {' and '.join(names.values())}", sentences
    named = [value for value in summary["axes"][axis] if isinstance(value, str)]
    if named and len(winners) > 1:
        return f"It depends on the {names[axis]}", sentences
    if single and len(runs) == 2:
        (first, before), (second, after) = runs
        left, right = before[-1]["point"][axis], after[0]["point"][axis]
        return f"{first or 'none'} up to {left} {names[axis]}, {second or 'none'} from {right}", sentences
    if len(winners) == 1:
        return f"{winners[0]}{'' if all(label for label, _ in runs) else ', where any'}", sentences
    return " → ".join(label or "none" for label, _ in runs), sentences


def _span(group: Sequence[Json], names: Json, axis: str | None) -> str:
    if axis is None:
        return ", ".join(f"{names[path]} {point}" for path, point in group[0]["point"].items())
    first, last = group[0]["point"][axis], group[-1]["point"][axis]
    return f"{names[axis]} {first}" if len(group) == 1 else f"{names[axis]} {first} to {last}"


def compared(summary: Json) -> list[str]:
    """How many pairs of arms differ beyond chance, and which arms no other beats in both of two metrics."""
    counted: dict[str, list[str]] = {}
    for each in summary["differences"]:
        tested = [pair for pair in each["pairs"] if pair["holm"] is not None]
        if len(tested) > 1:
            count = sum(pair["differ"] for pair in tested)
            text = f"{count} of {len(tested)}{_at(each, summary)}"
            counted.setdefault(lookup(each["metric"]).label, []).append(text)
    found = [
        f"Pairs of arms that differ in {label} beyond chance (paired t tests, Holm's correction, 5 %): "
        f"{', '.join(counts)}."
        for label, counts in counted.items()
    ]
    fronts: dict[str, list[str]] = {}
    for each in summary["tradeoff"]:
        best = [arm["arm"] for arm in each["arms"] if arm["front"]]
        if len(each["arms"]) > 2:
            labels = " and ".join(lookup(name).label for name in each["metrics"])
            fronts.setdefault(labels, []).append(f"{_listed(best, 'or')}{_at(each, summary)}")
    return found + [f"No arm beats in both {labels}: {'; '.join(best)}." for labels, best in fronts.items()]


def prices(summary: Json) -> list[str]:
    """Which arm to choose at which price of one unit of the second metric in units of the first."""
    found = []
    for each in summary["tradeoff"]:
        if len(each["prices"]) < 2:
            continue
        first, second = (lookup(name) for name in each["metrics"])
        parts = [f"{one['arm']} {_price(one)}" for one in each["prices"]]
        where = f"{_at(each, summary).removeprefix(' at ')}, w" if each["point"] else "W"
        found.append(
            f"{where}hen one more of the {second.label} is worth so many {first.label}: {', '.join(parts)}."
        )
    return found


def _price(one: Json) -> str:
    if one["to"] is None:
        return f"from {show(one['from'], digits=2)} up"
    if one["from"] == 0:
        return f"up to {show(one['to'], digits=2)}"
    return f"{show(one['from'], digits=2)} to {show(one['to'], digits=2)}"


def _at(each: Json, summary: Json) -> str:
    """The point of the axes after a fact, where there are several."""
    where = ", ".join(f"{summary['axis_names'][path]} {value}" for path, value in each["point"].items())
    return f" at {where}" if where else ""


def _listed(names: Sequence[str], last: str) -> str:
    return ", ".join(names[:-1]) + f" {last} {names[-1]}" if len(names) > 1 else "".join(names)
