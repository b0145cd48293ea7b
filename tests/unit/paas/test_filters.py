from __future__ import annotations

import numpy as np
import pytest

from sim.catalog import Device
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.placement import Placer
from sim.paas.policies.filters import (
    DEFAULT,
    AtSite,
    HasAcceleratorMemory,
    HasDevice,
    InPool,
    NodeReady,
    ResourcesFit,
)
from sim.paas.units import Group, Unit
from sim.registry import lookup


def device(name, memory):
    return Device(name, "gpu", {"fp16": 1e12}, memory, 1e11, 10.0, 100.0, 0.5, 0.5, 0.0, "test")


SMALL = NodeType("small", Resources(cpu=4, memory=16e9))
T4 = NodeType("t4", Resources(cpu=8, memory=32e9, accelerators=1), device("T4", 16e9))
A100 = NodeType("a100", Resources(cpu=96, memory=1e12, accelerators=8), device("A100", 80e9))


@pytest.fixture
def cluster():
    kernel = Kernel()
    made = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    for kind, site, pool in [
        (SMALL, "plant", "cpu"),
        (T4, "plant", "gpu"),
        (T4, "cloud", "gpu"),
        (A100, "cloud", "big"),
    ]:
        made.set_state(made.add(kind, site, pool), NodeState.READY)
    return made


def unit(resources=None, **about):
    return Unit("worker", "job", resources or Resources(cpu=1), **about)


def kept(policy, asked, cluster):
    return np.flatnonzero(~policy.reject(asked, cluster)).tolist()


def test_only_ready_nodes(cluster):
    cluster.set_state(cluster.nodes[1], NodeState.DRAINING)
    cluster.set_state(cluster.nodes[2], NodeState.FAILED)
    assert kept(NodeReady(), unit(), cluster) == [0, 3]


@pytest.mark.parametrize(("site", "left"), [(None, [0, 1, 2, 3]), ("plant", [0, 1]), ("moon", [])])
def test_site(cluster, site, left):
    assert kept(AtSite(), unit(site=site), cluster) == left


@pytest.mark.parametrize(
    ("pools", "left"),
    [
        (None, [0, 1, 2, 3]),
        ({"plant/gpu"}, [1]),
        ({"plant/gpu", "cloud/big"}, [1, 3]),
        ({"gpu"}, []),
        (set(), []),
    ],
)
def test_pool_goes_by_site_and_name(cluster, pools, left):
    asked = unit(pools=None if pools is None else frozenset(pools))
    assert kept(InPool(), asked, cluster) == left


@pytest.mark.parametrize(
    ("name", "left"), [(None, [0, 1, 2, 3]), ("T4", [1, 2]), ("A100", [3]), ("H100", [])]
)
def test_device(cluster, name, left):
    assert kept(HasDevice(), unit(device=name), cluster) == left


@pytest.mark.parametrize(
    ("memory", "left"), [(0.0, [0, 1, 2, 3]), (16e9, [1, 2, 3]), (16.1e9, [3]), (1e12, [])]
)
def test_accelerator_memory_is_that_of_one_accelerator(cluster, memory, left):
    assert kept(HasAcceleratorMemory(), unit(accelerator_memory=memory), cluster) == left


@pytest.mark.parametrize(
    ("resources", "left"),
    [
        (Resources(), [0, 1, 2, 3]),
        (Resources(cpu=4), [0, 1, 2, 3]),
        (Resources(cpu=5), [1, 2, 3]),
        (Resources(cpu=1, memory=20e9), [1, 2, 3]),
        (Resources(accelerators=1), [1, 2, 3]),
        (Resources(accelerators=2), [3]),
        (Resources(disk=1), []),
    ],
)
def test_fit_looks_at_every_requested_resource(cluster, resources, left):
    assert kept(ResourcesFit(), unit(resources), cluster) == left


def test_fit_counts_what_is_free_not_what_there_is(cluster):
    taken = unit(Resources(accelerators=1))
    taken.id = 7
    cluster.bind(taken, cluster.nodes[1])
    assert kept(ResourcesFit(), unit(Resources(accelerators=1)), cluster) == [2, 3]


def test_three_tenths_fill_0_3(cluster):
    """0.3 - 0.1 - 0.1 is less than 0.1 by rounding; the third unit still fits, a fourth does not."""
    tiny = cluster.add(NodeType("tiny", Resources(cpu=0.3)), "plant", "cpu")
    cluster.set_state(tiny, NodeState.READY)
    for number in range(3):
        one = unit(Resources(cpu=0.1))
        one.id = number
        assert tiny.index in kept(ResourcesFit(), one, cluster)
        cluster.bind(one, tiny)
    assert tiny.index not in kept(ResourcesFit(), unit(Resources(cpu=0.1)), cluster)


def test_fixed_answers_are_remembered_per_shape_and_renewed_for_new_nodes(cluster):
    placer = Placer(cluster, [lookup("filter", name)() for name in DEFAULT], [])
    asked = unit(device="T4")
    assert placer.allowed(asked).tolist() == [False, True, True, False]
    assert placer.allowed(unit(device="T4")) is placer.allowed(asked)
    cluster.add(T4, "moon", "gpu")
    assert placer.allowed(asked).tolist() == [False, True, True, False, True]
    assert placer.place(Group([unit(device="T4", site="moon")])) is None  # not ready yet


def test_every_filter_says_why_and_when_to_try_again():
    for name in DEFAULT:
        policy = lookup("filter", name)
        assert policy.reason
        assert set(policy.retry_on) <= {"ready", "released", "bound"}
