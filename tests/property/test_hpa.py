"""The HPA's sums against pod-by-pod bookkeeping, and limits that no sequence of looks may break."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.autoscaling.hpa import Behaviour, Controller
from sim.paas.autoscaling.hpa_behaviour import RatePolicy, Rules
from sim.paas.autoscaling.hpa_metrics import by_utilisation

PODS = st.lists(
    st.tuples(st.sampled_from(["ready", "unready", "missing"]), st.integers(1, 2000), st.integers(0, 3000)),
    min_size=1,
    max_size=12,
)


def pod_by_pod(current, pods, target):
    """Every pod has its entry, which is filled in and summed up anew."""
    request = {i: asked for i, (_, asked, _) in enumerate(pods)}
    usage = {i: used for i, (kind, _, used) in enumerate(pods) if kind == "ready"}

    def ratio():
        return (100 * sum(usage.values()) // sum(request[i] for i in usage)) / target

    before = ratio()
    others = {i: kind for i, (kind, _, _) in enumerate(pods) if kind != "ready"}
    filled = False
    for i, kind in others.items():
        if kind == "missing":
            filled = True
            if before < 1:
                usage[i] = request[i] * max(100, target) // 100
            elif before > 1:
                usage[i] = 0
        elif before > 1:
            filled = True
            usage[i] = 0
    after = ratio()
    if 0.9 <= after <= 1.1:
        return current
    wish = math.ceil(after * len(usage))
    if not filled:
        return wish
    if (before < 1) != (after < 1) or ((wish > current) != (after > 1) and wish != current):
        return current
    return wish


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20), PODS, st.integers(1, 150))
def test_sums_are_those_of_the_pods(current, pods, target):
    groups = {kind: [asked for k, asked, _ in pods if k == kind] for kind in ("ready", "unready", "missing")}
    if not groups["ready"]:
        return
    used = sum(used for kind, _, used in pods if kind == "ready")
    got = by_utilisation(
        current, used, groups["ready"], target, unready=groups["unready"], missing=groups["missing"]
    )
    assert got == pod_by_pod(current, pods, target)


RULES = st.builds(
    Rules,
    st.sampled_from([0.0, 60.0]),
    st.lists(
        st.builds(
            RatePolicy,
            st.sampled_from(["pods", "percent"]),
            st.integers(1, 100),
            st.sampled_from([15.0, 60.0]),
        ),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from(["max", "min", "disabled"]),
)


@settings(max_examples=200, deadline=None)
@given(RULES, RULES, st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=1, max_size=30))
def test_a_controller_stays_in_bounds_and_never_moves_against_its_metric(up, down, wishes):
    controller = Controller(2, 40, Behaviour(up, down))
    current = 5
    for look, wish in enumerate(wishes):
        decision = controller.reconcile(current, [wish], 15.0 * look)
        assert 2 <= decision.replicas <= 40
        if wish is None:
            assert decision.replicas == current
        elif decision.replicas > current:
            assert wish > current
            assert up.select != "disabled"
        elif decision.replicas < current:
            assert wish < current
            assert down.select != "disabled"
        current = decision.replicas
