"""Layers: exact truths, gradients, errors, and that each of them runs on a device and stays float32."""

import math
import re

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, ShapeError

# name -> (a function of a stream that makes the layer, the shape of its input)
LAYERS = {
    "Linear": (lambda rng: nn.Linear(4, 3, rng=rng), (2, 4)),
    "MaskedLinear": (lambda rng: nn.MaskedLinear(np.tri(3, 4), rng=rng), (2, 4)),
    "Conv1d": (lambda rng: nn.Conv1d(2, 3, 3, stride=2, padding=1, rng=rng), (2, 2, 7)),
    "Conv2d": (lambda rng: nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1), bias=False, rng=rng), (2, 2, 6, 4)),
    "ConvTranspose1d": (lambda rng: nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1, output_padding=1, rng=rng), (2, 2, 4)),
    "ConvTranspose2d": (lambda rng: nn.ConvTranspose2d(2, 3, 4, 2, 1, (1, 0), rng=rng), (2, 2, 2, 3)),
    "BatchNorm1d": (lambda rng: nn.BatchNorm1d(3), (5, 3)),
    "BatchNorm2d": (lambda rng: nn.BatchNorm2d(3, momentum=None), (2, 3, 2, 4)),
    "LayerNorm": (lambda rng: nn.LayerNorm(4), (2, 3, 4)),
    "LayerNorm of images": (lambda rng: nn.LayerNorm((3, 2, 4)), (2, 3, 2, 4)),
    "GroupNorm": (lambda rng: nn.GroupNorm(2, 4), (2, 4, 3)),
    "MaxPool1d": (lambda rng: nn.MaxPool1d(2), (2, 3, 5)),
    "MaxPool2d": (lambda rng: nn.MaxPool2d(2, stride=1), (2, 3, 3, 4)),
    "AvgPool1d": (lambda rng: nn.AvgPool1d(2), (2, 3, 5)),
    "AvgPool2d": (lambda rng: nn.AvgPool2d((2, 3)), (2, 3, 4, 3)),
    "Upsample": (lambda rng: nn.Upsample(scale_factor=2), (2, 3, 2, 2)),
    "Flatten": (lambda rng: nn.Flatten(), (2, 3, 4)),
    "Unflatten": (lambda rng: nn.Unflatten(1, (2, 3)), (2, 6)),
    "Residual": (lambda rng: nn.Residual(nn.Linear(3, 3, rng=rng)), (2, 3)),
    "Gated": (lambda rng: nn.Gated(nn.Linear(3, 2, rng=rng), nn.Linear(3, 2, rng=rng)), (2, 3)),
    **{name: (lambda rng, make=make: make(), (2, 5)) for name, make in nn.layers.ACTIVATIONS.items()},
    "conv_encoder": (lambda rng: nn.conv_encoder((5, 4), (2, 3), (4,), 3, activation="tanh", rng=rng), (2, 20)),
    "conv_decoder": (lambda rng: nn.conv_decoder(3, (4,), (2, 3), (5, 4), activation="tanh", rng=rng), (2, 3)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_parameters_and_input(name, training, rng):
    make, shape = LAYERS[name]
    layer = make(ta.rng(0)).astype("float64").train(training)
    for buffer_name, buffer in layer.named_buffers():
        if "running" in buffer_name:
            buffer.assign(rng.uniform(0.5, 2, size=buffer.shape))
    leaves = dict(layer.named_parameters()) | {"x": ta.Tensor(rng.normal(size=shape), requires_grad=True)}
    for parameter in leaves.values():
        parameter.assign(rng.normal(size=parameter.shape))
    assert ta.checks.gradcheck(lambda: layer(leaves["x"]), leaves).worst < 1e-6


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_runs_on_every_backend_in_float32(name, training, backend):
    make, shape = LAYERS[name]
    layer, values = make(ta.rng(0)).train(training), np.random.default_rng(1).normal(size=shape).astype(np.float32)
    x = ta.Tensor(to_device(values), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert {t.dtype for t in (x.grad, y, *(p.grad for p in layer.parameters()))} == {np.dtype(np.float32)}
    assert {t.dtype for _, t in layer.named_buffers()} <= {np.dtype(np.float32), np.dtype(np.int64)}
    with ta.using("numpy"):
        there, plain = to_numpy(y.data), make(ta.rng(0)).train(training)
        np.testing.assert_allclose(there, plain(ta.Tensor(values)).numpy(), rtol=1e-4, atol=1e-6)
        assert all(np.allclose(a, b, rtol=1e-4) for a, b in zip(layer.state_dict().values(), plain.state_dict().values(), strict=True))


def test_a_training_step_with_batch_norm_and_dropout_does_not_wait_for_the_device():
    with ta.checks.fake_device.fake_gpu() as counters:
        net = nn.Sequential(nn.Linear(4, 3, rng=ta.rng(0)), nn.BatchNorm1d(3), nn.Dropout(0.2, rng=ta.rng(1)), nn.GroupNorm(1, 3))
        net(to_device(np.ones((5, 4), np.float32))).sum().backward()
        assert counters.synchronisations == counters.copies_to_host == 0


# ---- normalisation


@pytest.mark.parametrize(("make", "shape"), [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (4, 3, 5)), (nn.BatchNorm2d, (2, 3, 4, 5))])
def test_batch_norm_keeps_a_running_mean_and_the_unbiased_variance(make, shape, rng):
    layer, mean, variance = make(3, momentum=0.2).astype("float64"), np.zeros(3), np.ones(3)
    axes, one_each = (0, *range(2, len(shape))), (1, 3, *[1] * (len(shape) - 2))
    for step in range(1, 4):
        x = rng.normal(size=shape) * 3 + 1
        y = layer(x).numpy()
        np.testing.assert_allclose([y.mean(axis=axes), y.var(axis=axes)], [np.zeros(3), np.ones(3)], atol=1e-5)
        n, centred = x.size // 3, x - x.mean(axis=axes, keepdims=True)
        mean = 0.8 * mean + 0.2 * x.sum(axis=axes) / n
        variance = 0.8 * variance + 0.2 * (centred**2).sum(axis=axes) / (n - 1)
        np.testing.assert_allclose([layer.running_mean.numpy(), layer.running_var.numpy()], [mean, variance], rtol=1e-12)
        assert layer.num_batches_tracked.item() == step
    before = layer.state_dict()
    y = layer.eval()(x).numpy()
    np.testing.assert_allclose(y, (x - mean.reshape(one_each)) / np.sqrt(variance.reshape(one_each) + 1e-5), rtol=1e-10)
    assert all((before[name] == value).all() for name, value in layer.state_dict().items())


def test_batch_norm_without_momentum_averages_over_all_batches(rng):
    layer, batches = nn.BatchNorm1d(2, momentum=None).astype("float64"), rng.normal(size=(5, 7, 2))
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-12)


