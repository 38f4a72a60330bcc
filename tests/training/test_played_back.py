"""A replay computes what the engine computes, to the last bit; what it cannot play back is refused or found out."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.autograd import raw
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, GraphError, ShapeError
from tinyae.kernels import plain
from tinyae.training import replay as replay_module

DIGITS = ta.data.load("digits").binarise("threshold")
MODELS = {
    "vae": {"hidden": (16,)},
    "beta-vae": {"hidden": (16, 8), "beta": 3.0},
    "capacity-vae": {"hidden": (16,)},
    "iwae": {"hidden": (16,)},
    "autoencoder": {"hidden": (16,)},
    "sparse-autoencoder": {"hidden": (16,)},
}


def built(kind, **more):
    settings = {"model": kind, "features": 64, "latent": 2} | MODELS.get(kind, {}) | more
    return ta.models.build(settings, ta.rng(0))


def noise_of(model, x, step):
    draws = {"draws": (model.samples,)} if isinstance(model, ta.models.IWAE) else {}
    return [model.draw_noise(len(x), rng=ta.rng(1).stream("noise", step), **draws)] if hasattr(model, "draw_noise") else []


def trained(model, replayed, steps=25):
    """(terms of every step, weights at the end)."""
    adam, found = ta.optim.Adam(model.parameters()), []
    step = ta.Replay(model) if replayed else None
    for k in range(steps):
        x = to_device(DIGITS.take(slice(32 * k, 32 * k + (32 if k % 5 else 20)), None))
        noise = noise_of(model, x, k)
        adam.zero_grad()
        if replayed:
            terms = step(x, *noise)
        else:
            terms = model.loss(x, **dict(zip(("noise",), noise, strict=False)))._asdict()
            terms["loss"].backward()
        adam.step()
        found.append({name: to_numpy(getattr(term, "data", term)).tobytes() for name, term in terms.items()})
    return found, model.state_dict(), step


@pytest.mark.parametrize("kind", MODELS)
def test_a_training_played_back_ends_in_the_same_bits(kind, backend, monkeypatch):
    monkeypatch.setattr(replay_module, "EVERY", 10**9)  # after the first calls on new data nothing is checked: the program alone must be right
    found, weights, step = trained(built(kind), True)
    terms, expected, _ = trained(built(kind), False)
    assert found == terms
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert len(step.programs) == 2  # two sizes of batches
    assert step.checked == 2
    assert step.calls == 25


def test_convolutions_and_kernels_are_played_back(backend):
    model = built("vae", channels=(4,), image_shape=(8, 8))
    assert trained(model, True, 6)[0] == trained(built("vae", channels=(4,), image_shape=(8, 8)), False, 6)[0]


def test_the_plain_code_is_another_program():
    x, model = DIGITS.take(slice(0, 8), None), built("vae")
    step, noise = ta.Replay(model), noise_of(built("vae"), np.empty(8), 0)
    step(x, *noise)
    with plain():
        step(x, *noise)
    assert len(step.programs) == 2


def test_what_the_objective_and_the_modules_say_now_is_what_counts():
    model = built("beta-vae")
    step, x = ta.Replay(model), DIGITS.take(slice(0, 32), None)
    (noise,) = noise_of(model, x, 0)
    for beta in (3.0, 0.5, 3.0):
        model.objective.beta = beta
        for _ in range(3):
            assert step(x, noise)["loss"] == model.loss(x, noise=noise).loss.data
    assert len(step.programs) == 2
    model.eval()
    step(x, noise)
    assert len(step.programs) == 3
    for k in range(30):  # a schedule that never stands still: by the engine, in the end
        model.objective.beta = k / 30
        assert step(x, noise)["loss"] == model.loss(x, noise=noise).loss.data
    assert len(step.programs) == replay_module.MOST


def test_gradients_are_added_up_and_nothing_is_recorded_without_need():
    model = built("vae")
    step, x = ta.Replay(model), DIGITS.take(slice(0, 32), None)
    (noise,) = noise_of(model, x, 0)
    step(x, noise)
    once = [p.grad.copy() for p in model.parameters()]
    step(x, noise)
    assert all(np.array_equal(p.grad, 2 * g) for p, g in zip(model.parameters(), once, strict=True))
    for p in model.parameters():
        p.grad = None
    with ta.no_grad():
        assert step(x, noise)["loss"] == model.loss(x, noise=noise).loss.data
    assert all(p.grad is None for p in model.parameters())


class Own(nn.Module):
    """A linear layer, and what a subclass does to its result."""

    def __init__(self):
        self.layer, self.calls = nn.Linear(64, 64, rng=ta.rng(0)), 0
        self.norm, self.dropout = nn.BatchNorm1d(64), nn.Dropout(0.5, rng=ta.rng(1))

    def loss(self, x):
        """The squared error of what is made of the layer's result."""
        return ops.square(self.made(self.layer(x), x) - x).sum(axis=-1).mean()


