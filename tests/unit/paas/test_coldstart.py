import pytest

from sim.iaas.nodes import NodeState
from sim.paas.coldstart import Startup

PARTS = {"image": ("image", 2e9), "weights": ("weights", 1e9), "load_rate": 0.5e9, "warmup": 3.0}


def unit(tables, number=0):
    return next(row for row in tables["units"] if row["id"] == number)


def test_the_parts_add_up(bench):
    # 2 GB and 1 GB at 1 GB/s, 1 GB into the accelerator at 0.5 GB/s, 3 s of warm-up.
    service = bench.serve(warm=False, **PARTS)
    tables = bench.finish(60.0)
    row = unit(tables)
    moments = [row[name] for name in ("submitted", "bound", "pulled", "loaded", "ready")]
    assert moments == pytest.approx([0.0, 0.0, 2.0, 5.0, 8.0])
    assert row["ended"] != row["ended"]
    assert row["node"] == "iaas/plant/boxes/0"
    assert service.replica_set.cold_starts == 1
    assert service.replica_set.lead_time == pytest.approx(8.0)


def test_the_wait_for_a_node_is_part_of_it(make_bench):
    bench = make_bench(nodes=0)
    bench.serve(**PARTS)
    bench.kernel.call_at(30.0, bench.add_node)
    row = unit(bench.finish(60.0))
    # Warm replicas are only those that find a place at once.
    assert [row["submitted"], row["bound"], row["ready"]] == pytest.approx([0.0, 30.0, 38.0])


def test_a_node_keeps_what_it_fetched(make_bench):
    bench = make_bench(nodes=1)
    service = bench.serve((1, 1, 2), warm=False, **PARTS)
    bench.kernel.call_at(20.0, service.replica_set.scale, 2)
    row = unit(bench.finish(60.0), 1)
    assert [row["bound"], row["pulled"], row["loaded"], row["ready"]] == pytest.approx(
        [20.0, 20.0, 22.0, 25.0]
    )


def test_two_replicas_on_a_node_share_one_transfer(make_bench):
    bench = make_bench(nodes=1)
    bench.serve(2, warm=False, **PARTS)
    tables = bench.finish(60.0)
    assert [unit(tables, n)["pulled"] for n in (0, 1)] == pytest.approx([2.0, 2.0])


def test_initial_replicas_are_warm_by_default(bench):
    service = bench.serve((1, 1, 2), **PARTS)
    bench.kernel.call_at(20.0, service.replica_set.scale, 2)
    tables = bench.finish(60.0)
    first = unit(tables)
    assert [first[name] for name in ("bound", "pulled", "loaded", "ready")] == [0.0] * 4
    # On another node: nothing is cached there.
    assert unit(tables, 1)["ready"] == pytest.approx(28.0)
    assert service.replica_set.cold_starts == 1


def test_without_a_store_only_loading_and_warm_up_remain(bench):
    bench.store = None
    bench.serve(warm=False, **PARTS)
    assert unit(bench.finish(60.0))["ready"] == pytest.approx(5.0)


def test_a_replica_given_up_while_starting_never_becomes_ready(bench):
    service = bench.serve((1, 0, 1), warm=False, **PARTS)
    bench.kernel.call_at(4.0, service.replica_set.scale, 0)
    row = unit(bench.finish(60.0))
    assert (row["pulled"], row["ended"], row["reason"]) == (2.0, 4.0, "scaled-down")
    assert row["ready"] != row["ready"]
    assert bench.cluster.nodes[0].units == {}


def test_a_start_on_a_lost_node_begins_again_elsewhere(bench):
    bench.serve(warm=False, **PARTS)
    bench.kernel.call_at(4.0, bench.cluster.set_state, bench.cluster.nodes[0], NodeState.FAILED, "crash")
    tables = bench.finish(60.0)
    assert (unit(tables)["ended"], unit(tables)["reason"]) == (4.0, "crash")
    again = unit(tables, 1)
    assert again["node"] == "iaas/plant/boxes/1"
    # The weights' transfer to the dead node goes on and shares the store for another second.
    assert 12.0 <= again["ready"] <= 13.0


def test_shortest_start():
    assert Startup(("i", 1e9), ("w", 1e9), 0.5e9, 3.0).shortest == pytest.approx(5.0)
    assert Startup().shortest == 0.0
