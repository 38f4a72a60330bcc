"""Jacobians, and products with Jacobians and Hessians, against exact ones, finite differences and each other."""

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import strategies
from tinyae.errors import GraphError, ShapeError

EXACT = [operation for operation in ops.registry.values() if not operation.surrogate]


def leaf(array):
    return ta.Tensor(to_device(np.asarray(array, np.float64)), requires_grad=True)


def test_the_jacobian_of_a_softmax_is_known(backend, rng):
    x = leaf(rng.normal(size=4))
    y = ops.exp(x) / ops.exp(x).sum()
    (found,) = ta.jacobian(y, [x])
    s = y.numpy()
    np.testing.assert_allclose(found.numpy(), np.diag(s) - np.outer(s, s), atol=1e-14)


def test_the_jacobian_has_the_axes_of_the_result_and_then_those_of_the_input(rng):
    x, w = leaf(rng.normal(size=(2, 3))), leaf(rng.normal(size=(3, 4)))
    in_x, in_w = ta.jacobian(x @ w, [x, w])
    assert (in_x.shape, in_w.shape) == ((2, 4, 2, 3), (2, 4, 3, 4))
    np.testing.assert_allclose(in_x.numpy(), np.einsum("ik,lj->ijkl", np.eye(2), w.numpy()))
    np.testing.assert_allclose(in_w.numpy(), np.einsum("il,jm->ijlm", x.numpy(), np.eye(4)))


def test_a_jacobian_can_be_differentiated(rng):
    """The contractive penalty: the squared Jacobian of tanh(x w), whose gradient is compared with differences."""
    x, w = rng.normal(size=3), rng.normal(size=(3, 2))

    def penalty(w):
        point = ta.Tensor(x, requires_grad=True)
        return ops.square(ta.jacobian(ops.tanh(point @ w), [point], create_graph=True)[0]).sum()

    assert ta.checks.gradcheck(penalty, [w]).worst < 1e-6


def test_results_of_no_entries_and_of_no_axes_have_jacobians(rng):
    x = leaf(rng.normal(size=3))
    assert ta.jacobian(x[:0] * 2.0, [x])[0].shape == (0, 3)
    assert ta.jacobian((x * x).sum(), [x])[0].numpy().tolist() == (2 * x.numpy()).tolist()


def test_a_jvp_is_the_slope_along_its_tangents(backend, rng):
    x, w, vx, vw = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    inputs = leaf(x), leaf(w)
    found = ta.jvp(ops.tanh(inputs[0] @ inputs[1]), inputs, [to_device(vx), to_device(vw)])
    h = 1e-5
    slope = (np.tanh((x + h * vx) @ (w + h * vw)) - np.tanh((x - h * vx) @ (w - h * vw))) / (2 * h)
    np.testing.assert_allclose(to_numpy(found.data), slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("operation", EXACT, ids=lambda p: p.name)
@hypothesis.settings(max_examples=5, suppress_health_check=list(hypothesis.HealthCheck))
@given(data=hypothesis.strategies.data())
def test_the_two_products_with_a_jacobian_agree(operation, data):
    """u (J v) = (u J) v, whatever u and v: forward and reverse mode of every primitive."""
    values, attributes = data.draw(strategies.inputs(operation))
    inputs = [leaf(v) if v.dtype.kind == "f" else v for v in values]
    wanted = [x for x in inputs if isinstance(x, ta.Tensor)]
    y = operation(*inputs, **attributes)
    rng = np.random.default_rng(0)
    u, tangents = rng.normal(size=y.shape), [rng.normal(size=x.shape) for x in wanted]
    forward = ta.jvp(y, wanted, tangents)
    assert forward.shape == y.shape
    reverse = ta.grad(y, wanted, np.asarray(u))
    np.testing.assert_allclose((u * forward.numpy()).sum(), sum((g.numpy() * v).sum() for g, v in zip(reverse, tangents, strict=True)), atol=1e-10)


def test_a_hessian_vector_product_of_a_quadratic_form_is_its_matrix(backend, rng):
    a, v = rng.normal(size=(3, 3)), rng.normal(size=3)
    x = leaf(rng.normal(size=3))
    (found,) = ta.hessian_vector_product((x * (to_device(a) @ x)).sum(), [x], [to_device(v)])
    np.testing.assert_allclose(found.numpy(), (a + a.T) @ v)


def test_a_hessian_vector_product_is_the_hessian_times_the_vector(rng):
    x, v = leaf(rng.normal(size=(2, 2))), rng.normal(size=(2, 2))
    y = ops.tanh(x @ x).sum()
    (gradient,) = ta.grad(y, [x], create_graph=True)
    (hessian,) = ta.jacobian(gradient, [x])
    (found,) = ta.hessian_vector_product(y, [x], [v])
    np.testing.assert_allclose(hessian.numpy().reshape(4, 4), hessian.numpy().reshape(4, 4).T, atol=1e-13)
    np.testing.assert_allclose(found.numpy().ravel(), hessian.numpy().reshape(4, 4) @ v.ravel(), atol=1e-13)


def test_the_curvature_of_a_model_along_a_direction_is_that_of_differences(rng):
    model = ta.models.VAE(6, 2, (4,), rng=ta.rng(0)).astype("float64")
    x, noise = rng.uniform(size=(5, 6)), rng.normal(size=(5, 2))
    parameters = list(model.parameters())
    directions = [rng.normal(size=p.shape) for p in parameters]
    products = ta.hessian_vector_product(model.loss(x, noise=noise).loss, parameters, directions)
    found = sum((p.numpy() * d).sum() for p, d in zip(products, directions, strict=True))

    def along(t):
        for p, d in zip(parameters, directions, strict=True):
            p.assign(p.data + t * d)
        value = model.loss(x, noise=noise).loss.item()
        for p, d in zip(parameters, directions, strict=True):
            p.assign(p.data - t * d)
        return value

    h = 1e-3
    curvature = (-along(2 * h) + 16 * along(h) - 30 * along(0.0) + 16 * along(-h) - along(-2 * h)) / (12 * h * h)
    assert abs(found - curvature) < 1e-5 * abs(curvature)


def test_what_does_not_depend_on_an_input_is_flat(rng):
    x, unused = leaf(rng.normal(size=2)), leaf(rng.normal(size=3))
    assert ta.jvp(x * x, [unused], [np.ones(3)]).numpy().tolist() == [0, 0]
    assert ta.hessian_vector_product((x * 3.0).sum(), [x], [np.ones(2)])[0].numpy().tolist() == [0, 0]
    assert ta.jacobian(x * x, [unused])[0].numpy().tolist() == np.zeros((2, 3)).tolist()


def test_a_direction_has_the_shape_of_its_input(rng):
    x = leaf(rng.normal(size=2))
    for tangents in ([np.ones(3)], [[1.0, 1.0]], [], [np.ones(2), np.ones(2)]):
        with pytest.raises(ShapeError, match="a direction for each input, an array of its shape"):
            ta.jvp(x * x, [x], tangents)
    with pytest.raises(GraphError, match="more than one entry"):
        ta.hessian_vector_product(x * x, [x], [np.ones(2)])
    with pytest.raises(GraphError, match="jvp: the inputs are a list"):
        ta.jvp(x * x, x, [np.ones(2)])
