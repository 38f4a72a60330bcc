"""fit on what users bring: models in another style, odd settings, steps that are skipped; and what a refusal leaves behind."""

import json

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.errors import ArgumentError, RunError
from tinyae.training import Run
from tinyae.training.monitor import look
from tinyae.training.state import State

DIGITS = ta.data.load("digits").binarise("threshold")


class Linear(nn.Module):
    """A linear map of x to itself.  Subclasses add what other projects call by our names."""

    def __init__(self, features=64, seed=0):
        self.layer = nn.Linear(features, features, rng=ta.rng(seed))

    def loss(self, x):
        """The squared error."""
        return ops.square(self.layer(x) - x).sum(axis=-1).mean()


class EncodesOnly(Linear):
    """No decode."""

    def encode(self, x):
        """A Tensor."""
        return self.layer(x)


class EncodesPairs(EncodesOnly):
    """Two arrays, and a decode that takes one."""

    def encode(self, x):
        """A pair."""
        return self.layer(x), self.layer(x)

    def decode(self, z):
        """A Tensor."""
        return self.layer(z)


class NamesItsParts(Linear):
    """Attributes that mean something else here."""

    def __init__(self):
        super().__init__()
        self.features, self.likelihood, self.config = nn.Linear(64, 64, rng=ta.rng(1)), "gaussian", object()


class ReturnsDict(Linear):
    """Terms by name."""

    def loss(self, x):
        """A dict."""
        loss = super().loss(x)
        return {"loss": loss, "half": loss / 2.0}


@pytest.mark.parametrize("kind", [EncodesOnly, EncodesPairs, NamesItsParts, ReturnsDict])
def test_a_model_in_another_style_is_trained_and_kept(kind, tmp_path):
    history = ta.fit(kind(), DIGITS, epochs=2, progress=False, run=Run(tmp_path / "run", "own", {}))
    assert len(history) == 2
    assert history["train_loss"][1] < history["train_loss"][0]
    again = kind()
    assert ta.fit(again, DIGITS, epochs=3, progress=False, run=Run.open(tmp_path / "run"), resume=True)["train_loss"][:2] == history["train_loss"]
    ta.save(again, tmp_path / "own.safetensors")


def test_a_batch_that_is_skipped_does_not_end_the_training():
    """Its gradient is too large for float32, or its loss is: without skip_norm either is told."""
    for bad in (1e11, 1e25):
        x = ta.rng(0).normal((1000, 4))
        x[500] = bad
        model = Linear(4)
        with np.errstate(over="ignore", invalid="ignore"):
            history = ta.fit(model, x, epochs=2, batch_size=100, skip_norm=100.0, progress=False)
            assert history["skipped"] == [0.1, 0.1]
            assert all(np.isfinite(p.data).all() for p in model.parameters())
            with pytest.raises(ta.errors.DataError, match="not a finite number in epoch 1"):
                ta.fit(Linear(4), x, epochs=2, batch_size=100, progress=False)
            with pytest.raises(ta.errors.DataError, match="not a finite number"):  # no step is left
                ta.fit(Linear(4), np.full((200, 4), 1e25, np.float32), skip_norm=1.0, progress=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"skip_norm": -1.0}, {"skip_norm": np.nan}, {"clip_norm": 0.0}, {"optimizer": []}, {"optimizer": Linear()}, {"batch_size": 128.0},
        {"schedules": {"lr": lambda t: None}}, {"schedules": {"lr": lambda t: -1.0}}, {"schedules": {"lr": lambda t: np.nan}},
    ],
)  # fmt: skip
def test_settings_that_would_train_nothing_are_refused(settings):
    model = Linear()
    before = model.state_dict()
    with pytest.raises(ArgumentError):
        ta.fit(model, DIGITS, epochs=1, progress=False, **settings)
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


def test_a_schedule_may_give_a_numpy_number():
    model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
    ta.fit(model, DIGITS, epochs=1, schedules={"beta": lambda t: np.minimum(1.0, t / 2), "lr": lambda t: np.float64(1e-3)}, progress=False)
    assert type(model.objective.beta) is float
    assert model.loss(DIGITS.take(slice(0, 5), ta.rng(0)), rng=ta.rng(0)).loss.dtype == np.float32


def test_who_resumes_without_patience_trains_on(tmp_path):
    train, validation = DIGITS.hold_out(0.1)

    def go(epochs, run, **settings):
        model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
        return model, ta.fit(model, train, validation=validation, epochs=epochs, run=run, progress=False, **settings)

    go(2, Run(tmp_path / "run", "own", {}), patience=5)
    model, history = go(4, Run.open(tmp_path / "run"), resume=True)
    straight, _ = go(4, Run(tmp_path / "straight", "own", {}))
    assert history.kept is None
    for name, value in straight.state_dict().items():
        assert np.array_equal(value, model.state_dict()[name]), name