def test_running_statistics_have_no_graph_and_a_refused_batch_leaves_them(rng):
    layer = nn.BatchNorm1d(2)
    before = layer.state_dict()
    with pytest.raises(ShapeError, match="one number has no variance"):
        layer(np.ones((1, 2), np.float32))
    assert all((before[name] == value).all() for name, value in layer.state_dict().items())
    x = ta.Tensor(rng.normal(size=(4, 2)).astype(np.float32), requires_grad=True)
    layer(layer(x)).sum().backward()
    assert layer.num_batches_tracked.item() == 2
    assert not layer.running_mean.requires_grad
    assert layer.running_mean.node is None


def test_group_norm_of_one_group_is_layer_norm_over_channels_and_space(rng):
    x = rng.normal(size=(3, 4, 2, 5))
    one, rows = nn.GroupNorm(1, 4).astype("float64"), nn.LayerNorm((4, 2, 5)).astype("float64")
    np.testing.assert_allclose(one(x).numpy(), rows(x).numpy(), rtol=1e-12)
    each = nn.GroupNorm(4, 4, eps=0.1).astype("float64")  # a group for each channel: every image is normalised by itself
    y = (x - x.mean(axis=(2, 3), keepdims=True)) / np.sqrt(x.var(axis=(2, 3), keepdims=True) + 0.1)
    np.testing.assert_allclose(each(x).numpy(), y, rtol=1e-10)


