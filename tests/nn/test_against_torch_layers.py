"""Layers against PyTorch in float32: names, shapes, weights that move both ways, outputs, gradients, running statistics."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tinyae as ta
from tinyae import nn, ops

torch = pytest.importorskip("torch")
safe = pytest.importorskip("safetensors.torch")
pytestmark = pytest.mark.bench
T = torch.nn
RNG = ta.rng(0)

# ours, theirs, the shape of the input
PAIRS = [
    (lambda: nn.Linear(4, 3, rng=RNG), lambda: T.Linear(4, 3), (5, 4)),
    (lambda: nn.Linear(in_features=4, out_features=3, bias=False, rng=RNG), lambda: T.Linear(in_features=4, out_features=3, bias=False), (5, 2, 4)),
    (lambda: nn.Conv1d(2, 3, 3, rng=RNG), lambda: T.Conv1d(2, 3, 3), (4, 2, 9)),
    (lambda: nn.Conv1d(2, 3, 3, 2, 1, 2, bias=False, rng=RNG), lambda: T.Conv1d(2, 3, 3, 2, 1, 2, bias=False), (4, 2, 9)),
    (lambda: nn.Conv2d(3, 4, 4, stride=2, padding=1, rng=RNG), lambda: T.Conv2d(3, 4, 4, stride=2, padding=1), (4, 3, 9, 7)),
    (lambda: nn.Conv2d(2, 3, (3, 2), (1, 2), (0, 1), (2, 1), rng=RNG), lambda: T.Conv2d(2, 3, (3, 2), (1, 2), (0, 1), (2, 1)), (4, 2, 8, 6)),
    (lambda: nn.ConvTranspose1d(2, 3, 4, 2, 1, 1, rng=RNG), lambda: T.ConvTranspose1d(2, 3, 4, 2, 1, 1), (4, 2, 5)),
    (lambda: nn.ConvTranspose1d(2, 3, 3, dilation=2, rng=RNG), lambda: T.ConvTranspose1d(2, 3, 3, dilation=2), (4, 2, 5)),
    (
        lambda: nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1, output_padding=(1, 0), rng=RNG),
        lambda: T.ConvTranspose2d(3, 2, 4, stride=2, padding=1, output_padding=(1, 0)),
        (4, 3, 4, 3),
    ),
    (lambda: nn.ConvTranspose2d(3, 2, (2, 3), bias=False, rng=RNG), lambda: T.ConvTranspose2d(3, 2, (2, 3), bias=False), (4, 3, 4, 3)),
    (lambda: nn.BatchNorm1d(3), lambda: T.BatchNorm1d(3), (6, 3)),
    (lambda: nn.BatchNorm1d(3, eps=1e-2, momentum=0.3), lambda: T.BatchNorm1d(3, eps=1e-2, momentum=0.3), (6, 3, 4)),
    (lambda: nn.BatchNorm2d(3), lambda: T.BatchNorm2d(3), (4, 3, 5, 2)),
    (lambda: nn.BatchNorm2d(3, momentum=None), lambda: T.BatchNorm2d(3, momentum=None), (4, 3, 5, 2)),
    (lambda: nn.LayerNorm(5), lambda: T.LayerNorm(5), (4, 3, 5)),
    (lambda: nn.LayerNorm((3, 5), eps=1e-2), lambda: T.LayerNorm((3, 5), eps=1e-2), (4, 3, 5)),
    (lambda: nn.GroupNorm(2, 6), lambda: T.GroupNorm(2, 6), (4, 6, 3, 2)),
    (lambda: nn.GroupNorm(num_groups=3, num_channels=6, eps=1e-2), lambda: T.GroupNorm(num_groups=3, num_channels=6, eps=1e-2), (4, 6)),
    (lambda: nn.MaxPool1d(2), lambda: T.MaxPool1d(2), (4, 2, 7)),
    (lambda: nn.MaxPool2d((3, 2), stride=2), lambda: T.MaxPool2d((3, 2), stride=2), (4, 2, 7, 6)),
    (lambda: nn.AvgPool1d(3, 1), lambda: T.AvgPool1d(3, 1), (4, 2, 7)),
    (lambda: nn.AvgPool2d(2), lambda: T.AvgPool2d(2), (4, 2, 7, 6)),
    (lambda: nn.Upsample(scale_factor=3), lambda: T.Upsample(scale_factor=3), (4, 2, 3)),
    (lambda: nn.Upsample(scale_factor=(2, 1)), lambda: T.Upsample(scale_factor=(2, 1)), (4, 2, 3, 4)),
    (lambda: nn.Flatten(), lambda: T.Flatten(), (4, 2, 3)),
    (lambda: nn.Flatten(0, -2), lambda: T.Flatten(0, -2), (4, 2, 3)),
    (lambda: nn.Unflatten(1, (2, 3)), lambda: T.Unflatten(1, (2, 3)), (4, 6, 2)),
    (lambda: nn.ReLU(), lambda: T.ReLU(), (4, 5)),
    (lambda: nn.Tanh(), lambda: T.Tanh(), (4, 5)),
    (lambda: nn.Sigmoid(), lambda: T.Sigmoid(), (4, 5)),
    (lambda: nn.Softplus(), lambda: T.Softplus(), (4, 5)),
    (lambda: nn.LeakyReLU(), lambda: T.LeakyReLU(), (4, 5)),
    (lambda: nn.LeakyReLU(negative_slope=0.3), lambda: T.LeakyReLU(negative_slope=0.3), (4, 5)),
    (lambda: nn.ELU(), lambda: T.ELU(), (4, 5)),
    (lambda: nn.ELU(alpha=2.0), lambda: T.ELU(alpha=2.0), (4, 5)),
    (lambda: nn.GELU(), lambda: T.GELU(approximate="tanh"), (4, 5)),
    (lambda: nn.SiLU(), lambda: T.SiLU(), (4, 5)),
]  # fmt: skip
PAIRS = [pytest.param(*pair, id=f"{type(pair[0]()).__name__}-{i}") for i, pair in enumerate(PAIRS)]


def assert_close(ours, theirs, what):
    """Equal to 1e-5 of the largest number."""
    theirs = theirs.detach().numpy()
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), what
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * max(1, abs(theirs).max()), err_msg=what)


def same_state(ours, theirs):
    """Equal names in the same order, shapes, dtypes and values."""
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for name in a:
        assert_close(a[name], b[name], name)


def move(ours, theirs, folder, rng):
    """Random weights of theirs into ours, and others of ours into theirs, through a file each way."""
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.tensor(rng.normal(size=p.shape)))
    safe.save_file(theirs.state_dict(), folder / "theirs.safetensors")
    ours.load_state_dict(load_file(folder / "theirs.safetensors"))
    same_state(ours, theirs)
    for p in ours.parameters():
        p.assign(rng.normal(size=p.shape))
    save_file(ours.state_dict(), folder / "ours.safetensors")
    theirs.load_state_dict(safe.load_file(folder / "ours.safetensors"), strict=True)
    same_state(ours, theirs)


def assert_same(ours, theirs, x, cotangent):
    """Outputs and all gradients."""
    leaf, peer = ta.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(leaf), theirs(peer)
    assert_close(y.numpy(), z, "output")
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.grad = q.grad = None
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    assert_close(leaf.grad, peer.grad, "gradient of x")
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, q.grad, f"gradient of {name}")


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_a_layer_is_pytorchs(ours, theirs, shape, rng, tmp_path):
    ours, theirs = ours(), theirs()
    assert type(ours).__name__ == type(theirs).__name__
    for (name, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (name, p.shape) == (other, tuple(q.shape))
        assert (np.ptp(q.detach().numpy()) == 0) == (np.ptp(p.numpy()) == 0), "the same kind of initial values"
    move(ours, theirs, tmp_path, rng)
    cotangent = rng.normal(size=theirs(torch.zeros(shape)).shape).astype(np.float32)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})  # the zeros have moved running statistics
    for _ in range(4):  # running statistics after several steps
        assert_same(ours, theirs, rng.normal(1, 2, size=shape).astype(np.float32), cotangent)
        same_state(ours, theirs)
    ours.eval(), theirs.eval()
    assert_same(ours, theirs, rng.normal(size=shape).astype(np.float32), cotangent)
    same_state(ours, theirs)


def test_an_embedding_is_pytorchs(rng, tmp_path):
    ours, theirs, labels = nn.Embedding(6, 3, rng=RNG), T.Embedding(6, 3), rng.integers(0, 6, size=(4, 2))
    move(ours, theirs, tmp_path, rng)
    y, z, cotangent = ours(labels), theirs(torch.tensor(labels)), rng.normal(size=(4, 2, 3)).astype(np.float32)
    assert_close(y.numpy(), z, "output")
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    assert_close(ours.weight.grad, theirs.weight.grad, "gradient")


@pytest.mark.parametrize(
    "ours", [lambda: nn.Conv2d(8, 40, 4, rng=RNG), lambda: nn.ConvTranspose2d(40, 64, 4, rng=RNG), lambda: nn.Linear(128, 50, rng=RNG)]
)
def test_initial_values_have_pytorchs_bounds(ours):
    ours = ours()
    torch.manual_seed(0)
    theirs = getattr(T, type(ours).__name__)(*([128, 50] if ours.weight.ndim == 2 else [*ours.weight.shape[:2], 4]))
    if isinstance(ours, nn.Conv2d):
        theirs = T.Conv2d(8, 40, 4)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert abs(np.abs(p.numpy()).max() / q.detach().abs().max().item() - 1) < (0.01 if p.ndim > 1 else 0.2)


def vae(library, **rng):
    """The encoder and decoder of a convolutional VAE as a chain, in either library: the code is the encoder's output."""
    a, latent = library, 5
    return a.Sequential(
        a.Unflatten(1, (1, 12, 12)),
        a.Conv2d(1, 4, 4, stride=2, padding=1, **rng), a.BatchNorm2d(4), a.ReLU(),
        a.Conv2d(4, 8, 4, stride=2, padding=1, **rng), a.GroupNorm(2, 8), a.SiLU(),
        a.Flatten(), a.Linear(72, 16, **rng), a.LayerNorm(16), a.Tanh(), a.Linear(16, latent, **rng),
        a.Linear(latent, 72, **rng), a.BatchNorm1d(72), a.ELU(), a.Unflatten(1, (8, 3, 3)),
        a.ConvTranspose2d(8, 4, 4, stride=2, padding=1, **rng), a.LeakyReLU(), a.Upsample(scale_factor=2), a.Conv2d(4, 1, 3, padding=1, **rng),
        a.Flatten(),
    )  # fmt: skip


