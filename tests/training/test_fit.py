"""What fit does beside stepping: schedules, several optimisers, clipping, the monitor, and the stop at numbers that are not finite."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import ArgumentError, DataError, GraphError
from tinyae.training.monitor import look

DIGITS = ta.data.load("digits", binarisation="threshold")


def vae(**settings):
    return ta.models.VAE(64, 2, (16,), rng=ta.rng(0), **settings)


def fit(model, **settings):
    return ta.fit(model, DIGITS, **{"epochs": 2, "batch_size": 350, "progress": False} | settings)


def test_schedules_are_asked_at_every_step_for_the_time_in_epochs():
    asked = []
    model = vae()
    fit(model, schedules={"beta": lambda t: asked.append(t) or 0.5 * t, "lr": ta.optim.linear(1e-3, 0, 2)})
    np.testing.assert_allclose(asked, np.arange(8) / 4)
    assert model.objective.beta == 0.5 * 1.75


def test_a_learning_rate_that_is_scheduled_is_the_one_of_the_step():
    by_hand, scheduled = vae(), vae()
    fit(scheduled, schedules={"lr": lambda t: 1e-3 if t < 1 else 1e-5}, epochs=2)
    adam = ta.optim.Adam(by_hand.parameters(), lr=1e-3)
    streams = ta.rng(0)
    for epoch in (1, 2):
        adam.lr = 1e-3 if epoch == 1 else 1e-5
        for step, x in enumerate(DIGITS.batches(350, rng=streams.stream("batches", epoch))):
            loss = by_hand.loss(x, rng=streams.stream("noise", epoch, step)).loss
            adam.zero_grad()
            loss.backward()
            adam.step()
    assert all((a == b).all() for a, b in zip(by_hand.state_dict().values(), scheduled.state_dict().values(), strict=True))


def test_warm_up_counts_the_kl_less_in_what_is_minimised_only():
    model = vae()
    history = fit(model, schedules={"beta": ta.optim.linear(0, 0, 1)}, test=DIGITS)
    for row in history.rows:
        assert np.isclose(row["test_loss"], row["test_reconstruction"], rtol=1e-5)
        assert np.isclose(row["test_negative_elbo"], row["test_reconstruction"] + row["test_kl"], rtol=1e-5)


def test_several_optimisers_share_the_parameters_out():
    model, still = vae(), vae()
    fit(model, optimizer=[ta.optim.SGD(model.encoder.parameters(), lr=1e-3), ta.optim.Adam(model.decoder.parameters(), lr=1e-3)])
    moved = {name: (a != b).any() for (name, a), b in zip(model.state_dict().items(), still.state_dict().values(), strict=True)}
    assert all(moved.values())
    with pytest.raises(GraphError, match="two optimisers train the same parameter"):
        fit(model, optimizer=[ta.optim.Adam(model.encoder.parameters()), ta.optim.Adam(model.parameters())])


def test_what_would_be_stopped_early_by_the_wrong_split_or_scheduled_in_vain_is_refused():
    with pytest.raises(ArgumentError, match=r"needs a validation split(?s:.*)never the test split"):
        fit(vae(), patience=3)
    with pytest.raises(ArgumentError, match=r"nothing is called gamma(?s:.*)lr, beta, capacity, free_bits"):
        fit(vae(), schedules={"gamma": ta.optim.linear(0, 1, 1)})
    with pytest.raises(ArgumentError, match=r"nothing is called beta(?s:.*)one of lr"):
        fit(ta.models.Autoencoder(64, rng=ta.rng(0)), schedules={"beta": ta.optim.linear(0, 1, 1)})


def test_the_gradient_norm_is_recorded_and_clipped():
    """Plain gradient descent moves the weights by lr times the clipped norm in each step."""
    model, before = vae(), vae()
    history = fit(model, epochs=1, batch_size=1400, clip_norm=1e-3, optimizer=ta.optim.SGD(model.parameters(), lr=1.0))
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True)))
    assert np.isclose(moved, 1e-3, rtol=1e-3)
    x = next(DIGITS.batches(1400, rng=ta.rng(0).stream("batches", 1)))
    before.loss(x, rng=ta.rng(0).stream("noise", 1, 0)).loss.backward()
    assert np.isclose(history["gradient_norm"][0], np.sqrt(sum((p.grad**2).sum() for p in before.parameters())), rtol=1e-5)


def test_a_step_with_a_large_gradient_is_skipped_and_counted():
    model, before = vae(), vae()
    history = fit(model, skip_norm=1e-6)
    assert history["skipped"] == [1.0, 1.0]
    assert all((a == b).all() for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True))
    assert fit(vae(), skip_norm=1e6)["skipped"] == [0.0, 0.0]


# ---- the monitor


def test_a_collapsed_posterior_is_told_once_with_its_remedies(capsys):
    model = vae(activation="tanh")
    for p in (model.encoder[-1].weight, model.encoder[-1].bias):
        p.assign(0 * p.data)
    model.encoder.freeze()
    history = fit(model, epochs=8)
    assert history["active_latents"] == [0] * 8
    ((kind, sentence),) = history.warnings
    assert kind == "collapse"
    assert sentence.startswith("epoch 3: posterior collapse: no latent dimension carries 0.01 nats")  # a quarter of the epochs is not judged
    assert "warm-up" in sentence
    assert "free bits" in sentence
    assert capsys.readouterr().err == f"warning: {sentence}\n"


def test_a_model_that_learns_is_not_warned_of(capsys):
    history = ta.fit(vae(), DIGITS, epochs=30, batch_size=100, lr=3e-3, progress=False)
    assert history["active_latents"][-1] == 2
    assert history.warnings == []
    assert capsys.readouterr().err == ""


def dead(x, model):
    """The hidden units that are off for every row, counted with NumPy."""
    h = np.maximum(x @ model.encoder[0].weight.data.T + model.encoder[0].bias.data, 0)
    z = (h @ model.encoder[2].weight.data.T + model.encoder[2].bias.data)[:, :2]
    again = np.maximum(z @ model.decoder[0].weight.data.T + model.decoder[0].bias.data, 0)
    return (h == 0).all(axis=0).sum() + (again == 0).all(axis=0).sum()


def test_dead_units_are_counted_in_every_relu():
    model = vae()
    model.encoder[0].bias.assign(np.where(np.arange(16) < 5, -1e3, model.encoder[0].bias.data).astype(np.float32))
    model.decoder[0].bias.assign(np.where(np.arange(16) < 7, -1e3, model.decoder[0].bias.data).astype(np.float32))
    seen = look(model, DIGITS.images[:300])
    assert seen["relu_units"] == 32
    assert seen["dead_units"] == dead(DIGITS.images[:300], model)
    assert seen["dead_units"] >= 12
    assert "dead_units" not in look(vae(activation="tanh"), DIGITS.images[:300])
    x = ta.Tensor(np.ones((2, 3, 4, 4), np.float32) * np.array([1.0, -1.0, 0.0], np.float32)[:, None, None])
    assert look(type("Net", (), {"encode": lambda self, x: ta.ops.relu(x), "decode": lambda self, z: z})(), x) == {"dead_units": 2, "relu_units": 3}


# ---- numbers that are not finite


def test_a_loss_that_is_no_number_names_the_operation_and_leaves_the_weights():
    model = ta.models.Autoencoder(64, 2, rng=ta.rng(0))
    before = model.state_dict()
    with pytest.raises(DataError) as caught:
        fit(model, optimizer=ta.optim.SGD(model.parameters(), lr=1e30), epochs=3)
    assert str(caught.value).startswith("the loss is not a finite number in epoch 1; the weights are those from before it.")
    assert "in step 2, linear: it made the first infinity." in str(caught.value)
    assert "a smaller learning rate" in str(caught.value)
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


def test_the_epochs_before_stay_in_the_history_of_the_run(tmp_path):
    run = ta.training.Run(tmp_path / "run", "autoencoder", {})
    model = ta.models.Autoencoder(64, 2, rng=ta.rng(0))
    with pytest.raises(DataError, match="in epoch 3"):
        fit(model, epochs=5, run=run, schedules={"lr": lambda t: 1e-3 if t < 2 else 1e30})
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3
    two = ta.models.Autoencoder(64, 2, rng=ta.rng(0))
    fit(two, epochs=2)
    assert all((value == ta.load(run.folder).state_dict()[name]).all() for name, value in two.state_dict().items())
    assert all((value == model.state_dict()[name]).all() for name, value in two.state_dict().items())