# ---- dropout


def test_dropout_keeps_the_mean_and_does_nothing_in_evaluation():
    layer, x = nn.Dropout(0.3, rng=ta.rng(0)), np.ones(100_000, np.float32)
    y = layer(x)
    assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1) / np.float32(0.7))}
    assert abs(y.mean() - 1) < 5 * math.sqrt(0.3 / 0.7 / x.size)
    state = layer.rng.state()
    assert layer.eval()(x) is x
    assert layer.rng.state() == state


def test_the_same_state_of_the_stream_gives_the_same_mask():
    layer, x = nn.Dropout(0.5, rng=ta.rng(0)), np.ones((8, 8), np.float32)
    layer(x)
    state = layer.rng.state()
    first, second = layer(x), layer(x)
    assert (first != second).any()
    layer.rng = ta.backend.Rng.from_state(state)
    assert (layer(x) == first).all()


# ---- other layers


def test_an_embedding_is_a_row_of_its_weight_and_its_gradient_adds_up(backend):
    layer = nn.Embedding(5, 3, rng=ta.rng(0))
    labels = to_device(np.array([[4, 0], [4, 2]]))
    y = layer(labels)
    y.sum().backward()
    assert (to_numpy(y.data) == to_numpy(layer.weight.data)[[[4, 0], [4, 2]]]).all()
    assert to_numpy(layer.weight.grad).tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3, [0.0] * 3, [2.0] * 3]
    assert y.dtype == np.float32


def test_gradients_of_an_embedding():
    layer = nn.Embedding(4, 2, rng=ta.rng(0)).astype("float64")
    ta.checks.gradcheck(lambda: layer(np.array([1, 1, 3])), layer)


