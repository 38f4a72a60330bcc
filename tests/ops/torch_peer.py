"""The comparison with PyTorch in float64 that all tests beside it share."""

import numpy as np
import torch

import tinyae as ta


def assert_same(ours, theirs, *values):
    """Value, gradients and gradients of gradients of two functions of the same arrays, for random cotangents."""
    leaves, peers = [ta.Tensor(v, requires_grad=True) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
    y, z = ours(*leaves), theirs(*peers)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-11, atol=1e-12)
    cotangent = np.random.default_rng(0).normal(size=y.shape)
    first = ta.grad(y, leaves, cotangent, create_graph=True)
    expected = torch.autograd.grad(z, peers, torch.tensor(cotangent), create_graph=True)
    for g, h in zip(first, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), h.detach().numpy(), rtol=1e-10, atol=1e-12)
    total, other = (sum((g * g).sum() for g in gradients) for gradients in (first, expected))
    second = ta.grad(total, leaves) if total.requires_grad else [ta.Tensor(np.zeros(x.shape)) for x in leaves]
    expected = torch.autograd.grad(other, peers, allow_unused=True) if other.requires_grad else [None] * len(peers)
    for g, h in zip(second, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), np.zeros(g.shape) if h is None else h.numpy(force=True), rtol=1e-9, atol=1e-11)