def test_a_convolutional_network_trains_as_in_pytorch(rng, tmp_path):
    ours, theirs = vae(nn, rng=RNG), vae(T)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    adam, other = ta.optim.Adam(ours.parameters(), lr=1e-3), torch.optim.Adam(theirs.parameters(), lr=1e-3)
    for _ in range(3):
        x = (rng.uniform(size=(16, 144)) < 0.4).astype(np.float32)
        loss = ops.bce_with_logits(ours(x), x).mean()
        peer = T.functional.binary_cross_entropy_with_logits(theirs(torch.tensor(x)), torch.tensor(x), reduction="none").sum(-1).mean()
        assert abs(loss.item() / peer.item() - 1) < 1e-5
        adam.zero_grad(), other.zero_grad()
        loss.backward(), peer.backward()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert_close(p.grad, q.grad, name)
        adam.step(), other.step()
    save_file(ours.state_dict(), tmp_path / "ours.safetensors")
    theirs.load_state_dict(safe.load_file(tmp_path / "ours.safetensors"), strict=True)
    same_state(ours, theirs)
    x = torch.tensor(x)
    assert_close(ours.eval()(x.numpy()).numpy(), theirs.eval()(x), "in evaluation")


def test_helpers_build_what_pytorch_would(rng, tmp_path):
    ours = nn.conv_encoder((9, 7), (3, 4), (6,), 5, rng=RNG)
    theirs = T.Sequential(
        T.Unflatten(1, (1, 9, 7)),
        T.Conv2d(1, 3, 4, 2, 1),
        T.ReLU(),
        T.Conv2d(3, 4, 4, 2, 1),
        T.ReLU(),
        T.Flatten(),
        T.Linear(8, 6),
        T.ReLU(),
        T.Linear(6, 5),
    )
    move(ours, theirs, tmp_path, rng)
    assert_same(ours, theirs, rng.normal(size=(3, 63)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32))
    ours = nn.conv_decoder(5, (6,), (3, 4), (9, 7), rng=RNG)
    theirs = T.Sequential(
        T.Linear(5, 6), T.ReLU(), T.Linear(6, 8), T.Unflatten(1, (4, 2, 1)), T.ReLU(), T.ConvTranspose2d(4, 3, 4, 2, 1, (0, 1)), T.ReLU(),
        T.ConvTranspose2d(3, 1, 4, 2, 1, (1, 1)), T.Flatten(),
    )  # fmt: skip
    move(ours, theirs, tmp_path, rng)
    assert_same(ours, theirs, rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(3, 63)).astype(np.float32))
