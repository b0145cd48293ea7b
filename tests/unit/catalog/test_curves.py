"""Power curves put together from parts, against the whole machines Teads gives."""

import pytest

from sim import catalog
from sim.catalog.curves import compose

MEASURED = [
    name
    for name in catalog.names("instance")
    if "Teads" in catalog.instance(name).source and not name.startswith(("c5.", "m6g."))
]


def test_a_processor_alone_by_hand():
    curve = compose(cpu=2, memory=8e9, device=None, accelerators=0)
    idle = 2 * (0.7128 + 1.0) + 8 * 0.2
    full = 2 * (3.7582 + 1.0) + 8 * 0.6
    assert [load for load, _ in curve] == [0.0, 0.1, 0.5, 1.0]
    assert curve[0][1] == pytest.approx(idle)
    assert curve[3][1] == pytest.approx(full)


def test_accelerators_go_from_idle_to_peak():
    t4 = catalog.device("t4")
    bare = compose(4, 16e9, None, 0)
    four = compose(4, 16e9, t4, 4)
    gained = [with_[1] - without[1] for with_, without in zip(four, bare, strict=True)]
    assert gained[0] == pytest.approx(4 * 8.1)
    assert gained[2] == pytest.approx(4 * (8.1 + 0.7054 * (70 - 8.1)))
    assert gained[3] == pytest.approx(4 * 70)


def test_unknown_power_of_an_accelerator_is_an_error():
    with pytest.raises(ValueError, match="no power is known for tpu-v5e"):
        compose(8, 32e9, catalog.device("tpu-v5e"), 1)


@pytest.mark.parametrize("name", MEASURED)
def test_parts_come_near_the_whole(name):
    """Within 31 %; c5 and m6g, whose processors differ most from the median, are up to 38 and 66 % off."""
    instance = catalog.instance(name)
    device = catalog.device(instance.device) if instance.device else None
    for (_, guess), (_, known) in zip(
        compose(instance.cpu, instance.memory, device, instance.accelerators), instance.power, strict=True
    ):
        assert guess == pytest.approx(known, rel=0.31)


def test_instances_without_a_curve_of_their_own_get_the_parts():
    instance = catalog.instance("g2-standard-4")
    assert "sum of parts" in instance.source
    assert instance.power == compose(4, 16 * 2**30, catalog.device("l4"), 1)