def test_flatten_and_unflatten_undo_each_other(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    assert (nn.Unflatten(1, (3, 4, 5))(nn.Flatten()(x)) == x).all()
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert (nn.Unflatten(-2, (2, 2))(x) == x.reshape(2, 3, 2, 2, 5)).all()
    assert nn.Flatten()(x[:0]).shape == (0, 60)


def test_blocks_are_their_formulas(rng):
    x, f, g = rng.normal(size=(4, 3)).astype(np.float32), nn.Linear(3, 3, rng=ta.rng(0)), nn.Linear(3, 3, rng=ta.rng(1))
    np.testing.assert_allclose(nn.Residual(f)(x).numpy(), x + f(x).numpy(), rtol=1e-6)
    np.testing.assert_allclose(nn.Gated(f, g)(x).numpy(), f(x).numpy() / (1 + np.exp(-g(x).numpy())), rtol=1e-5)
    assert [name for name, _ in nn.Gated(f, g).named_parameters()] == ["module.weight", "module.bias", "gate.weight", "gate.bias"]


# ---- autoregressive networks


def made(features, hidden, outputs, activation=ops.softplus):
    """Masked layers with random weights in float64: softplus has no slope 0 that could hide a path."""
    stream, layers = ta.rng(0), []
    for mask in nn.autoregressive_masks(features, hidden, outputs):
        layers += [nn.MaskedLinear(mask, rng=stream), activation]
    return nn.Sequential(*layers[:-1]).astype("float64")


def jacobian_of(network, features, rng):
    """d output / d input for one row: (outputs, features)."""
    x = ta.Tensor(rng.normal(size=features), requires_grad=True)
    return ta.jacobian(network(x), [x])[0].numpy()


@pytest.mark.parametrize("hidden", [(), (4,), (13, 40)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_output_d_depends_on_all_inputs_before_d_and_on_no_other(hidden, outputs, rng):
    jacobian = jacobian_of(made(5, hidden, outputs), 5, rng).reshape(outputs, 5, 5)
    for block in jacobian:
        assert ((block != 0) == np.tri(5, k=-1, dtype=bool)).all()


def test_a_mask_with_one_entry_too_many_is_seen(rng):
    network = made(5, (40,), 1)
    mask = network[2].mask.numpy().copy()
    mask[0] = 1  # the first output sees the hidden units, which see the inputs
    network[2].mask.assign(mask)
    assert (np.triu(jacobian_of(network, 5, rng)) != 0).any()


def test_every_hidden_unit_sees_an_input_and_reaches_an_output():
    first, middle, last = nn.autoregressive_masks(5, (13, 9), outputs=2)
    assert [mask.shape for mask in (first, middle, last)] == [(13, 5), (9, 13), (10, 9)]
    assert first.any(axis=1).all()
    assert middle.any(axis=1).all()
    assert (last @ middle).any(axis=0).all()


def test_the_first_output_is_its_bias_whatever_the_inputs(rng):
    assert (jacobian_of(made(1, (4,), 3), 1, rng) == 0).all()


def test_a_mask_belongs_to_the_state():
    layer = nn.MaskedLinear(np.tri(2, 3), rng=ta.rng(0))
    assert list(layer.state_dict()) == ["weight", "bias", "mask"]
    assert layer.astype("float64").mask.dtype == np.float64
    assert len(layer.parameters()) == 2


# ---- convolutional networks


@pytest.mark.parametrize(
    ("image_shape", "channels"),
    [((8, 8), (3, 4)), ((16, 16), (2, 3, 4)), ((28, 28), (4, 8)), ((3, 32, 32), (4, 8, 8)), ((64, 64), (2, 2, 2, 2)), ((9, 7), (3, 4)), ((9, 7), ()),
     ((1, 5, 11), (2, 2))],
)  # fmt: skip
@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_an_encoder_takes_images_as_rows_and_the_decoder_gives_them_back(image_shape, channels, hidden):
    features = math.prod(image_shape)
    encoder = nn.conv_encoder(image_shape, channels, hidden, 7, rng=ta.rng(0))
    decoder = nn.conv_decoder(7, hidden, channels, image_shape, rng=ta.rng(1))
    code = encoder(np.ones((2, features), np.float32))
    image = decoder(code)
    assert (code.shape, image.shape, image.dtype) == ((2, 7), (2, features), np.float32)
    weights = [[p.shape for n, p in net.named_parameters() if "weight" in n] for net in (encoder, decoder)]
    mirrored = [shape if len(shape) == 4 else shape[::-1] for shape in weights[1][::-1]]  # a transposed convolution's shape is the convolution's
    assert weights[0] == mirrored


def test_the_encoder_is_its_layers_one_after_the_other(rng):
    net, x = nn.conv_encoder((6, 4), (2,), (5,), 3, activation="tanh", rng=ta.rng(0)), rng.normal(size=(2, 24)).astype(np.float32)
    state = net.state_dict()
    h = np.tanh(ops.conv2d(x.reshape(2, 1, 6, 4), state["1.weight"], state["1.bias"], stride=2, padding=1))
    h = np.tanh(h.reshape(2, 12) @ state["4.weight"].T + state["4.bias"])
    np.testing.assert_allclose(net(x).numpy(), h @ state["6.weight"].T + state["6.bias"], rtol=1e-4, atol=1e-6)


def test_a_decoder_shifts_with_its_code():
    """The image of a code in which one entry before the last transposed convolution moves by one moves by two."""
    layer = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False, rng=ta.rng(0))
    x = np.zeros((2, 1, 6, 6), np.float32)
    x[0, 0, 2, 2] = x[1, 0, 3, 2] = 1
    y = layer(x).numpy()
    assert (y[1, :, 2:] == y[0, :, :-2]).all()
    assert (y[0] != 0).sum() == 16


# ---- initial values and errors


@pytest.mark.parametrize("layer", [nn.Conv2d(20, 50, 5, rng=ta.rng(0)), nn.ConvTranspose2d(50, 20, 5, rng=ta.rng(0))])
def test_initial_kernels_have_the_variance_of_their_fan(layer):
    w, bound = layer.weight.numpy(), 1 / math.sqrt(20 * 25)
    assert bound * 0.99 < abs(w).max() <= bound
    assert abs(w.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / w.size)
    assert abs(layer.bias.numpy()).max() <= bound


@pytest.mark.parametrize(("initialiser", "variance"), [(nn.initialisers.xavier_uniform, 2 / (9 * 70)), (nn.initialisers.he_uniform, 2 / (9 * 20))])
def test_other_initialisers_count_the_kernel_too(initialiser, variance):
    w = nn.Conv2d(20, 50, 3, rng=ta.rng(0), initialiser=initialiser).weight.numpy()
    assert abs(w.var() / variance - 1) < 5 * math.sqrt(0.8 / w.size)


ONES = np.ones((2, 3, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda s: nn.Conv2d(0, 3, 4, rng=s), ArgumentError, "Conv2d: at least one channel"),
        (lambda s: nn.Conv2d(1, 3, 0, rng=s), ArgumentError, "Conv2d: kernel_size must be a whole number, at least 1"),
        (lambda s: nn.Conv1d(1, 3, 2, padding=(1, 1), rng=s), ArgumentError, "Conv1d: padding must be"),
        (lambda s: nn.ConvTranspose1d(1, 3, 2, output_padding=-1, rng=s), ArgumentError, "output_padding must be"),
        (lambda s: nn.Conv2d(1, 3, 2, rng=7), DtypeError, "not a random stream"),
        (lambda s: nn.Conv2d(2, 3, 2, rng=s)(ONES), ShapeError, "conv2d"),
        (lambda s: nn.BatchNorm2d(4)(ONES), ShapeError, r"expected  \(N, 4, H, W\)"),
        (lambda s: nn.BatchNorm1d(3)(ONES), ShapeError, r"\(N, 3\) or \(N, 3, L\)"),
        (lambda s: nn.LayerNorm(3)(ONES), ShapeError, r"last axes \(3,\)"),
        (lambda s: nn.GroupNorm(2, 4)(ONES), ShapeError, r"expected  \(N, 4, ...\)"),
        (lambda s: nn.GroupNorm(2, 3), ArgumentError, "3 channels in 2 groups"),
        (lambda s: nn.Dropout(1.0, rng=s), ArgumentError, "0 <= rate < 1"),
        (lambda s: nn.Embedding(0, 2, rng=s), ArgumentError, "at least one vector"),
        (lambda s: nn.Embedding(3, 2, rng=s)(np.array([0, -1])), ArgumentError, "from -1 to 0"),
        (lambda s: nn.Embedding(3, 2, rng=s)(np.array([0.5])), DtypeError, "integers"),
        (lambda s: nn.Unflatten(1, (2, 2))(ONES), ShapeError, "the product of"),
        (lambda s: nn.Flatten(5)(ONES), ShapeError, "no axis 5"),
        (lambda s: nn.conv_encoder((4, 4), (2, 2, 2), (), 3, rng=s), ArgumentError, "halves the image"),
        (lambda s: nn.conv_decoder(2, (), (2,), (16,), rng=s), ArgumentError, r"expected  \(height, width\)"),
        (lambda s: nn.conv_encoder((4, 4), (2,), (), 3, activation="swish", rng=s), ArgumentError, "leaky_relu"),
    ],
)
def test_what_does_not_fit_is_refused(act, error, text):
    stream = ta.rng(0)
    with pytest.raises(error) as caught:
        act(stream)
    assert re.search(text, str(caught.value))


@pytest.mark.parametrize("hidden", [(500,), (30,), (1,), (700, 20, 90)])
def test_of_a_narrow_autoregressive_network_only_the_last_input_is_unseen(hidden):
    first, *rest = nn.autoregressive_masks(784, hidden)
    reach = first
    for mask in rest:
        reach = (mask @ reach > 0).astype(np.float32)
    assert not np.triu(reach).any()  # output d sees the inputs before d only
    if len(hidden) == 1:
        assert np.flatnonzero(~reach.any(axis=0)).tolist() == [783]
