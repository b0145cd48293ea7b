"""The roofline by hand; tests/unit/catalog/test_page.py holds it against published measurements."""

import dataclasses

import pytest

from sim import catalog
from sim.errors import StratusError
from sim.iaas import roofline

ROUND = catalog.Device(
    name="round",
    kind="gpu",
    peak={"fp16": 100e12, "int8": 200e12},
    memory=16e9,
    bandwidth=1e12,
    idle_w=10,
    peak_w=100,
    efficiency=0.5,
    memory_efficiency=0.8,
    overhead=1e-3,
    source="made up",
)


def test_computing_bound():
    # 5e11 / (1e14 x 0.5) = 10 ms against 1e9 / (1e12 x 0.8) = 1.25 ms
    assert roofline.seconds(5e11, 1e9, ROUND, "fp16") == pytest.approx(11e-3)
    assert roofline.seconds(5e11, 1e9, ROUND, "int8") == pytest.approx(6e-3)


def test_memory_bound():
    assert roofline.seconds(1e9, 8e9, ROUND, "fp16") == pytest.approx(11e-3)


def test_efficiency_replaces_the_devices_own_for_computing_only():
    assert roofline.seconds(5e11, 1e9, ROUND, "fp16", 1.0) == pytest.approx(6e-3)
    assert roofline.seconds(1e9, 8e9, ROUND, "fp16", 1.0) == pytest.approx(11e-3)


def test_nothing_to_do_takes_the_overhead():
    assert roofline.seconds(0, 0, ROUND, "fp16") == 1e-3


def test_without_a_bandwidth_only_computing_counts():
    blind = dataclasses.replace(ROUND, bandwidth=None)
    assert roofline.seconds(1e9, 8e12, blind, "fp16") == pytest.approx(1e-3 + 1e9 / 50e12)


def test_a_precision_the_device_lacks_names_those_it_has():
    with pytest.raises(StratusError, match="round has no fp8 arithmetic in the catalog; it has fp16, int8"):
        roofline.seconds(1e9, 1e6, ROUND, "fp8")


def test_a_batch_reads_the_weights_once():
    model = dataclasses.replace(catalog.model("yolo11m"), flop=1e9, parameters=1e9, activation_bytes=1e6)
    moving = (2e9 + 4 * 1e6) / 0.8e12
    assert roofline.batch_seconds(model, 4, ROUND, "fp16") == pytest.approx(moving + 1e-3)


def test_a_model_without_flop_is_an_error():
    with pytest.raises(StratusError, match="no FLOP for distilbert-base"):
        roofline.batch_seconds(catalog.model("distilbert-base"), 1, ROUND, "fp16")
