"""FLOP, parameters and activations of the two small networks, layer by layer."""

from itertools import pairwise

import pytest

from sim import catalog


def dense(inputs, outputs):
    """FLOP (a multiply-add counts two) and parameters with biases."""
    return 2 * inputs * outputs, inputs * outputs + outputs


def convolution(side, inputs, outputs, kernel=3):
    """The same for a convolution that keeps the side of its square image."""
    weights = kernel * kernel * inputs * outputs
    return 2 * side * side * weights, weights + outputs


def test_mlp_784_128_64_10():
    layers = [dense(784, 128), dense(128, 64), dense(64, 10)]
    mlp = catalog.model("mlp-mnist")
    assert mlp.flop == sum(flop for flop, _ in layers) == 218_368
    assert mlp.parameters == sum(weights for _, weights in layers) == 109_386
    assert mlp.activation_bytes == 4 * (784 + 128 + 64 + 10)
    assert mlp.weights("fp32") == 437_544
    assert mlp.weights("int8") == 109_386


def test_cnn_on_mnist():
    layers = [convolution(28, 1, 8), convolution(14, 8, 16), dense(7 * 7 * 16, 10)]
    cnn = catalog.model("cnn-mnist")
    assert cnn.flop == sum(flop for flop, _ in layers) == 580_160
    assert cnn.parameters == sum(weights for _, weights in layers) == 9_098
    maps = 28 * 28 + 28 * 28 * 8 + 14 * 14 * 8 + 14 * 14 * 16 + 7 * 7 * 16 + 10
    assert cnn.activation_bytes == 4 * maps


def test_llama_2_7b_from_its_shape():
    layers, hidden, ffn, vocabulary = 32, 4096, 11008, 32000
    block = 4 * hidden * hidden + 3 * hidden * ffn
    norms = (2 * layers + 1) * hidden
    llama = catalog.model("llama-2-7b")
    assert llama.parameters == layers * block + norms + 2 * vocabulary * hidden
    assert llama.flop == pytest.approx(2 * (layers * block + vocabulary * hidden), rel=1e-5)
    assert llama.kv_bytes_per_token == 2 * 2 * layers * hidden


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "ffn", "vocabulary", "norms"),
    [
        # Qwen3 normalises queries and keys of each layer too, head by head.
        ("qwen3-32b", 64, 5120, 64, 25600, 151936, 2 * 128),
        ("mistral-nemo-12b", 40, 5120, 32, 14336, 131072, 0),
    ],
)
def test_language_models_from_their_configuration(name, layers, hidden, heads, ffn, vocabulary, norms):
    """Grouped attention with 8 heads of 128 for keys and values, embeddings not tied, no biases."""
    head, groups = 128, 8
    block = 2 * hidden * heads * head + 2 * hidden * groups * head + 3 * hidden * ffn
    model = catalog.model(name)
    assert model.parameters == layers * (block + norms + 2 * hidden) + hidden + 2 * vocabulary * hidden
    assert model.flop == pytest.approx(2 * (layers * block + vocabulary * hidden), rel=1e-5)
    assert model.kv_bytes_per_token == 2 * 2 * layers * groups * head
    assert (model.layers, model.hidden, model.attention) == (layers, hidden, heads * head)


def chain(*widths):
    """FLOP and parameters of dense layers one after the other."""
    pairs = [dense(inputs, outputs) for inputs, outputs in pairwise(widths)]
    return sum(flop for flop, _ in pairs), sum(weights for _, weights in pairs)


def test_dlrm_dcnv2_from_its_shape():
    rows = [3, 4, 10, 14, 36, 63, 108, 155, 976, 1543, 2209, 7122, 7424, 11938, 12973, 17295, 20265, 39060]
    rows += [405282, 590152, 3067956, *[40_000_000] * 5]
    hot = [1] * 11 + [2, 2, 3, 3, 3, 5, 6, 6, 7, 8, 9, 10, 12, 27, 100]
    width, joined = 128, 27 * 128
    bottom, top = chain(13, 512, 256, width), chain(joined, 1024, 1024, 512, 256, 1)
    # Three cross layers of rank 512, each with a bias.
    cross = 3 * 2 * 2 * joined * 512, 3 * (2 * joined * 512 + joined)
    dlrm = catalog.model("dlrm-dcnv2")
    assert len(rows) == len(hot) == 26
    assert dlrm.flop == pytest.approx(bottom[0] + cross[0] + top[0])
    assert dlrm.tables == sum(rows) * width
    assert dlrm.parameters - dlrm.tables == bottom[1] + cross[1] + top[1]
    assert dlrm.gathered == sum(hot) * width
    assert dlrm.weights("fp32") == pytest.approx(104.6e9, rel=0.001)


def test_dlrm_kaggle_from_its_shape():
    rows = [1396, 550, 1761917, 507795, 290, 21, 11948, 608, 3, 58176, 5237, 1497287, 3127, 26, 12153]
    rows += [1068715, 10, 4836, 2085, 4, 1312273, 17, 15, 110946, 91, 72655]
    width, vectors = 16, 27
    bottom = chain(13, 512, 256, 64, width)
    top = chain(vectors * (vectors - 1) // 2 + width, 512, 256, 1)
    dlrm = catalog.model("dlrm-kaggle")
    assert dlrm.flop == pytest.approx(bottom[0] + top[0] + 2 * width * vectors**2)
    assert dlrm.tables == sum(rows) * width
    assert dlrm.parameters - dlrm.tables == bottom[1] + top[1]
    assert dlrm.gathered == 26 * width


@pytest.mark.parametrize(
    ("name", "width", "encoder", "decoder", "mels", "vocabulary"),
    [
        ("tiny", 384, 4, 4, 80, 51865),
        ("base", 512, 6, 6, 80, 51865),
        ("small", 768, 12, 12, 80, 51865),
        ("medium", 1024, 24, 24, 80, 51865),
        ("large-v3", 1280, 32, 32, 128, 51866),
        ("turbo", 1280, 32, 4, 128, 51866),
    ],
)
def test_whisper_from_its_shape(name, width, encoder, decoder, mels, vocabulary):
    """30 s are 3000 frames of `mels` numbers; the second convolution halves them."""
    positions, square = 1500, width * width
    convolutions = 2 * 3 * (mels * width * 3000 + square * positions)
    layers = encoder * (2 * 12 * square * positions + 4 * positions**2 * width)
    cross = decoder * 2 * 2 * square * positions
    whisper = catalog.model(f"whisper-{name}")
    assert whisper.flop == pytest.approx(convolutions + layers + cross, rel=1e-5)
    # Of the 16 squares of a decoder's layer two make keys and values, once for all tokens.
    assert whisper.decoder == decoder * 14 * square + vocabulary * width
    assert whisper.cross == 2 * positions * width * decoder
    weights = 3 * (mels + width) * width + 12 * encoder * square + 2 * decoder * square + whisper.decoder
    assert weights == pytest.approx(whisper.parameters, rel=0.06)


def test_unknown_precision_of_weights():
    with pytest.raises(KeyError):
        catalog.model("yolo11n").weights("int3")
