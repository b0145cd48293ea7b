"""The catalog page of the documentation says what the code computes."""

import statistics
from pathlib import Path

import pytest

from sim import catalog
from sim.iaas import roofline

PAGE = Path(__file__).parents[3] / "docs" / "catalog.md"


def rows():
    """Rows of the page's table as cells; the columns are those of its header."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [cells for cells in lines if len(cells) == 10 and cells[8] in {"fit", "check"}]


def predicted(cells):
    share = None if cells[4] == "own" else float(cells[4])
    model, device = catalog.model(cells[0]), catalog.device(cells[2])
    return 1e3 * roofline.batch_seconds(model, float(cells[1]), device, cells[3], share)


@pytest.mark.parametrize("cells", rows(), ids=lambda cells: "-".join(cells[:5]))
def test_a_row_of_the_page_is_what_the_roofline_gives(cells):
    published, shown, error = float(cells[5]), float(cells[6]), float(cells[7].removesuffix(" %"))
    assert predicted(cells) == pytest.approx(shown, rel=0.01)
    assert 100 * (predicted(cells) / published - 1) == pytest.approx(error, abs=0.6)


def test_the_stated_errors_hold():
    checks = [cells for cells in rows() if cells[8] == "check" and "do not use" not in cells[9]]
    errors = [abs(predicted(cells) / float(cells[5]) - 1) for cells in checks]
    assert len(errors) >= 30
    assert statistics.median(errors) == pytest.approx(0.08, abs=0.005)
    assert max(errors) == pytest.approx(0.33, abs=0.005)
    fits = [abs(predicted(cells) / float(cells[5]) - 1) for cells in rows() if cells[8] == "fit"]
    assert max(fits) < 0.06


def recommenders():
    """Rows of the table of recommenders: device, precision, published, roofline, error."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [cells for cells in lines if len(cells) == 6 and cells[0] == "dlrm-dcnv2"]


@pytest.mark.parametrize("cells", recommenders(), ids=lambda cells: "-".join(cells[:3]))
def test_recommenders_against_mlperf(cells):
    """A sample of MLPerf is 270 pairs in the mean; batches are large."""
    seconds = roofline.batch_seconds(catalog.model(cells[0]), 270_000, catalog.device(cells[1]), cells[2])
    published, shown, error = float(cells[3]), float(cells[4]), float(cells[5].removesuffix(" %"))
    assert 1000 / seconds == pytest.approx(shown, rel=0.001)
    assert 100 * (1000 / seconds / published - 1) == pytest.approx(error, abs=0.6)


def test_the_stated_errors_of_recommenders_hold():
    errors = {
        name: [float(c[5].removesuffix(" %")) for c in recommenders() if c[2] == name]
        for name in ("int8", "fp16")
    }
    assert max(map(abs, errors["int8"])) <= 10.5
    assert max(map(abs, errors["fp16"])) <= 25.5
    assert len(errors["int8"]) == len(errors["fp16"]) == 4


def test_relative_speeds_of_whisper():
    """Against the README of openai/whisper, software that launches each kernel: 0.2 ms a decoder layer."""
    layers = {"tiny": 4, "base": 6, "small": 12, "medium": 24, "turbo": 4, "large-v3": 32}
    device = catalog.device("a100-sxm-80")
    seconds = {}
    for name, count in layers.items():
        model = catalog.model(f"whisper-{name}")
        token = roofline.token_seconds(model, 1, device, "fp16") + 0.2e-3 * count
        seconds[name] = roofline.batch_seconds(model, 1, device, "fp16") + 100 * token
    for name in layers:
        published = catalog.model(f"whisper-{name}").quality["speed relative to large"]
        assert -0.31 < seconds["large-v3"] / seconds[name] / published - 1 <= 0


def test_a_long_prompt_with_the_share_of_vision_networks_is_far_off():
    (wrong,) = [cells for cells in rows() if "do not use" in cells[9]]
    assert predicted(wrong) / float(wrong[5]) == pytest.approx(1.96, abs=0.02)


def test_the_page_names_every_file():
    text = PAGE.read_text(encoding="utf-8")
    for file in Path(catalog.__file__).parent.glob("*.json"):
        assert f"`{file.name}`" in text
