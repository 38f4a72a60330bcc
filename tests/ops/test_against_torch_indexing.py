"""Shapes, indexing and linear algebra against PyTorch in float64: values and gradients, attributes varied."""

import numpy as np
import pytest

from tinyae import ops

torch = pytest.importorskip("torch")
assert_same = pytest.importorskip("torch_peer").assert_same
assert_same = pytest.importorskip("torch_peer").assert_same
pytestmark = pytest.mark.bench

INDEX = np.array([[0, 3, 3, 1], [2, 2, 0, 0], [1, 3, 0, 2]])


def lower(x):
    """A well-conditioned triangle from any matrix, in both libraries."""
    return x / 3 + 2 * (np.eye(x.shape[-1]) if not isinstance(x, torch.Tensor) else torch.eye(x.shape[-1], dtype=x.dtype))


CASES = {
    "squeeze": (lambda x: ops.squeeze(x, axis=1), lambda x: x.squeeze(1), [(2, 1, 3)]),
    "expand_dims": (lambda x: ops.expand_dims(x, axis=-2), lambda x: x.unsqueeze(-2), [(2, 3)]),
    "stack": (lambda *x: ops.stack(x, axis=-1), lambda *x: torch.stack(x, -1), [(2, 3)] * 3),
    "split": (lambda x: ops.split(x, [1, 3], axis=1)[1] * 2, lambda x: torch.tensor_split(x, [1, 3], 1)[1] * 2, [(2, 5)]),
    "pad": (lambda x: ops.pad(x, pad_width=((1, 0), (2, 3)), value=0.5), lambda x: torch.nn.functional.pad(x, (2, 3, 1, 0), value=0.5), [(2, 3)]),
    "flip": (lambda x: ops.flip(x, axis=(0, 2)), lambda x: x.flip(0, 2), [(2, 3, 4)]),
    "repeat": (lambda x: ops.repeat(x, repeats=3, axis=1), lambda x: x.repeat_interleave(3, 1), [(2, 3)]),
    "index arrays": (lambda x: x[[0, 2, 0], :, [1, 1, 1]], lambda x: x[[0, 2, 0], :, [1, 1, 1]], [(3, 2, 4)]),
    "gather": (lambda x: ops.gather(x, index=INDEX, axis=1), lambda x: torch.gather(x, 1, torch.tensor(INDEX)), [(3, 4)]),
    "gather rows": (lambda x: ops.gather(x, index=INDEX, axis=0), lambda x: torch.gather(x, 0, torch.tensor(INDEX)), [(5, 4)]),
    "take": (lambda x: ops.take(x, INDEX, axis=-1), lambda x: x[..., torch.tensor(INDEX)], [(2, 4)]),
    "take of all": (lambda x: ops.take(x, INDEX), lambda x: torch.take(x, torch.tensor(INDEX)), [(2, 4)]),
    "sort": (lambda x: ops.sort(x, axis=0), lambda x: torch.sort(x, 0).values, [(5, 3)]),
    "top_k": (lambda x: ops.top_k(x, 2, axis=1)[0], lambda x: torch.topk(x, 2, 1).values, [(3, 5)]),
    "matmul": (ops.matmul, torch.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "outer": (ops.outer, torch.outer, [(3,), (4,)]),
    "diagonal": (lambda x: ops.diagonal(x, offset=-1, axis1=2, axis2=0), lambda x: torch.diagonal(x, -1, 2, 0), [(3, 2, 4)]),
    "tril": (lambda x: ops.tril(x, k=1), lambda x: torch.tril(x, 1), [(2, 3, 4)]),
    "triu": (lambda x: ops.triu(x, k=-1), lambda x: torch.triu(x, -1), [(2, 3, 4)]),
    "solve_triangular": (
        lambda a, b: ops.solve_triangular(lower(a), b),
        lambda a, b: torch.linalg.solve_triangular(lower(a), b, upper=False),
        [(4, 4), (2, 4, 3)],
    ),
    "solve_triangular upper": (
        lambda a, b: ops.solve_triangular(lower(a), b, lower=False),
        lambda a, b: torch.linalg.solve_triangular(lower(a), b, upper=True),
        [(2, 4, 4), (4, 3)],
    ),
    "log_det_triangular": (lambda a: ops.log_det_triangular(lower(a)), lambda a: torch.linalg.slogdet(torch.tril(lower(a)))[1], [(2, 4, 4)]),
}
EINSUMS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "bij,bjk->kb": [(2, 3, 4), (2, 4, 5)],
    "ii": [(3, 3)],
    "iij->ji": [(3, 3, 2)],
    "ij->": [(2, 3)],
    "ij->j": [(2, 3)],
    "i,j,ij": [(2,), (3,), (2, 3)],
    "ab,bc,cd,de->ea": [(2, 3), (3, 2), (2, 4), (4, 2)],
    "ij,k->k": [(2, 3), (4,)],
    "nchw,oc->nohw": [(2, 3, 2, 2), (4, 3)],
}
CASES |= {s: (lambda *x, s=s: ops.einsum(s, *x), lambda *x, s=s: torch.einsum(s, *x), shapes) for s, shapes in EINSUMS.items()}


@pytest.mark.parametrize(("ours", "theirs", "shapes"), CASES.values(), ids=CASES)
def test_values_and_gradients_are_pytorchs(ours, theirs, shapes, rng):
    assert_same(ours, theirs, *(rng.normal(size=shape) for shape in shapes))
