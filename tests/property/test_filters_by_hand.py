"""Every filter for all nodes at once against a plain loop over nodes, one rule at a time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.iaas.taints import Taint
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.placement import Placer
from sim.paas.policies.filters import DEFAULT
from sim.paas.rules import Company, Requirement, Rules, SpreadRule, Toleration
from sim.paas.units import Unit
from sim.registry import load_builtin, lookup

load_builtin()

EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
KEYS, VALUES = ["gpu", "team"], ["", "a", "7"]
OWNERS = ["web", "train/1", "train/2"]

taints = st.builds(Taint, st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from(EFFECTS))
types = st.builds(
    lambda labels, taints, rack, cpu: NodeType(
        "n", Resources(cpu=cpu), rack_size=rack, nvlink_size=2, labels=labels, taints=tuple(taints)
    ),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.lists(taints, max_size=2),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([1.0, 4.0]),
)
tolerations = st.builds(
    Toleration,
    st.sampled_from([None, *KEYS]),
    st.sampled_from([None, *VALUES]),
    st.sampled_from([None, *EFFECTS]),
)
requirements = st.one_of(
    st.builds(
        Requirement,
        st.sampled_from([*KEYS, "site"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from([*VALUES, "s0"]), min_size=1, max_size=2).map(tuple),
    ),
    st.builds(Requirement, st.sampled_from(KEYS), st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(
        Requirement, st.sampled_from(KEYS), st.sampled_from(["Gt", "Lt"]), st.sampled_from([("5",), ("9",)])
    ),
)
topologies = st.sampled_from(["node", "nvlink", "rack", "site"])
names = st.lists(st.sampled_from(["web", "train"]), max_size=2, unique=True).map(tuple)
company = st.builds(Company, topologies, names, st.booleans(), st.sampled_from([None, None, 5]))
rules = st.builds(
    Rules,
    st.lists(tolerations, max_size=2).map(tuple),
    st.lists(st.lists(requirements, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    company=st.lists(company, max_size=2).map(tuple),
    spread=st.lists(st.builds(SpreadRule, topologies, st.integers(1, 2)), max_size=1).map(tuple),
)
units = st.builds(lambda owner, rules, cpu: (owner, rules, cpu), st.sampled_from(OWNERS), rules, st.just(1.0))


def make(kinds, places):
    kernel = Kernel()
    cluster = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    for kind, place in zip(kinds, places, strict=True):
        node = cluster.add(kind, f"s{place}", f"p{place}")
        cluster.set_state(node, NodeState.READY)
    return cluster


def tolerated(unit, node):
    return all(
        taint.effect == "PreferNoSchedule" or any(each.covers(taint) for each in unit.rules.tolerations)
        for taint in node.type.taints
    )


def matches(unit, node):
    def holds(requirement):
        value = node.site if requirement.key == "site" else node.type.labels.get(requirement.key)
        number = int(value) if value and value.isdecimal() else None
        return {
            "In": value in requirement.values,
            "NotIn": value not in requirement.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
            "Gt": number is not None and requirement.operator == "Gt" and number > int(requirement.values[0]),
            "Lt": number is not None and requirement.operator == "Lt" and number < int(requirement.values[0]),
        }[requirement.operator]

    terms = unit.rules.required
    return not terms or any(all(holds(each) for each in term) for term in terms)


def domain(node, topology):
    return {"node": node.index, "nvlink": node.nvlink, "rack": node.rack, "site": node.site}[topology]


def means(rule, holder, other):
    """Whether a rule of a unit of `holder` is about units of `other`."""
    return other in (rule.names or (holder,)) or other.split("/")[0] in rule.names


def good_company(unit, node, running):
    for rule in unit.rules.company:
        if rule.weight is not None:
            continue
        meant = [at for one, at in running if means(rule, unit.owner, one.owner)]
        near = any(domain(at, rule.topology) == domain(node, rule.topology) for at in meant)
        if rule.apart and near:
            return False
        first = not meant and means(rule, unit.owner, unit.owner)
        if not rule.apart and not near and not first:
            return False
    return not any(
        rule.apart
        and rule.weight is None
        and means(rule, one.owner, unit.owner)
        and domain(at, rule.topology) == domain(node, rule.topology)
        for one, at in running
        for rule in one.rules.company
    )


def even(unit, node, running, usable):
    for rule in unit.rules.spread:
        counts = Counter(domain(at, rule.topology) for one, at in running if one.owner == unit.owner)
        lowest = min((counts[domain(other, rule.topology)] for other in usable), default=None)
        if lowest is not None and counts[domain(node, rule.topology)] + 1 - lowest > rule.max_skew:
            return False
    return True


@given(st.lists(types, min_size=1, max_size=6), st.lists(units, max_size=6), units, st.data())
def test_filters_say_what_a_loop_over_nodes_says(kinds, there, asked, data):
    cluster = make(kinds, [data.draw(st.integers(0, 1)) for _ in kinds])
    policies = {name: lookup("filter", name)() for name in DEFAULT}
    placer = Placer(cluster, list(policies.values()), [])
    running = []
    for number, (owner, rule, _) in enumerate(there):
        unit = Unit("worker", owner, Resources(cpu=0.5), rules=rule)
        unit.id = number
        at = cluster.nodes[data.draw(st.integers(0, len(kinds) - 1))]
        if cluster.fits(unit.resources)[at.index]:
            cluster.bind(unit, at)
            placer.census.count(unit, at.index, 1)
            running.append((unit, at))
    unit = Unit("worker", asked[0], Resources(cpu=asked[2]), rules=asked[1])
    usable = [node for node in cluster.nodes if tolerated(unit, node) and matches(unit, node)]

    def kept(name):
        return (~policies[name].reject(unit, cluster)).tolist()

    by_hand = {
        "taints": [tolerated(unit, node) for node in cluster.nodes],
        "node-affinity": [matches(unit, node) for node in cluster.nodes],
        "unit-affinity": [good_company(unit, node, running) for node in cluster.nodes],
        "spread": [even(unit, node, running, usable) for node in cluster.nodes],
        "fit": [
            node.type.capacity.cpu - 0.5 * len(node.units) >= unit.resources.cpu for node in cluster.nodes
        ],
    }
    for name, expected in by_hand.items():
        assert kept(name) == expected, name
    for unit, at in running:
        placer.census.count(unit, at.index, -1)
    assert not placer.census.placed and not placer.census.rules
