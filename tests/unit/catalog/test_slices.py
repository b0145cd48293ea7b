"""Slices of accelerators: what the guide states, and sums that cannot exceed the whole."""

import pytest

from sim import catalog
from sim.errors import UsageError


@pytest.mark.parametrize(
    ("device", "profile", "count", "gigabytes"),
    [
        ("a100-sxm-40", "1g.5gb", 7, 5),
        ("a100-sxm-40", "1g.10gb", 4, 10),
        ("a100-sxm-40", "2g.10gb", 3, 10),
        ("a100-sxm-80", "3g.40gb", 2, 40),
        ("h100-sxm", "7g.80gb", 1, 80),
        ("a30", "1g.6gb", 4, 6),
        ("a30", "4g.24gb", 1, 24),
    ],
)
def test_counts_and_memory_are_those_of_the_guide(device, profile, count, gigabytes):
    assert catalog.profiles(device)[profile].count == count
    assert catalog.device(f"{device}:{profile}").memory == pytest.approx(gigabytes * 1e9)


DEVICES = [name for name in catalog.names("device") if catalog.profiles(name)]


@pytest.mark.parametrize("name", DEVICES)
def test_slices_make_no_more_than_the_whole(name):
    whole = catalog.device(name)
    for profile, part in catalog.profiles(name).items():
        piece = catalog.device(f"{name}:{profile}")
        assert part.count * piece.memory <= whole.memory * (1 + 1e-12)
        assert part.count * part.computing <= 1 + 1e-12
        assert piece.bandwidth == pytest.approx(whole.bandwidth * part.memory)
        for precision, peak in piece.peak.items():
            assert peak == pytest.approx(whole.peak[precision] * part.computing)
        # The profile's name states the gigabytes of one slice, rounded.
        stated = float(profile.split(".")[1].removesuffix("gb"))
        assert piece.memory / 1e9 == pytest.approx(stated, rel=0.03)
    last = list(catalog.profiles(name).values())[-1]
    assert (last.computing, last.memory, last.count) == (1, 1, 1)


def test_most_devices_are_cut_somewhere():
    assert len(DEVICES) == 9
    assert "guide" in catalog.device("a30:1g.6gb").source.lower()


def test_what_cannot_be_cut_is_said():
    with pytest.raises(UsageError, match=r'did you mean "4g\.20gb"'):
        catalog.device("a100-sxm-40:2g.20gb")
    with pytest.raises(UsageError, match="no slices"):
        catalog.device("t4:1g.5gb")
    assert catalog.has_device("a30:1g.6gb") and not catalog.has_device("a30:1g.7gb")
    assert not catalog.has_device("b30:1g.6gb")
