"""Every row of the catalog: source, range, cross references."""

import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim import catalog
from sim.errors import UsageError

ROWS = [(kind, name) for kind in catalog.KINDS for name in catalog.names(kind)]
FILES = sorted(Path(catalog.__file__).parent.glob("*.json"))


def cards(kind):
    return [catalog.card(kind, name) for name in catalog.names(kind)]


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_every_row_has_a_source_and_can_be_described(kind, name):
    card = catalog.card(kind, name)
    assert card.name == name
    assert len(card.source) > 10
    assert card.verified or card.note, "an unverified row says what is unverified"
    lines = catalog.describe(kind, name)
    assert lines["source"] == card.source
    assert len(lines) > 3
    assert all(
        isinstance(text, str) and text and not re.search(r"\bnan\b|None", text) for text in lines.values()
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_name_is_given_twice_and_no_source_is_idle(file):
    def refuse_twins(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"a key appears twice among {keys[:5]}..."
        return dict(pairs)

    data = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=refuse_twins)
    used = {key for row in data["rows"].values() for key in row["source"]}
    assert used == set(data["sources"])


def test_files_name_nothing_of_a_private_machine():
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert not re.search(r"/opt\b|/tmp\b|shared/", text)


def test_there_is_a_good_selection():
    least = {
        "device": 35,
        "instance": 60,
        "model": 60,
        "grid": 15,
        "link": 60,
        "preset": 15,
        "figure": 60,
        "profile": 100,
    }
    assert {kind: len(catalog.names(kind)) >= number for kind, number in least.items()} == dict.fromkeys(
        least, True
    )
    for name in ("t4", "l4", "a10g", "a100-sxm-80", "h100-sxm", "jetson-orin-nano-super-8gb"):
        assert name in catalog.names("device")


@pytest.mark.parametrize("device", cards("device"), ids=lambda card: card.name)
def test_devices_are_in_range(device):
    assert device.kind in {"gpu", "cpu", "npu", "tpu", "soc"}
    assert device.peak
    assert all(1e10 <= rate <= 2e16 for rate in device.peak.values())
    assert set(device.peak) <= {"fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4", "int4"}
    assert device.memory == 0 or 2e9 <= device.memory <= 4e11
    assert device.bandwidth is None or 2e10 <= device.bandwidth <= 1e13
    assert 0 < device.efficiency <= 1
    assert 0 < device.memory_efficiency <= 1
    assert 0 <= device.overhead < 0.1
    if device.peak_w is not None:
        assert device.idle_w is not None
        assert 0 < device.idle_w < device.peak_w <= 1500


@pytest.mark.parametrize("device", cards("device"), ids=lambda card: card.name)
def test_fewer_bits_are_never_slower(device):
    bits = {"fp64": 64, "fp32": 32, "tf32": 19, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4}
    order = sorted((p for p in device.peak if p in bits), key=lambda p: -bits[p])
    rates = [device.peak[precision] for precision in order]
    if device.name != "gaudi3":  # its sources give bf16 more than fp16
        assert rates == sorted(rates)


@pytest.mark.parametrize("instance", cards("instance"), ids=lambda card: card.name)
def test_instances_are_in_range_and_refer_to_devices(instance):
    assert instance.provider in {"aws", "azure", "gcp", "lambda", "edge"}
    assert 1 <= instance.cpu <= 256
    assert 2e9 <= instance.memory <= 4e12
    assert (instance.device is None) == (instance.accelerators == 0)
    assert instance.accelerators <= 16
    assert instance.network is None or 1e8 <= instance.network <= 5e11
    if instance.device is not None:
        assert catalog.device(instance.device).peak
    if instance.provider == "edge":
        assert instance.price is None
    else:
        assert 0.01 / 3600 < instance.price < 120 / 3600
        assert instance.date and instance.region
    if instance.spot_price is not None:
        assert 0.1 < instance.spot_price / instance.price < 1
    loads, watts = zip(*instance.power, strict=True)
    assert loads[0] == 0.0
    assert loads[-1] == 1.0
    assert list(loads) == sorted(set(loads))
    assert list(watts) == sorted(watts)
    assert 1 < watts[0] < watts[-1] < 10_000


def test_prices_are_per_second():
    assert catalog.instance("g4dn.xlarge").price * 3600 == pytest.approx(0.526)
    assert catalog.instance("g2-standard-4").spot_price * 3600 == pytest.approx(0.279932)


@pytest.mark.parametrize("model", cards("model"), ids=lambda card: card.name)
def test_models_are_in_range(model):
    assert 1e3 < model.parameters < 1e12
    assert 0 < model.active_parameters <= model.parameters
    assert model.weights("fp16") == 2 * model.parameters
    assert model.flop is None or 1e5 < model.flop < 1e13
    if model.task == "language model":
        # Two FLOP for each weight but for the embedding, which is looked up.
        assert 0.6 < model.flop / (2 * model.active_parameters) < 1.05
        assert model.context >= 1024
        assert model.kv_bytes_per_token > 0


@pytest.mark.parametrize("grid", cards("grid"), ids=lambda card: card.name)
def test_grids_are_in_range(grid):
    assert 5 < grid.mean * 3.6e6 < 1000
    assert len(grid.hourly) == 24
    assert sum(grid.hourly) / 24 == pytest.approx(grid.mean, rel=0.02)
    assert grid.price is None or 10 < grid.price * 3.6e9 < 200


@pytest.mark.parametrize("link", cards("link"), ids=lambda card: card.name)
def test_links_are_in_range(link):
    assert 1e-7 < link.latency < 0.25
    assert link.bandwidth is None or 1e6 < link.bandwidth < 1e12
    assert link.jitter is None or 0 < link.jitter < 1


def test_city_links_are_slower_than_light():
    # Great circle in km; light in fibre takes 4.9 microseconds per km.
    for name, distance in {
        "london--washington": 5900,
        "frankfurt--london": 640,
        "singapore--tokyo": 5320,
    }.items():
        assert catalog.link(name).latency > distance * 4.9e-6
    # The smaller of 42.0 and 11.6 ms there and back, halved.
    assert catalog.link("dublin--london").latency == pytest.approx(0.0058, rel=0.01)


@pytest.mark.parametrize("preset", cards("preset"), ids=lambda card: card.name)
def test_presets_are_in_range(preset):
    assert preset.kind in {"llm", "rate", "jobs"}
    assert preset.rate is None or 1e-3 < preset.rate < 2000
    for table in preset.quantiles.values():
        shares = [float(label[1:]) for label in table]
        assert shares == sorted(shares)
        assert list(table.values()) == sorted(table.values())
        assert all(0 <= share <= 100 for share in shares)
    for table in preset.shares.values():
        assert math.fsum(table.values()) == pytest.approx(1.0, abs=0.002)
    if preset.curve:
        assert len(preset.curve) == 24
        assert math.fsum(preset.curve) / 24 == pytest.approx(1.0, abs=0.02)
    if preset.kind == "llm":
        assert min(preset.quantiles["tokens_in"].values()) >= 1
        assert min(preset.quantiles["tokens_out"].values()) >= 1
    if preset.kind == "jobs":
        assert "duration" in preset.quantiles


def test_figures_are_in_range():
    limits = {
        "egress": (0.005e-9, 0.3e-9),
        "pue": (1.0, 2.0),
        "embodied": (10e3, 1100e3),
    }
    for figure in cards("figure"):
        low, high = limits.get(figure.name.split("/")[0], (0.05, 1e12))
        assert low <= figure.value <= high, figure.name


def test_cards_are_loaded_once_and_travel_between_processes():
    assert catalog.device("t4") is catalog.device("t4")
    for kind, name in ROWS:
        card = catalog.card(kind, name)
        assert pickle.loads(pickle.dumps(card)) == card


@pytest.mark.parametrize(
    ("get", "wrong", "right"),
    [
        (catalog.device, "t44", "t4"),
        (catalog.instance, "g4dn.xlage", "g4dn.xlarge"),
        (catalog.model, "yolo11", "yolo11x"),
        (catalog.grid, "DEE", "DE"),
        (catalog.link, "5gg", "5g"),
        (catalog.preset, "azure-llm-con", "azure-llm-conv"),
        (catalog.figure, "pue/googel", "pue/google"),
    ],
)
def test_a_wrong_name_gets_the_nearest_one(get, wrong, right):
    with pytest.raises(UsageError, match=rf'{wrong}.*did you mean "{right[:5]}'):
        get(wrong)


def test_a_wrong_kind_gets_the_nearest_one():
    with pytest.raises(UsageError, match='did you mean "device"'):
        catalog.names("devices")


def test_import_reads_no_file_and_no_numpy():
    code = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import sim.catalog
assert not [name for name in opened if name.endswith(".json")], opened
assert "numpy" not in sys.modules and "pandas" not in sys.modules
assert sim.catalog.device("t4").memory == 16e9
assert len([name for name in opened if name.endswith(".json")]) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)
