"""Every scorer for all candidates at once against plain arithmetic, one node at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.power import watts
from sim.iaas.resources import Resources
from sim.iaas.taints import Taint
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.placement import Placer
from sim.paas.rules import Company, Requirement, Rules
from sim.paas.units import Unit
from sim.registry import load_builtin, lookup

load_builtin()

CURVES = [(), ((0.0, 50.0), (1.0, 250.0)), ((0.0, 80.0), (0.3, 200.0), (1.0, 300.0))]
types = st.builds(
    lambda cpu, memory, devices, price, power, dirt, label, soft: NodeType(
        "n",
        Resources(cpu, memory, devices),
        price=price,
        power=power,
        rack_size=2,
        labels={"tier": label},
        taints=(Taint("soft", effect="PreferNoSchedule"),) * soft,
        carbon=(dirt,) * 24,
    ),
    st.sampled_from([4.0, 8.0, 96.0]),
    st.sampled_from([0.0, 16.0, 64.0]),
    st.sampled_from([0.0, 2.0, 4.0]),
    st.floats(0, 9),
    st.sampled_from(CURVES),
    st.floats(0.1, 2),
    st.sampled_from(["gold", "tin"]),
    st.integers(0, 2),
)
requests = st.builds(
    Resources,
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.just(0.0),
)
RULES = Rules(
    preferred=((3, (Requirement("tier", "In", ("gold",)),)), (1, (Requirement("site", "In", ("s1",)),))),
    company=(Company("rack", ("web",), weight=7), Company("node", ("batch",), True, 2)),
)


class Seen:
    """What a person sees of a node: lists, no columns."""

    def __init__(self, node, cluster):
        self.node, self.type = node, node.type
        self.total = node.type.capacity
        self.units = list(node.units.values())
        self.free = [
            self.total[k] - math.fsum(unit.resources[k] for unit in self.units)
            for k in range(len(self.total))
        ]
        self.others = cluster.nodes
        self.largest = [max(n.type.capacity[k] for n in cluster.nodes) for k in range(3)]

    def free_share(self, asked, k):
        return (self.free[k] - asked[k]) / self.total[k] if self.total[k] else 0.0

    def used_share(self, asked, k):
        return 1 - self.free_share(asked, k) if self.total[k] else 0.0

    def counted(self, asked):
        return [0, 1, 2] if asked[2] > 0 else [0, 1]

    def mean(self, asked, values):
        return sum(values) / len(self.counted(asked))

    def left(self, asked):
        return sum((self.free[k] - asked[k]) / self.largest[k] for k in range(3) if self.largest[k])

    def watts(self, asked):
        if not self.type.power:
            return 0.0
        main = self.node.main
        used = 1 - self.free[main] / self.total[main]
        # Units that take nothing leave a node as good as empty.
        before = watts(self.type.power, used) if self.free != list(self.total) else 0.0
        return watts(self.type.power, min(1.0, used + asked[main] / self.total[main])) - before

    def near(self, unit, rule):
        same = [
            n
            for n in self.others
            if (n.rack == self.node.rack if rule.topology == "rack" else n is self.node)
        ]
        return sum(u.owner.split("/")[0] in rule.names for n in same for u in n.units.values())


def deviation(shares):
    mean = sum(shares) / len(shares)
    return math.sqrt(sum((share - mean) ** 2 for share in shares) / len(shares))


BY_HAND = {
    "least-allocated": lambda n, u: (
        100 * n.mean(u.resources, [n.free_share(u.resources, k) for k in n.counted(u.resources)])
    ),
    "most-allocated": lambda n, u: (
        100 * n.mean(u.resources, [n.used_share(u.resources, k) for k in n.counted(u.resources)])
    ),
    "requested-to-capacity-ratio": lambda n, u: (
        10 * n.mean(u.resources, [1 - n.free_share(u.resources, k) for k in n.counted(u.resources)])
    ),
    "balanced-allocation": lambda n, u: (
        100 * (1 - deviation([min(1, 1 - n.free_share(u.resources, k)) for k in n.counted(u.resources)]))
    ),
    "best-fit": lambda n, u: -n.left(u.resources),
    "worst-fit": lambda n, u: n.left(u.resources),
    "dot-product": lambda n, u: sum(
        n.free[k] / n.largest[k] * u.resources[k] / n.largest[k] for k in range(3) if n.largest[k]
    ),
    "first-fit": lambda n, u: -n.node.index,
    "cheapest": lambda n, u: -n.type.price,
    "energy-aware": lambda n, u: -n.watts(u.resources),
    "carbon-aware": lambda n, u: -n.watts(u.resources) * n.type.carbon[0],
    "spread": lambda n, u: -sum(unit.owner == u.owner for unit in n.units),
    "taints": lambda n, u: -len(n.type.taints),
    "node-affinity": lambda n, u: 3 * (n.type.labels["tier"] == "gold") + (n.node.site == "s1"),
    "unit-affinity": lambda n, u: 7 * n.near(u, RULES.company[0]) - 2 * n.near(u, RULES.company[1]),
    "image-locality": lambda n, u: sum(size for name, size in u.artifacts if name in n.node.artifacts),
}


class Clock:
    """As much of a scheduler as scorers look at in `start`."""

    def __init__(self, ctx):
        self.ctx = ctx


@given(st.lists(types, min_size=1, max_size=5), st.data())
def test_scorers_say_what_arithmetic_on_one_node_says(kinds, data):
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    for kind in kinds:
        node = cluster.add(kind, f"s{data.draw(st.integers(0, 1))}", "p")
        cluster.set_state(node, NodeState.READY)
        node.artifacts = dict.fromkeys(data.draw(st.sets(st.sampled_from("ab"))), 1.0)
    policies = {name: lookup("score", name)() for name in BY_HAND}
    placer = Placer(cluster, [], [(policy, 1.0) for policy in policies.values()])
    policies["carbon-aware"].start(Clock(ctx))
    for number in range(data.draw(st.integers(0, 6))):
        there = Unit("worker", data.draw(st.sampled_from(["web", "batch/1"])), data.draw(requests))
        there.id = number
        fits = np.flatnonzero(cluster.fits(there.resources))
        if len(fits):
            at = int(data.draw(st.sampled_from(fits.tolist())))
            cluster.bind(there, cluster.nodes[at])
            placer.census.count(there, at, 1)
    asked = Unit("worker", "web", data.draw(requests), rules=RULES, artifacts=(("a", 5.0), ("b", 7.0)))
    candidates = np.flatnonzero(cluster.fits(asked.resources))
    seen = [Seen(cluster.nodes[at], cluster) for at in candidates]
    for name, by_hand in BY_HAND.items() if seen else ():
        expected = [by_hand(node, asked) for node in seen]
        assert policies[name].score(asked, cluster, candidates) == pytest.approx(
            expected, rel=1e-9, abs=1e-9
        ), name
