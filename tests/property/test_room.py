"""Device by device: the table of free room against plain lists, and nothing is ever given twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas import room
from sim.iaas.resources import Resources

# Eighths add up without rounding, so that the plain reference may compare exactly.
shares = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.625, 1.0, 2.0, 3.0])
requests = st.builds(
    Resources, cpu=st.integers(0, 3).map(float), memory=st.just(0.0), accelerators=shares, disk=st.just(0.0)
)
capacities = st.lists(
    st.builds(
        Resources,
        cpu=st.integers(1, 8).map(float),
        memory=st.just(0.0),
        accelerators=st.sampled_from([0.0, 1.0, 2.0, 4.0]),
        disk=st.just(0.0),
    ),
    min_size=1,
    max_size=4,
)


def table(capacities):
    made = room.table(len(capacities), max(map(room.width, capacities)))
    for at, capacity in enumerate(capacities):
        room.fill(made, at, capacity)
    return made


class Plain:
    """One node, obviously right: cores left, and a list of what each device has left."""

    def __init__(self, capacity):
        self.cpu = capacity.cpu
        self.devices = [1.0] * int(capacity.accelerators)

    def find(self, asked):
        """Devices for the request, or None."""
        if asked.cpu > self.cpu:
            return None
        if asked.accelerators == 0:
            return []
        if asked.accelerators < 1:
            enough = [(left, k) for k, left in enumerate(self.devices) if left >= asked.accelerators]
            return [min(enough)[1]] if enough else None
        unused = [k for k, left in enumerate(self.devices) if left == 1.0]
        return unused[: int(asked.accelerators)] if len(unused) >= asked.accelerators else None

    def take(self, asked):
        found = self.find(asked)
        self.cpu -= asked.cpu
        for k in found:
            self.devices[k] -= min(1.0, asked.accelerators)
        return found

    def slots(self, asked, most):
        other = Plain(Resources(self.cpu))
        other.devices = list(self.devices)
        count = 0
        while count < most and other.find(asked) is not None:
            other.take(asked)
            count += 1
        return count

    def row(self, width):
        spare = [0.0] * (width - room.FIRST - len(self.devices))
        whole = float(sum(left == 1.0 for left in self.devices))
        largest = max(self.devices, default=0.0)
        return [self.cpu, 0.0, sum(self.devices), 0.0, whole, largest, *self.devices, *spare]


@given(capacities, st.data())
def test_the_table_is_what_plain_lists_say(capacities, data):
    free, nodes, held = table(capacities), [Plain(each) for each in capacities], []
    for _ in range(data.draw(st.integers(1, 25))):
        asked = data.draw(requests)
        fits = [node.find(asked) is not None for node in nodes]
        assert (~room.lacks(free, asked)).tolist() == fits
        assert [room.fits(free, at, asked) for at in range(len(nodes))] == fits
        assert room.slots(free, asked, 5).tolist() == [node.slots(asked, 5) for node in nodes]
        left = room.after(free, asked)
        at = data.draw(st.integers(0, len(nodes) - 1))
        if fits[at]:
            devices = room.take(free, at, asked)
            assert list(devices) == nodes[at].take(asked)
            held.append((at, asked, devices))
            assert left[at].tolist() == free[at].tolist()
        elif held:
            at, asked, devices = held.pop(data.draw(st.integers(0, len(held) - 1)))
            room.give(free, at, asked, devices)
            nodes[at].cpu += asked.cpu
            for k in devices:
                nodes[at].devices[k] += min(1.0, asked.accelerators)
        assert free.tolist() == [node.row(free.shape[1]) for node in nodes]
        assert (free >= 0).all()


@given(capacities, requests, st.integers(1, 9), st.data())
def test_packing_seats_as_many_as_one_after_the_other(capacities, asked, count, data):
    free, nodes = table(capacities), [Plain(each) for each in capacities]
    allowed = np.array([data.draw(st.booleans()) for _ in nodes])
    seated = 0
    for node, may in zip(nodes, allowed, strict=True):
        while may and seated < count and node.find(asked) is not None:
            node.take(asked)
            seated += 1
    assert room.pack(free, allowed, asked, count) == seated
    assert free.tolist() == [node.row(free.shape[1]) for node in nodes]


def test_two_halves_of_two_devices_serve_no_request_for_one():
    free = table([Resources(cpu=8.0, accelerators=2.0)])
    first = room.take(free, 0, Resources(accelerators=0.5))
    second = room.take(free, 0, Resources(accelerators=0.75))
    assert (first, second) == ((0,), (1,))
    assert free[0, room.ACCELERATORS] == 0.75
    assert not room.fits(free, 0, Resources(accelerators=0.6))
    assert room.fits(free, 0, Resources(accelerators=0.5))
    assert not room.fits(free, 0, Resources(accelerators=1.0))


def test_tenths_fill_a_device_and_leave_it_whole():
    """0.1 has no exact binary form: ten of them must neither overflow a device nor leave crumbs."""
    free, asked = table([Resources(accelerators=1.0)]), Resources(accelerators=0.1)
    for _ in range(10):
        assert room.fits(free, 0, asked)
        room.take(free, 0, asked)
    assert not room.fits(free, 0, asked)
    for _ in range(10):
        room.give(free, 0, asked, (0,))
    assert free[0].tolist() == table([Resources(accelerators=1.0)])[0].tolist()


@given(capacities, st.lists(st.tuples(requests, st.integers(0, 3)), max_size=8), requests, st.integers(1, 5))
def test_the_slots_of_one_row_are_those_of_the_table(capacities, taken, asked, most):
    free = table(capacities)
    for each, at in taken:
        if at < len(capacities) and room.fits(free, at, each):
            room.take(free, at, each)
    rows = [room.slots_at(free, at, asked, most) for at in range(len(capacities))]
    assert rows == room.slots(free, asked, most).tolist()
