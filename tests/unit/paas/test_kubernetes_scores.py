"""Kubernetes' scorers against cases worked out by hand, and against scalar arithmetic written out.

The resource cases use the shapes of upstream's own tests (thousandths of cores, bytes); every result
is derived in the comment beside it.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
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
from sim.paas.policies.scores.kubernetes import PROFILE, arithmetic
from sim.paas.rules import Company, Requirement, Rules, SpreadRule, Toleration
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()
MI = 2**20


def cluster_of(*kinds, sites=None):
    kernel = Kernel()
    made = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    for number, kind in enumerate(kinds):
        site = sites[number] if sites else "s"
        made.set_state(made.add(kind, site, f"p{number}"), NodeState.READY)
    return made


def box(cpu, memory, accelerators=0.0, **more):
    return NodeType("n", Resources(cpu=cpu, memory=memory, accelerators=accelerators), **more)


class World:
    """A cluster, who runs there, and the scores of a newcomer."""

    def __init__(self, *kinds, sites=None):
        self.cluster = cluster_of(*kinds, sites=sites)
        self.ids = 0

    def placer(self, **settings):
        return Placer(self.cluster, [], [(lookup("score", n)(**s), 1.0) for n, s in settings.items()])

    def put(self, placer, at, unit):
        unit.id, self.ids = self.ids, self.ids + 1
        self.cluster.bind(unit, self.cluster.nodes[at])
        placer.census.count(unit, at, 1)

    def scores(self, unit, there, name, **settings):
        placer = self.placer(**{name: settings})
        for at, each in there:
            self.put(placer, at, each)
        candidates = np.arange(len(self.cluster.nodes))
        return placer.scores[0][0].score(unit, self.cluster, candidates).tolist()


def unit(cpu=0.0, memory=0.0, accelerators=0.0, owner="web", **more):
    return Unit("replica", owner, Resources(cpu=cpu, memory=memory, accelerators=accelerators), **more)


class TestResourcesFit:
    def test_nothing_asked_counts_as_100m_and_200_mi(self):
        # (4000-100)*100/4000 = 97.5 -> 97; (10 GiB-200 MiB): 10040*100/10240 = 98.04 -> 98; 195/2 -> 97.
        world = World(box(4, 10240 * MI))
        assert world.scores(unit(), [], "NodeResourcesFit") == [97]

    def test_units_there_that_ask_for_nothing_count_too(self):
        # Two there and the newcomer: 300m of 4000 -> 92; 600 MiB of 10240 -> 94.1 -> 94; 186/2 = 93.
        world = World(box(4, 10240 * MI), box(4, 10240 * MI))
        assert world.scores(unit(), [(0, unit()), (0, unit())], "NodeResourcesFit") == [93, 97]

    def test_differently_sized_nodes(self):
        # 3 cores, 5000 bytes. Node 1 (4, 10000): 25 and 50 -> 75/2 = 37. Node 2 (6, 10000): 50 and 50.
        world = World(box(4, 10000), box(6, 10000))
        assert world.scores(unit(3, 5000), [], "NodeResourcesFit") == [37, 50]

    def test_each_step_is_cut_off(self):
        # 1 of 3 cores: 66.67 -> 66; 1 of 7 bytes: 85.7 -> 85; (66 + 85)/2 = 75.5 -> 75.
        world = World(box(3, 7))
        assert world.scores(unit(1, 1), [], "NodeResourcesFit") == [75]
        # Used: 33 and 14: 47/2 = 23. The two do not add up to 100.
        assert World(box(3, 7)).scores(unit(1, 1), [], "NodeResourcesFit", strategy="MostAllocated") == [23]

    def test_weights(self):
        # 25 % of the cores and 50 % of the memory stay free: (3*25 + 50)/4 = 31.25 -> 31.
        assert World(box(4, 10000)).scores(unit(3, 5000), [], "NodeResourcesFit", cpu=3) == [31]

    def test_accelerators_count_for_units_that_ask(self):
        # 1 of 8 devices: 87.5 -> 87, weight 2; cores 3/4 and memory 1/2 free: (75 + 50 + 174)/4 = 74.75.
        fit = {"accelerators": 2}
        assert World(box(4, 10000, 8)).scores(unit(1, 5000, 1), [], "NodeResourcesFit", **fit) == [74]
        assert World(box(4, 10000, 8)).scores(unit(1, 5000), [], "NodeResourcesFit", **fit) == [62]

    @pytest.mark.parametrize(
        ("shape", "there", "asked", "expected"),
        [
            # Upstream's usual shape: 3 of 4 cores = 75 %, 5 of 10 kB = 50 %: y x 10: 75, 50 -> 62.5 -> 63.
            ([(0, 0), (100, 10)], (0, 0), (3, 5000), 63),
            # Falling: 100 - 75 = 25, 50 -> 37.5 -> 38 (rounded, not cut off).
            ([(0, 10), (100, 0)], (0, 0), (3, 5000), 38),
            # Two pieces, 40 % full is best. 75 %: 100 + (0-100)*35/60 = 42 (58.3 cut off to 58);
            # 50 %: 100 - 16 = 84; (42 + 84)/2 = 63.
            ([(0, 0), (40, 10), (100, 0)], (0, 0), (3, 5000), 63),
            # All of the cores: score 0 and so out of the sum of weights; memory 50 alone counts.
            ([(0, 10), (100, 0)], (1, 0), (3, 5000), 50),
        ],
    )
    def test_requested_to_capacity_ratio(self, shape, there, asked, expected):
        world = World(box(4, 10000))
        policy = {"strategy": "RequestedToCapacityRatio", "shape": shape}
        old = [(0, unit(there[0], 1e-9))] if there[0] else []
        assert world.scores(unit(*asked), old, "NodeResourcesFit", **policy) == [expected]

    def test_a_shape_without_its_strategy_is_an_error(self):
        with pytest.raises(ValueError, match="go together"):
            lookup("score", "NodeResourcesFit")(shape=[(0, 0), (100, 10)])


class TestBalanced:
    def test_two_resources_take_half_the_gap(self):
        # 3/4 cores and 5/10 memory: gap .25, half .125: 87.5 -> 87. On 6 cores both are .5: 100.
        world = World(box(4, 10000), box(6, 10000))
        assert world.scores(unit(3, 5000), [], "NodeResourcesBalancedAllocation") == [87, 100]

    def test_three_resources_take_the_standard_deviation(self):
        # .25, .5, .5: mean .41667, deviation .11785: 88.2 -> 88.
        world = World(box(4, 10, 8))
        policy = {"accelerators": True}
        assert world.scores(unit(1, 5, 4), [], "NodeResourcesBalancedAllocation", **policy) == [88]

    def test_a_unit_that_asks_for_nothing_is_not_scored(self):
        assert World(box(4, 10)).scores(unit(), [], "NodeResourcesBalancedAllocation") == [0]

    def test_a_node_without_memory_is_judged_by_its_cores_alone(self):
        assert World(box(4, 0)).scores(unit(1), [], "NodeResourcesBalancedAllocation") == [100]


class TestPreferences:
    def test_taints(self):
        # 0, 1, 2 and 3 not tolerated: 100 - 100*s/3, cut off: 100, 100-33, 100-66, 0.
        taints = [Taint(str(k), effect="PreferNoSchedule") for k in range(4)]
        world = World(*(box(1, 1, taints=tuple(taints[: k + 1])) for k in range(4)))
        asked = unit(1, rules=Rules((Toleration("0"),)))
        assert world.scores(asked, [], "TaintToleration") == [100, 67, 34, 0]

    def test_hard_taints_do_not_count(self):
        world = World(box(1, 1, taints=(Taint("a"),)), box(1, 1))
        assert world.scores(unit(1), [], "TaintToleration") == [100, 100]

    def test_node_affinity(self):
        # Sums 2, 7, 0 of a highest 7: 28.57 -> 28, 100, 0.
        world = World(box(1, 1, labels={"a": "1"}), box(1, 1, labels={"a": "1", "b": "1"}), box(1, 1))
        rules = Rules(preferred=((2, (Requirement("a", "Exists"),)), (5, (Requirement("b", "Exists"),))))
        assert world.scores(unit(1, rules=rules), [], "NodeAffinity") == [28, 100, 0]
        assert world.scores(unit(1), [], "NodeAffinity") == [0, 0, 0]

    def test_inter_pod_affinity(self):
        # Sites a, a, b. Likes "db" in its site, 10 each: two there in a: 20; dislikes "batch" on its
        # node, 5: one on node 1: 15; b: 0. From 0..20: 100, 75, 0.
        world = World(box(9, 9), box(9, 9), box(9, 9), sites=["a", "a", "b"])
        rules = Rules(company=(Company("site", ("db",), weight=10), Company("node", ("batch",), True, 5)))
        there = [(0, unit(1, owner="db")), (1, unit(1, owner="db")), (1, unit(1, owner="batch/3"))]
        assert world.scores(unit(1, rules=rules), there, "InterPodAffinity") == [100, 75, 0]

    def test_what_others_want_of_the_newcomer(self):
        # On node 0 one that must be near "web" (counts 1), on node 1 one that dislikes it (-4):
        # 1, -4, 0: from -4..1: 100, 0, 80.
        world = World(box(9, 9), box(9, 9), box(9, 9))
        must = Rules(company=(Company("node", ("web",)),))
        dislike = Rules(company=(Company("node", ("web",), True, 4),))
        there = [(0, unit(1, owner="a", rules=must)), (1, unit(1, owner="b", rules=dislike))]
        assert world.scores(unit(1), there, "InterPodAffinity") == [100, 0, 80]

    def test_spread_over_hosts_and_zones_by_default(self):
        # Hosts: count x ln(4+2) + 2; zones a = {0, 1}, b = {2, 3}: count x ln(2+2) + 4.
        # Node 0: 2 and 3 in a: 2*1.7918 + 2 + 3*1.3863 + 4 = 13.74 -> 14; node 1: 11.95 -> 12;
        # node 2: 0 + 2 + 0 + 4 = 6. 100*(14 + 6 - s)/14: 42.86 -> 42, 57.1 -> 57, 100.
        world = World(*[box(9, 9)] * 4, sites=["a", "a", "b", "b"])
        there = [(0, unit(1)), (0, unit(1)), (1, unit(1)), (2, unit(1, owner="other"))]
        assert world.scores(unit(1), there, "PodTopologySpread") == [42, 57, 100, 100]

    def test_own_soft_constraint_instead_of_the_defaults(self):
        # One per host of three: ln(5) = 1.609: 2 -> 3.22 -> 3; 1 -> 1.61 -> 2; 0. 100*(3-s)/3: 0, 33, 100.
        world = World(*[box(9, 9)] * 3)
        rules = Rules(spread=(SpreadRule("node", 1, required=False),))
        there = [(0, unit(1)), (0, unit(1)), (1, unit(1))]
        assert world.scores(unit(1, rules=rules), there, "PodTopologySpread") == [0, 33, 100]

    def test_image_locality(self):
        # Nodes of 2: a 500 MiB image on both counts 500, one of 300 MiB on one counts 150.
        # Node 0: 100*(650-23)/(1000-23) = 64.17 -> 64; node 1: 100*(500-23)/977 = 48.8 -> 48.
        world = World(box(9, 9), box(9, 9))
        asked = unit(1, artifacts=(("a", 500 * MI), ("b", 300 * MI)))
        world.cluster.nodes[0].artifacts = {"a": 500 * MI, "b": 300 * MI}
        world.cluster.nodes[1].artifacts = {"a": 500 * MI}
        assert world.scores(asked, [], "ImageLocality") == [64, 48]

    def test_small_images_do_not_count(self):
        world = World(box(9, 9), box(9, 9))
        world.cluster.nodes[0].artifacts = {"a": 40 * MI}
        # 40 MiB on one of two nodes count 20, below the threshold of 23.
        assert world.scores(unit(1, artifacts=(("a", 40 * MI),)), [], "ImageLocality") == [0, 0]


def test_the_profile_adds_up_the_weighted_points():
    """Two nodes of 4 cores and 10 kB; node 1 has a soft taint, node 0 runs 1 core of the same service.

    Newcomer: 1 core, 5000 bytes. Taints 3 x (100, 0); affinities 0; spread 2 x: one domain more on
    node 0: hosts 1 x ln 4 + 2 + zone 1 x ln 3 + 4 = 8.48 -> 8 against 7.10 -> 7: 100*7/8 = 87 and 100;
    fit: node 0: 50 and 50 -> 50 (its other unit asks for 0 memory: 200 MiB, more than there is: memory 0,
    so 25); node 1: 75 and 50 -> 62; balance: 0.5 and 0.5 -> 100; .25 and .5 -> 87; images 0.
    Sums: 300 + 174 + 25 + 100 = 599; 0 + 200 + 62 + 87 = 349.
    """
    world = World(box(4, 10000), box(4, 10000, taints=(Taint("x", effect="PreferNoSchedule"),)))
    placer = Placer(world.cluster, [], [(lookup("score", n)(), float(w)) for n, w in PROFILE.items()])
    world.put(placer, 0, unit(1))
    asked, both = unit(1, 5000), np.arange(2)
    sums = sum(w * policy.score(asked, world.cluster, both) for policy, w in placer.scores)
    assert sums.tolist() == [599, 349]
    assert placer.place(Group([asked])) == [0]


def test_ties_are_broken_uniformly():
    """Four equal nodes, 4,000 draws: chi-square with 3 degrees below 21.1 (false alarm 1 in 10,000)."""
    world = World(*[box(4, 10000)] * 4)
    rng = np.random.default_rng(7)
    placer = Placer(world.cluster, [], [(lookup("score", "NodeResourcesFit")(), 1.0)], ties=rng)
    counts = np.bincount([placer.place(Group([unit(1)]))[0] for _ in range(4000)], minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 21.1


# ---------------------------------------------------------------- scalar arithmetic, written out


def least(resources):
    total = weights = 0
    for requested, capacity, weight in resources:
        if capacity == 0:
            continue
        total += weight * (0 if requested > capacity else (capacity - requested) * 100 // capacity)
        weights += weight
    return total // weights if weights else 0


def most(resources):
    total = weights = 0
    for requested, capacity, weight in resources:
        if capacity == 0:
            continue
        total += weight * (min(requested, capacity) * 100 // capacity)
        weights += weight
    return total // weights if weights else 0


def line(at, points):
    if at <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if at <= x1:
            return y0 + math.trunc((y1 - y0) * (at - x0) / (x1 - x0))
    return points[-1][1]


def ratio(resources, shape):
    total = weights = 0
    for requested, capacity, weight in resources:
        if capacity == 0:
            continue
        used = 100 if requested > capacity else requested * 100 // capacity
        score = line(used, [(x, 10 * y) for x, y in shape])
        if score > 0:
            total, weights = total + weight * score, weights + weight
    return math.floor(total / weights + 0.5) if weights else 0


def balance(resources):
    shares = [min(requested / capacity, 1) for requested, capacity, _ in resources if capacity]
    if not shares:
        return 100
    if len(shares) == 2:
        return int((1 - abs(shares[0] - shares[1]) / 2) * 100)
    mean = sum(shares) / len(shares)
    return int((1 - math.sqrt(sum((x - mean) ** 2 for x in shares) / len(shares))) * 100)


one = st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(1, 5))
tables = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.lists(one, min_size=n, max_size=n), min_size=1, max_size=4)
)
shapes = st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True).flatmap(
    lambda xs: st.lists(st.integers(0, 10), min_size=len(xs), max_size=len(xs)).map(
        lambda ys: list(zip(sorted(xs), ys, strict=True))
    )
)


@given(tables, shapes)
def test_whole_numbers_node_by_node(rows, shape):
    weights = [w for _, _, w in rows[0]]
    rows = [[(r, c, w) for (r, c, _), w in zip(row, weights, strict=True)] for row in rows]
    columns = [
        (np.array([row[k][0] for row in rows]), np.array([row[k][1] for row in rows]), weights[k])
        for k in range(len(weights))
    ]
    assert arithmetic.least_allocated(columns).tolist() == [least(row) for row in rows]
    assert arithmetic.most_allocated(columns).tolist() == [most(row) for row in rows]
    ours = arithmetic.requested_to_capacity_ratio(columns, shape)
    assert ours.tolist() == [ratio(row, shape) for row in rows]
    plain = arithmetic.balanced_allocation([column[:2] for column in columns])
    assert plain.tolist() == [balance(row) for row in rows]