class Dropped(Own):
    made = lambda self, y, x: self.dropout(y)  # noqa: E731


class Normed(Own):
    made = lambda self, y, x: self.norm(y)  # noqa: E731


class Widened(Own):
    made = lambda self, y, x: y * np.float32(raw(x).mean())  # noqa: E731


class Counting(Own):
    def made(self, y, x):
        """Another factor from the fiftieth call on."""
        self.calls += 1
        return y * (2.0 if self.calls > 50 else 1.0)


class Wrapped(Own):
    made = lambda self, y, x: self.layer(ta.Tensor(raw(x), requires_grad=True))  # noqa: E731

    def loss(self, x):
        """Of a leaf made of x."""
        return self.made(None, x).sum()


class Outside(Own):
    def __init__(self):
        super().__init__()
        self.before = self.layer.weight * 2.0

    def made(self, y, x):
        """With what was computed when the model was made."""
        return y + self.before.sum()


def batches(n=200):
    return [DIGITS.take(slice(5 * k, 5 * k + 20), None) for k in range(n)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Dropped, "random numbers of its own"),
        (Normed, "changes a buffer"),
        (Outside, "computed before it"),
        (Wrapped, "no operation is given x itself"),
    ],
)
def test_what_would_be_frozen_is_refused_at_once(kind, message):
    model = kind()
    step, before = ta.Replay(model), (model.state_dict(), repr([stream.state() for _, stream in model.named_streams()]))
    with pytest.raises(GraphError, match=message):
        step(batches(1)[0])
    assert all(np.array_equal(value, before[0][name]) for name, value in model.state_dict().items())
    assert repr([stream.state() for _, stream in model.named_streams()]) == before[1]


def test_what_is_computed_outside_of_operations_is_found_on_new_data():
    step = ta.Replay(Widened())
    step(batches(1)[0])
    with pytest.raises(GraphError, match="loss is no longer what the engine computes"):
        step(batches(2)[1])


def test_a_decision_that_changes_later_is_found_within_a_hundred_calls():
    model = Counting()
    step, found = ta.Replay(model), [0]

    def go_on():
        for x in batches():
            model.calls, found[0] = found[0], found[0] + 1
            step(x)

    with pytest.raises(GraphError, match="no longer what the engine computes"):
        go_on()
    assert found[0] <= replay_module.EVERY + 1


def test_a_model_in_evaluation_without_dropout_is_played_back():
    model = Dropped()
    model.eval()
    step = ta.Replay(model)
    for x in batches(5):
        assert step(x)["loss"] == model.loss(x).data


def test_inputs_are_arrays_as_the_operations_take_them():
    model = built("vae")
    x = DIGITS.take(slice(0, 8), None)
    (noise,) = noise_of(model, x, 0)
    for wrong in ((x,), (x, noise, noise), (x.tolist(), noise), (ta.Tensor(x), noise)):
        with pytest.raises(ArgumentError, match="replay: it takes the arrays of the loss"):
            ta.Replay(model)(*wrong)
    with pytest.raises(ArgumentError, match="arrays have the dtype of the weights"):
        ta.Replay(model)(x.astype(np.float64), noise)
    with pytest.raises(ShapeError):
        ta.Replay(model)(x, noise[:3])


def test_a_parameter_that_was_converted_or_frozen_is_noticed():
    for change in (lambda model: model.astype("float64"), lambda model: model.encoder.freeze()):
        model = built("vae")
        step, x = ta.Replay(model), DIGITS.take(slice(0, 8), None)
        (noise,) = noise_of(model, x, 0)
        step(x, noise)
        change(model)
        with pytest.raises(GraphError, match="converted or frozen since the recording"):
            step(x, noise)


def test_a_rule_that_changes_is_found_by_the_check(monkeypatch):
    monkeypatch.setattr(replay_module, "EVERY", 5)
    model = built("vae")
    step, many = ta.Replay(model), batches(20)
    step(many[0], *noise_of(model, many[0], 0))
    monkeypatch.setitem(next(iter(step.programs.values())).space, "one_like", lambda y: 2 * np.ones_like(y))
    with pytest.raises(GraphError, match=r"the gradient of encoder\.0\.weight is no longer"):
        step(many[1], *noise_of(model, many[1], 1))