def test_a_finished_training_resumed_has_its_schedules_where_they_ended(tmp_path):
    def go(run, **settings):
        model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
        ta.fit(model, DIGITS, epochs=2, schedules={"beta": ta.optim.linear(0.0, 1.0, 5)}, run=run, progress=False, **settings)
        return model.objective.beta

    ended = go(Run(tmp_path / "run", "own", {}))
    assert 0 < ended < 0.4
    assert go(Run.open(tmp_path / "run"), resume=True) == ended


def test_a_refused_resume_changes_neither_model_nor_optimiser(tmp_path):
    def go(model, optimizer, run, **settings):
        return ta.fit(model, DIGITS, epochs=1, optimizer=optimizer, run=run, progress=False, **settings)

    first = Linear()
    both = [ta.optim.Adam([first.layer.weight]), ta.optim.Adam([first.layer.bias])]
    go(first, both, Run(tmp_path / "run", "own", {}))
    for parameters, got in ((("weight",), "more optimisers"), (("weight", "bias"), "other parameters")):
        model = Linear(seed=3)
        optimizer = ta.optim.Adam([getattr(model.layer, name) for name in parameters], lr=0.5)
        before = model.state_dict(), optimizer.state_dict()
        with pytest.raises(RunError, match=got):
            go(model, [optimizer, ta.optim.SGD(Linear().parameters())] if len(parameters) > 1 else optimizer, Run.open(tmp_path / "run"), resume=True)
        for kept, now in zip(before, (model.state_dict(), optimizer.state_dict()), strict=True):
            assert all(np.array_equal(kept[name], now[name]) for name in kept)


def test_resuming_takes_away_our_half_files_and_no_others(tmp_path):
    run = Run(tmp_path, "own", {})
    ta.fit(Linear(), DIGITS, epochs=1, run=run, progress=False)
    others = [".pre-commit-config.yaml", ".env.local", ".checkpoint.safetensors.old"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".cache.d").mkdir()
    (tmp_path / ".history.csv.x.tinyae-part").write_text("half")
    ta.fit(Linear(), DIGITS, epochs=2, run=Run.open(tmp_path), resume=True, progress=False)
    assert sorted(path.name for path in tmp_path.glob(".*")) == sorted([*others, ".cache.d"])
    assert json.loads((tmp_path / "config.json").read_text())


def test_a_first_value_that_is_no_number_is_not_the_best_for_ever():
    class Odd(Linear):
        """Its loss in evaluation is NaN at first."""

        looks = 0

        def loss(self, x):
            """The squared error, or NaN."""
            self.looks += not self.training
            return super().loss(x) * (float("nan") if not self.training and self.looks < 3 else 1.0)

    train, validation = DIGITS.hold_out(100)
    history = ta.fit(Odd(), train, validation=validation, epochs=5, patience=3, progress=False)
    assert history.kept == 5


def test_a_history_without_a_known_memory_has_a_repr():
    history = ta.training.History()
    history.add(1, {"train": {"loss": 2.0}}, memory_mb=None)
    assert "train_loss 2" in repr(history)


class Dropped(Linear):
    """With a random stream of its own."""

    def __init__(self, seed=0):
        super().__init__(seed=seed)
        self.dropout = nn.Dropout(0.5, rng=ta.rng(seed))


def everything(state):
    return {name: array.tobytes() for name, array in state.arrays().items()} | {"numbers": json.dumps(state.numbers())}


def test_a_checkpoint_that_lacks_its_last_part_changes_nothing():
    """What came before it, the average and the random streams among it, had been taken up already."""
    state, other = (
        State(model, [ta.optim.Adam(model.parameters(), lr=lr)], ta.optim.WeightAverage(model, 0.9))
        for model, lr in ((Dropped(1), 1e-3), (Dropped(2), 0.5))
    )
    before, numbers = everything(state), other.numbers() | {"terms": ["loss"]}
    assert before != everything(other)
    with pytest.raises(RunError, match=r"another training(.|\n)*mean\.loss"):
        state.restore(other.arrays(), numbers)
    assert everything(state) == before


def test_an_error_of_one_of_our_models_is_not_hidden_from_who_looks(monkeypatch):
    model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
    monkeypatch.setattr(ta.models.VAE, "decode", lambda self, z: z.nothing)
    with pytest.raises(AttributeError, match="nothing"):
        look(model, DIGITS.take(slice(0, 5), None))
