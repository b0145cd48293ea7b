import pytest

from sim import catalog
from sim.errors import StratusError
from sim.iaas import roofline
from sim.paas.calls import Batch, Call
from sim.paas.policies.times import (
    ConstantTime,
    EncoderDecoderTime,
    LinearTime,
    RooflineTime,
    TableTime,
    TokensTime,
)


def started(model, network=None, precision="fp16"):
    model.start(network, precision)
    return model


def test_an_encoder_with_a_decoder_by_hand():
    model, device = catalog.model("whisper-tiny"), catalog.device("a100-sxm-80")
    time = EncoderDecoderTime(tokens=40, overhead=1e-3)
    time.start(model, "fp16")
    share, bandwidth = device.peak["fp16"] * device.efficiency, device.bandwidth * device.memory_efficiency
    encoder = 3 * model.flop / share + device.overhead
    token = (2 * model.decoder + 2 * 3 * model.cross) / bandwidth + 1e-3
    assert time.seconds(Batch(3, device=device)) == pytest.approx(encoder + 40 * token)
    assert time.seconds(Batch(3, longest_out=90, device=device)) == pytest.approx(encoder + 90 * token)
    with pytest.raises(StratusError, match="resnet18 has no decoder"):
        EncoderDecoderTime(tokens=1).start(catalog.model("resnet18"), "fp16")


def test_a_recommender_gathers_then_computes():
    model, device = catalog.model("dlrm-dcnv2"), catalog.device("h100-sxm")
    time = RooflineTime()
    time.start(model, "int8")
    share, bandwidth = device.peak["int8"] * device.efficiency, device.bandwidth * device.memory_efficiency
    expected = 1e5 * model.flop / share + 1e5 * 214 * 128 / bandwidth + device.overhead
    assert time.seconds(Batch(100_000, device=device)) == pytest.approx(expected)


def test_constant_is_scaled_by_the_mean_work_factor():
    model = started(ConstantTime(0.2))
    assert model.seconds(Batch(1)) == 0.2
    assert model.seconds(Batch(4)) == pytest.approx(0.2)
    assert model.seconds(Batch(1, work=2.5)) == pytest.approx(0.5)
    assert model.seconds(Batch(4, work=8.0)) == pytest.approx(0.4)


def test_linear_pays_base_once():
    model = started(LinearTime(base=0.01, per_item=0.002))
    assert model.seconds(Batch(1)) == pytest.approx(0.012)
    assert model.seconds(Batch(8)) == pytest.approx(0.026)
    assert model.seconds(Batch(2, work=5.0)) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(1, 0.010), (2, 0.010), (3, 0.012), (4, 0.014), (8, 0.030), (6, 0.022), (12, 0.046)],
)
def test_table_interpolates_and_goes_on_with_its_last_slope(count, seconds):
    model = started(TableTime({2: 0.010, 8: 0.030, 4: 0.014}))
    assert model.seconds(Batch(count)) == pytest.approx(seconds)
    assert model.seconds(Batch(count, work=2.0 * count)) == pytest.approx(2 * seconds)


def test_table_never_falls_beyond_its_last_point():
    model = started(TableTime({1: 0.02, 2: 0.01}))
    assert model.seconds(Batch(50)) == pytest.approx(0.01)


def test_table_of_one_point_is_constant():
    assert started(TableTime({4: 0.05})).seconds(Batch(9)) == pytest.approx(0.05)


def test_table_refuses_sizes_below_one():
    with pytest.raises(ValueError, match="begin at 1"):
        TableTime({0: 0.1})


def test_roofline_is_that_of_the_device():
    model, device = catalog.model("resnet50-v2"), catalog.device("t4")
    time = started(RooflineTime(), model, "fp16")
    for items in (1, 16):
        assert time.seconds(Batch(items, device=device)) == roofline.batch_seconds(
            model, items, device, "fp16"
        )
    slower = started(RooflineTime(efficiency=0.01), model, "fp16")
    assert slower.seconds(Batch(16, device=device)) > 5 * time.seconds(Batch(16, device=device))


def test_roofline_says_what_is_missing():
    with pytest.raises(StratusError, match="names no model"):
        RooflineTime().start(None, "fp16")
    model = catalog.model("resnet50-v2")
    with pytest.raises(StratusError, match="no fp3 weights"):
        RooflineTime().start(model, "fp3")
    with pytest.raises(StratusError, match="no device"):
        started(RooflineTime(), model).seconds(Batch(1))


def test_tokens_read_prompts_in_turn_and_end_with_the_longest_output():
    model = started(TokensTime(per_input=0.001, per_output=0.02, base=0.05))
    assert model.seconds(Batch(1, tokens_in=100, tokens_out=10)) == pytest.approx(0.05 + 0.1 + 0.2)
    batch = Batch()
    asker = None
    batch.fill([Call(0, asker, print, 1.0, 100, 10), Call(1, asker, print, 1.0, 50, 40)])
    assert (batch.count, batch.tokens_in, batch.tokens_out, batch.longest_out) == (2, 150, 50, 40)
    assert model.seconds(batch) == pytest.approx(0.05 + 0.15 + 0.8)


@pytest.mark.parametrize("model", [LinearTime, TokensTime])
def test_a_model_that_takes_no_time_is_refused(model):
    with pytest.raises(ValueError, match="zero"):
        model()
