"""FLOP, parameters and activations of the two small networks, layer by layer."""

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


def test_unknown_precision_of_weights():
    with pytest.raises(KeyError):
        catalog.model("yolo11n").weights("int3")
