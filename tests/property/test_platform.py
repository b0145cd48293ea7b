"""Invariants of whole platforms, on generated scenarios of every kind the file format can say.

Each scenario goes through its text, the loader and the builder, runs, and is held against laws that
no policy may break. Energy, bytes and counts are recomputed here from the recorded steps and rows,
one after the other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.stats.metrics import measure
from tests.platforms import area, check_station, column, content, rows, simulate

SITES = {"yard": "device", "plant": "edge", "cloud": "cloud"}
KINDS = ["plant", "cloud"]
ENDED = ("completed", "rejected", "timeout", "failed")

INSTANCES = {
    "small": {
        "cpu": 2,
        "memory": "8Gi",
        "price": "0.36 USD/h",
        "power": {"0%": "10W", "60%": "26W", "100%": "30W"},
    },
    "large": {
        "cpu": 8,
        "memory": "32Gi",
        "device": "t4",
        "accelerators": 2,
        "price": "3.6 USD/h",
        "power": {"0%": "50W", "100%": "250W"},
    },
}

# ---------------------------------------------------------------- scenarios


def seconds(low, high):
    return st.integers(round(low * 1000), round(high * 1000)).map(lambda ms: f"{ms}ms")


spread_out = st.sampled_from(
    [
        1,
        {"dist": "exponential", "mean": 1},
        {"dist": "lognormal", "mean": 1, "cv": 2},
        {"dist": "uniform", "low": 0.5, "high": 1.5},
    ]
)
arrivals = st.one_of(
    st.builds(lambda rate: {"process": "poisson", "rate": f"{rate / 10}/s"}, st.integers(1, 20)),
    st.builds(
        lambda period, phase: {"process": "periodic", "period": period, "phase": phase},
        seconds(0.5, 8),
        st.sampled_from(["spread", "random", "aligned"]),
    ),
    st.just({"process": "mmpp", "rates": ["0.1/s", "3/s"], "dwell": ["15s", "4s"]}),
    st.just(
        {"process": "flash-crowd", "rate": "0.3/s", "at": "20s", "factor": 8, "ramp": "2s", "hold": "5s"}
    ),
)
engines = st.one_of(
    st.builds(lambda n: {"policy": "concurrent", "servers": n}, st.integers(1, 4)),
    st.builds(
        lambda size, delay, n: {
            "policy": "dynamic-batch",
            "max_batch": size,
            "max_delay": delay,
            "instances": n,
        },
        st.integers(1, 6),
        seconds(0, 0.3),
        st.integers(1, 2),
    ),
)
times = st.one_of(
    st.builds(lambda value: {"policy": "constant", "value": value}, seconds(0.02, 2)),
    st.builds(
        lambda base, more: {"policy": "linear", "base": base, "per_item": more},
        seconds(0, 1),
        seconds(0.01, 1),
    ),
)
autoscalers = st.sampled_from(
    [
        "fixed",
        {"policy": "hpa", "utilisation": "60%", "period": "5s", "scale_down": {"window": "10s"}},
        {"policy": "hpa", "concurrency": 2, "period": "5s", "scale_down": {"window": "5s"}},
        {"policy": "predictive", "bin": "5s", "period": "5s", "stabilisation": "5s"},
    ]
)


@st.composite
def pools(draw):
    low, initial, more = draw(st.integers(0, 1)), draw(st.integers(0, 2)), draw(st.integers(0, 3))
    nodes = {"min": low, "initial": low + initial, "max": max(1, low + initial + more)}
    return {
        "instance": draw(st.sampled_from(["small", "large"])),
        "nodes": nodes,
        "provisioning": draw(seconds(0, 10)),
        "boot": draw(seconds(0, 5)),
        "idle_timeout": draw(seconds(0, 20)),
    }


@st.composite
def services(draw, sites, boxes):
    site = draw(st.sampled_from(sites))
    low, more, extra = draw(st.integers(0, 1)), draw(st.integers(0, 2)), draw(st.integers(0, 2))
    service = {
        "site": site,
        "time": draw(times),
        "engine": draw(engines),
        "replicas": {"min": low, "initial": low + more, "max": max(1, low + more + extra)},
        "autoscaler": draw(autoscalers),
        "router": draw(st.sampled_from(["random", "round-robin", "least-load", "power-of-two"])),
        "resources": {
            "cpu": draw(st.sampled_from([0.5, 1, 2])),
            "memory": "1Gi",
            "accelerators": draw(st.sampled_from([0, 1, 0.5])) if boxes[site] == "large" else 0,
        },
        "image": draw(st.sampled_from(["0B", "20MB"])),
        "weights": draw(st.sampled_from(["0B", "5MB"])),
        "load_rate": "10MB/s",
        "warmup": draw(seconds(0, 3)),
        "drain_timeout": draw(seconds(0, 3)),
    }
    if draw(st.booleans()):
        service["queue"] = draw(st.integers(0, 5))
    if draw(st.booleans()):
        service["timeout"] = draw(seconds(0.05, 5))
    return service


@st.composite
def applications(draw, users, targets):
    names = ["first", "second", "third"][: draw(st.integers(1, 3))]
    calls = {}
    for place, name in enumerate(names):
        call = {"to": draw(st.lists(st.sampled_from(targets), min_size=1, unique=True))}
        if draw(st.booleans()):
            call["send"] = draw(st.sampled_from(["0B", "1kB", {"dist": "exponential", "mean": "50kB"}]))
        if place and draw(st.booleans()):
            call["after"] = draw(st.sampled_from([[], [names[0]]]))
        if place and draw(st.booleans()):
            call["probability"] = "50%"
        calls[name] = call
    return {
        "users": draw(st.dictionaries(st.sampled_from(users), st.integers(1, 4), min_size=1)),
        "arrivals": draw(arrivals),
        "send": draw(st.sampled_from(["0B", "20kB", {"dist": "exponential", "mean": "100kB"}])),
        "reply": draw(st.sampled_from(["0B", "1kB"])),
        "work": draw(spread_out),
        "calls": calls,
        "offload": draw(
            st.sampled_from(["edge", "cloud", "latency-greedy", {"policy": "threshold", "backlog": 2}])
        ),
        "slo": {"latency": "500ms"},
    }


jobs = st.builds(
    lambda period, workers, duration, checkpoint: {
        "arrivals": {"process": "periodic", "period": period},
        "workers": {"dist": "choice", "values": workers},
        "resources": {"cpu": 1, "accelerators": 0},
        "duration": {"dist": "exponential", "mean": duration},
        **({"checkpoint": "2s"} if checkpoint else {}),
    },
    seconds(3, 20),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    seconds(1, 20),
    st.booleans(),
)


@st.composite
def scenarios(draw):
    chosen = draw(
        st.sampled_from([["plant"], ["plant", "cloud"], ["yard", "plant"], ["yard", "plant", "cloud"]])
    )
    hosts = [site for site in chosen if SITES[site] != "device"]
    sites = {site: {"kind": SITES[site], "pue": 1.2, "grid": "DE"} for site in chosen}
    for site in hosts:
        sites[site]["pools"] = {"boxes": draw(pools())}
    infrastructure = {"instances": INSTANCES, "sites": sites}
    if len(chosen) > 1:
        infrastructure["network"] = {
            "sharing": draw(st.sampled_from(["max-min", "max-min", "constant"])),
            "links": {
                f"link{place}": {
                    "between": [a, b],
                    "latency": draw(st.sampled_from(["0s", "20ms", {"dist": "exponential", "mean": "20ms"}])),
                    "bandwidth": draw(st.sampled_from(["1MB/s", "100kB/s"])),
                    "price": "0.1 USD/GB",
                    "energy": "5J/MB",
                }
                for place, (a, b) in enumerate(pairwise(chosen))
            },
        }
    if draw(st.booleans()):
        infrastructure["storage"] = {"site": hosts[-1], "bandwidth": "20MB/s"}
    faults = {}
    if draw(st.booleans()):
        faults["crashes"] = {
            f"{site}/boxes": {"mtbf": draw(seconds(5, 60)), "mttr": draw(seconds(0.5, 10))} for site in hosts
        }
    if draw(st.booleans()):
        faults["script"] = [
            {
                "at": draw(seconds(0, 40)),
                "for": draw(seconds(0.5, 20)),
                "target": draw(st.sampled_from(hosts)),
            }
        ]
    infrastructure["faults"] = faults
    boxes = {site: sites[site]["pools"]["boxes"]["instance"] for site in hosts}
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    platform = {"services": {name: draw(services(hosts, boxes)) for name in names}}
    platform["scheduler"] = {
        "order": draw(st.sampled_from(["fifo", "sjf", "priority"])),
        "discipline": draw(st.sampled_from(["strict", "skip", "easy"])),
        "scores": draw(st.sampled_from([{"least-allocated": 1}, {"most-allocated": 1, "spread": 2}])),
    }
    if draw(st.integers(0, 2)) == 0:
        platform["jobs"] = {"train": draw(jobs)}
    apps = ["x", "y"][: draw(st.integers(1, 2))]
    return {
        "name": "generated",
        "seed": draw(st.integers(0, 5)),
        "duration": "60s",
        "warmup": draw(st.sampled_from(["0s", "10s"])),
        "record": {"decisions": draw(st.sampled_from(["off", "all"]))},
        "infrastructure": infrastructure,
        "platform": platform,
        "applications": {app: draw(applications(chosen, names)) for app in apps},
    }


# ---------------------------------------------------------------- laws


def check_requests(outcome):
    """Every request is made once and is in one state; the metrics count what the tables hold."""
    requests, metrics = rows(outcome, "requests"), measure(outcome)
    start, end = outcome.facts["window"]
    end = min(end, outcome.facts["ended"]["time"])
    assert sorted(r["id"] for r in requests) == list(range(len(requests)))
    for app in outcome.facts["apps"]:
        mine = [r for r in requests if r["app"] == app and start <= r["arrival"] < end]
        counts = {status: sum(r["status"] == status for r in mine) for status in (*ENDED, "in-flight")}
        assert metrics[f"apps.{app}.arrived"] == len(mine) == sum(counts.values())
        for status, number in counts.items():
            assert metrics[f"apps.{app}.{status.replace('-', '_')}"] == number, (app, status)
    for request in requests:
        arrival, done = request["arrival"], request["done"]
        assert 0 <= arrival < end
        assert math.isnan(done) == (request["status"] == "in-flight")
        if request["status"] != "in-flight":
            assert arrival <= done <= end
        assert (request["reason"] != "") == (request["status"] in ENDED[1:])
        assert min(request["network"], request["queue"], request["compute"], request["sent"]) >= 0


def check_calls(outcome):
    """Every call is in one state, its moments are in order, and it belongs to a request that agrees."""
    calls = rows(outcome, "calls")
    requests = {r["id"]: r for r in rows(outcome, "requests")}
    assert len({c["id"] for c in calls}) == len(calls)
    made = defaultdict(list)
    for call in calls:
        made[call["request"]].append(call)
        enter, start, finish = call["enter"], call["start"], call["finish"]
        assert requests[call["request"]]["arrival"] <= enter
        begun, left = not math.isnan(start), not math.isnan(finish)
        assert left == (call["status"] != "in-flight")
        assert begun == (call["batch"] > 0) == (call["replica"] >= 0)
        if begun:
            assert enter <= start
        if left:
            assert enter <= finish
        if begun and left:
            assert start <= finish
        if call["status"] in ("rejected", "timeout"):
            assert not begun
        if call["status"] == "completed":
            assert begun
    for number, request in requests.items():
        mine = made[number]
        if request["status"] == "completed":
            assert mine
            assert all(c["status"] == "completed" for c in mine)
            assert max(c["finish"] for c in mine) <= request["done"]
            waited = math.fsum(c["start"] - c["enter"] for c in mine)
            assert math.isclose(request["queue"], waited, rel_tol=1e-9, abs_tol=1e-9)
        elif request["status"] != "in-flight":
            # The first call to fail ends its request, at that moment and for its reason.
            ending = [c for c in mine if c["finish"] == request["done"] and c["status"] == request["status"]]
            assert request["reason"] in [c["reason"] for c in ending]


def check_timeouts(outcome, scenario):
    for call in rows(outcome, "calls"):
        longest = scenario["platform"]["services"][call["service"]].get("timeout")
        if longest is not None:
            limit = int(longest.removesuffix("ms")) / 1000
            if not math.isnan(call["start"]):
                assert call["start"] - call["enter"] <= limit + 1e-9
            if call["status"] == "timeout":
                assert math.isclose(call["finish"] - call["enter"], limit, abs_tol=1e-9)
        else:
            assert call["status"] != "timeout"


def check_replicas(outcome):
    """A replica serves only while it is ready, and no more batches at once than the engine allows."""
    units = {u["id"]: u for u in rows(outcome, "units")}
    for call in rows(outcome, "calls"):
        if call["replica"] >= 0:
            unit = units[call["replica"]]
            assert unit["owner"] == call["service"]
            assert unit["kind"] == "replica"
            assert unit["ready"] <= call["start"]
            if not math.isnan(unit["ended"]):
                assert call["finish"] <= unit["ended"]
    for service in outcome.facts["services"]:
        times, busy = outcome.steps[f"paas/{service}/busy"]
        at, servers = outcome.steps[f"paas/{service}/servers"]
        # Compared wherever either changes; a draining replica still counts with its servers.
        moments = np.union1d(times, at)
        assert np.all(step(times, busy, moments) <= step(at, servers, moments))
        assert busy.min() >= 0


def step(times, values, at):
    return values[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]


def check_units(outcome):
    """A unit has one place; nodes exist and are up while units are on them; moments are in order."""
    nodes = {node["name"]: node for node in rows(outcome, "nodes")}
    end = outcome.facts["ended"]["time"]
    units = rows(outcome, "units")
    assert len({unit["id"] for unit in units}) == len(units), "a unit is bound at most once in its life"
    for unit in units:
        names = ("submitted", "bound", "pulled", "loaded", "ready", "ended")
        moments = [unit[name] for name in names if not math.isnan(unit[name])]
        assert moments == sorted(moments)
        assert (unit["node"] == "") == math.isnan(unit["bound"])
        if not unit["node"]:
            continue
        node = nodes[unit["node"]]
        assert node["ready"] <= unit["bound"]
        left = end if math.isnan(unit["ended"]) else unit["ended"]
        assert math.isnan(node["ended"]) or left <= node["ended"]
        # The node is on for as long as the unit is there.
        assert math.isclose(
            area(outcome, f"{unit['node']}/on", unit["bound"], left), left - unit["bound"], abs_tol=1e-9
        )


def check_nodes(outcome, scenario):
    """Use stays within what there is; reservations are those of the units there; pools keep their bounds."""
    reserved = defaultdict(float)
    end = outcome.facts["ended"]["time"]
    for unit in rows(outcome, "units"):
        if unit["node"]:
            left = end if math.isnan(unit["ended"]) else unit["ended"]
            kind = scenario["platform"]["services" if unit["kind"] == "replica" else "jobs"]
            resources = kind[unit["owner"].split("/")[0]]["resources"]
            for name in ("cpu", "accelerators"):
                reserved[unit["node"], name] += resources[name] * (left - unit["bound"])
    for node in rows(outcome, "nodes"):
        path = node["name"]
        for quantity in ("busy", "allocated", "on"):
            values = outcome.steps[f"{path}/{quantity}"][1]
            assert values.min() >= 0
            assert values.max() <= 1
        moments = np.unique(
            np.concatenate([outcome.steps[f"{path}/{q}"][0] for q in ("busy", "allocated", "on")])
        )
        busy, allocated, on = (
            step(*outcome.steps[f"{path}/{q}"], moments) for q in ("busy", "allocated", "on")
        )
        assert np.all(busy <= allocated + 1e-9)
        assert np.all(on[allocated > 0] == 1)
        # What a node's use is counted in: accelerators if it has any, else cores.
        main = "accelerators" if node["instance"] == "large" else "cpu"
        whole = area(outcome, f"{path}/allocated") * INSTANCES[node["instance"]][main]
        assert math.isclose(whole, reserved[path, main], rel_tol=1e-9, abs_tol=1e-6)
    for site, each in scenario["infrastructure"]["sites"].items():
        for pool, wanted in each.get("pools", {}).items():
            mine = [n for n in rows(outcome, "nodes") if n["pool"] == f"{site}/{pool}"]
            changes = [(n["requested"], 1) for n in mine]
            changes += [(n["ended"], -1) for n in mine if not math.isnan(n["ended"])]
            now = 0
            for _, change in sorted(changes):
                now += change
                assert now <= wanted["nodes"]["max"]
            assert now >= wanted["nodes"]["min"]


def check_network(outcome):
    """No link carries more than it can (unless sharing is switched off), and bytes are areas."""
    metrics = measure(outcome)
    start, end = outcome.facts["window"]
    for name, link in outcome.facts["links"].items():
        moved = 0.0
        for way in (f"{link['a']}->{link['b']}", f"{link['b']}->{link['a']}"):
            path = f"iaas/links/{name}/{way}/rate"
            values = outcome.steps[path][1]
            assert values.min() >= 0
            moved += area(outcome, path, start, end)
        assert math.isclose(metrics[f"links.{name}.bytes"], moved, rel_tol=1e-9, abs_tol=1e-6)
        assert math.isclose(metrics[f"links.{name}.cost"], moved * 0.1e-9, rel_tol=1e-9, abs_tol=1e-12)


def check_bandwidth(outcome):
    for path, (_, values) in outcome.steps.items():
        if path.startswith("iaas/links/"):
            link = outcome.facts["links"].get(path.split("/")[2])
            if link is not None:
                assert values.max() <= link["bandwidth"] * (1 + 1e-9)


def check_energy(outcome):
    """Joules and dollars of each pool, added up node by node from one change to the next."""
    metrics = measure(outcome)
    start, end = outcome.facts["window"]
    for name, pool in outcome.facts["pools"].items():
        joules = time = 0.0
        for node in rows(outcome, "nodes"):
            if node["pool"] == name:
                on, busy = (outcome.steps[f"{node['name']}/{quantity}"] for quantity in ("on", "busy"))
                cuts = sorted({start, end, *(t for t in (*on[0], *busy[0]) if start < t < end)})
                for at, to in pairwise(cuts):
                    if at >= on[0][0] and step(*on, np.array([at]))[0]:
                        share = step(*busy, np.array([at]))[0]
                        joules += (to - at) * np.interp(share, *np.array(pool["power"]).T)
                        time += to - at
        assert math.isclose(metrics[f"pools.{name}.energy"], 1.2 * joules, rel_tol=1e-9, abs_tol=1e-6)
        assert math.isclose(metrics[f"pools.{name}.cost"], time * pool["price"], rel_tol=1e-9, abs_tol=1e-12)


def check_jobs(outcome, scenario):
    """Gangs start whole; a job gets exactly its work, plus what crashes made it lose."""
    gangs = defaultdict(list)
    for unit in rows(outcome, "units"):
        if unit["kind"] == "worker":
            gangs[unit["owner"]].append(unit)
    end = outcome.facts["ended"]["time"]
    checkpoint = scenario["platform"].get("jobs", {}).get("train", {}).get("checkpoint")
    for job in rows(outcome, "jobs"):
        workers = gangs[f"{job['name']}/{job['id']}"]
        if job["status"] == "failed":
            # It could never be placed; `possible` said so at its arrival.
            assert not workers
            continue
        bound = defaultdict(list)
        for worker in workers:
            if not math.isnan(worker["bound"]):
                bound[worker["bound"]].append(worker)
        ran = 0.0
        for group in bound.values():
            assert len(group) == job["workers"], "a gang starts whole or not at all"
            assert len({w["ended"] for w in group if not math.isnan(w["ended"])}) <= 1
            assert {w["ready"] for w in group} == {group[0]["bound"]}
            ran += (end if math.isnan(group[0]["ended"]) else group[0]["ended"]) - group[0]["bound"]
        assert job["preemptions"] + (job["status"] in ("completed", "running")) == len(bound)
        assert job["lost"] >= 0
        if job["preemptions"] == 0:
            assert job["lost"] == 0
        if checkpoint is not None:
            assert job["lost"] <= job["preemptions"] * 2 + 1e-9
        if bound:
            assert job["started"] == min(bound)
        if job["status"] == "completed":
            assert math.isclose(ran, job["work"] + job["lost"], rel_tol=1e-9, abs_tol=1e-9)
            assert job["finished"] <= end
        else:
            assert ran <= job["work"] + job["lost"] + 1e-9


@settings(max_examples=80)
@given(scenarios())
def test_no_scenario_breaks_a_law(scenario):
    outcome = simulate(scenario)
    assert outcome.facts["ended"]["reason"] == "completed"
    check_requests(outcome)
    check_calls(outcome)
    check_timeouts(outcome, scenario)
    check_replicas(outcome)
    check_units(outcome)
    check_nodes(outcome, scenario)
    check_network(outcome)
    if scenario["infrastructure"].get("network", {}).get("sharing") != "constant":
        check_bandwidth(outcome)
    check_energy(outcome)
    check_jobs(outcome, scenario)
    for service in scenario["platform"]["services"]:
        check_station(outcome, service)


@settings(max_examples=25)
@given(scenarios())
def test_the_same_scenario_twice_gives_the_same_run(scenario):
    assert content(simulate(scenario)) == content(simulate(scenario))


@settings(max_examples=25)
@given(scenarios(), st.sampled_from(["random", "round-robin", "least-load", "power-of-two"]))
def test_policies_do_not_change_what_users_ask(scenario, router):
    """Common random numbers: arrivals, origins and (where one call is made) payloads are the same."""

    def asked(outcome):
        table = sorted(rows(outcome, "requests"), key=lambda row: (row["app"], row["arrival"], row["id"]))
        return [(row["app"], row["arrival"], row["origin"]) for row in table]

    before = asked(simulate(scenario))
    for service in scenario["platform"]["services"].values():
        service["router"] = router
        service["autoscaler"] = "fixed"
    for application in scenario["applications"].values():
        application["offload"] = "edge"
    assert asked(simulate(scenario)) == before


@settings(max_examples=40)
@given(scenarios())
def test_a_run_that_drains_ends_with_nothing_on_its_way(scenario):
    # Without faults, and with nodes that are kept, work ends unless others hold its place for ever.
    scenario["drain"] = True
    scenario["infrastructure"]["faults"] = {}
    for site in scenario["infrastructure"]["sites"].values():
        for pool in site.get("pools", {}).values():
            pool["idle_timeout"] = "1h"
    scenario["limits"] = {"events": 10_000}
    outcome = simulate(scenario)
    check_requests(outcome)
    ended = outcome.facts["ended"]
    if ended["reason"] == "completed":
        assert ended["time"] >= 60
        assert outcome.facts["window"][1] == ended["time"]
        assert "in-flight" not in set(column(outcome, "requests", "status"))
        assert set(column(outcome, "jobs", "status")) <= {"completed", "failed"}
    else:
        assert ended["reason"] == "events"
        assert ended["events"] == 10_000
