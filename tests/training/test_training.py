"""Training: the same seed gives the same bits; runs that can be read back; interruptions; refusals."""

import csv
import json
import os
import signal

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import ArgumentError, DataError, RunError
from tinyae.training import Run
from tinyae.training import files as training_files
from tinyae.training.interrupt import graceful_interrupt


def digits(split="train", binarisation="threshold"):
    return ta.data.load("digits", split=split, binarisation=binarisation)


def train(seed=0, epochs=2, model=None, **settings):
    model = model or ta.models.VAE(64, 2, (16,), activation="tanh", rng=ta.rng(seed).stream("weights"))
    return model, ta.fit(model, digits(), test=digits("test"), epochs=epochs, seed=seed, progress=False, **settings)


def test_the_same_seed_gives_bit_identical_weights_and_history():
    (a, h), (b, k), (c, _) = train(), train(), train(seed=1)
    assert all((x == y).all() for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert any((x != y).any() for x, y in zip(a.state_dict().values(), c.state_dict().values(), strict=True))
    measured = {"seconds": 0, "memory_mb": 0}  # of the process, not of the training
    assert [row | measured for row in h.rows] == [row | measured for row in k.rows]


def test_training_lowers_the_loss_and_its_rows_add_up():
    _, history = train(epochs=5)
    assert history["test_loss"][-1] < history["test_loss"][0] - 3
    for row in history.rows:
        for split in ("train", "test"):
            assert np.isclose(row[f"{split}_negative_elbo"], row[f"{split}_reconstruction"] + row[f"{split}_kl"], rtol=1e-5)


def test_a_short_last_batch_counts_by_its_size():
    """The mean over batches of any size is the loss of the whole set at once."""
    model, test = ta.models.Autoencoder(64, 2, rng=ta.rng(0)), digits("test")
    whole = model.loss(test.take(slice(None), None)).loss.item()
    for size in (397, 100, 396):
        assert np.isclose(ta.evaluation.evaluate(model, test, rng=ta.rng(0), batch_size=size)["loss"], whole, rtol=1e-5)


def test_the_train_terms_are_weighted_by_the_batch_too():
    model = ta.models.Autoencoder(64, 2, rng=ta.rng(0))
    whole = ta.evaluation.evaluate(model, digits(), rng=ta.rng(0))["loss"]
    optimizer = ta.optim.Adam(model.parameters(), lr=1e-12)  # weights that hardly move
    history = ta.fit(model, digits(), epochs=1, batch_size=1399, optimizer=optimizer, progress=False)
    assert np.isclose(history["train_loss"][0], whole, rtol=1e-5)


def test_the_size_of_the_batches_changes_no_number():
    model, dynamic = train(epochs=1)[0], digits("test", "dynamic")
    found = [ta.evaluation.evaluate(model, dynamic, rng=ta.rng(0), draws=2, batch_size=size)["loss"] for size in (397, 100, 33)]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_more_draws_of_the_noise_are_averaged():
    model, _ = train(epochs=1)
    single = [ta.evaluation.evaluate(model, digits("test"), rng=ta.rng(i))["loss"] for i in range(30)]
    many = ta.evaluation.evaluate(model, digits("test"), rng=ta.rng(100), draws=300)["loss"]
    error = np.std(single) / np.sqrt(30)
    assert abs(np.mean(single) - many) < 5 * error


def test_a_run_can_be_read_back(tmp_path):
    run = Run(tmp_path / "run", "vae", {"seed": 0})
    model, history = train(run=run)
    again = ta.load(tmp_path / "run")
    assert again.config == model.config
    assert all((a == b).all() for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [float(row["test_loss"]) for row in rows] == history["test_loss"]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint.safetensors", "config.json", "history.csv"]


def test_a_model_can_be_saved_alone(tmp_path):
    model = ta.models.Autoencoder(6, 2, (4, 3), rng=ta.rng(0))
    ta.save(model, tmp_path / "model.safetensors")
    x = np.ones((2, 6), np.float32)
    assert (ta.load(tmp_path / "model.safetensors").reconstruct(x) == model.reconstruct(x)).all()


def test_arrays_in_any_memory_order_are_saved_rightly(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    training_files.write_tensors(tmp_path / "file", {"t": array.T, "s": array[:, ::2]}, {})
    found, _ = training_files.read_tensors(tmp_path / "file")
    assert (found["t"] == array.T).all()
    assert (found["s"] == array[:, ::2]).all()


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(RunError, match="cannot be read"):
        ta.load(tmp_path)
    (tmp_path / "bad").write_bytes(b"\x80\x04pickled")
    with pytest.raises(RunError, match="cannot be read"):
        ta.load(tmp_path / "bad")
    from safetensors.numpy import save_file

    save_file({"x": np.ones(2)}, tmp_path / "other")
    with pytest.raises(RunError, match="another program"):
        ta.load(tmp_path / "other")
    training_files.write_tensors(tmp_path / "half", {}, {"model": ta.models.VAE(4, 2, rng=ta.rng(0)).config})
    with pytest.raises(RunError, match="do not fit"):
        ta.load(tmp_path / "half")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    training_files.write_atomic(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(RunError, match="disk full"):
        training_files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_the_file_that_it_leads_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("there/target")
    for content in ("new", "made anew"):
        training_files.write_atomic(link, content)
        assert link.is_symlink()
        assert target.read_text() == content
        target.unlink()
    assert [p.name for p in tmp_path.iterdir()] == ["there", "link"] or [p.name for p in tmp_path.iterdir()] == ["link", "there"]


def test_what_is_no_file_is_written_straight_to_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        training_files.write_atomic(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("path", ["folder", "nowhere/file", "x" * 300, "loop"])
def test_what_cannot_be_written_is_named_and_no_temporary_file_is(path, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RunError) as caught:
        training_files.write_atomic(tmp_path / path, "text")
    rule, reason = str(caught.value).splitlines()
    assert rule == f"{tmp_path / path}: it cannot be written."
    assert reason.startswith("  got ")
    assert str(tmp_path) not in reason
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_holds_a_run_or_cannot_be_made_is_refused(tmp_path):
    Run(tmp_path / "run", "vae", {})
    with pytest.raises(RunError, match="holds a run already"):
        Run(tmp_path / "run", "vae", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        Run(tmp_path / "file" / "run", "vae", {})


def test_default_names_count_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [Run(None, "vae-digits", {}).folder.name for _ in range(3)] == ["vae-digits-1", "vae-digits-2", "vae-digits-3"]


class Stopping(ta.models.Autoencoder):
    """A model that sends Ctrl-C to itself in its n-th step."""

    steps, stop = 0, 20

    def loss(self, x):
        self.steps += 1
        if self.steps == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(x)


def test_an_interrupt_keeps_the_whole_epochs_and_the_step(tmp_path):
    model = Stopping(64, 2, rng=ta.rng(0))
    run = Run(tmp_path / "run", "autoencoder", {"seed": 0})
    history = ta.fit(model, digits(), epochs=50, run=run, progress=False)  # 11 steps an epoch
    assert history.interrupted
    assert len(history) == 1
    again = ta.load(tmp_path / "run")
    assert all((a == b).all() for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait():
    with graceful_interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_data_that_do_not_fit_are_refused_before_anything_is_trained():
    model = ta.models.VAE(10, 2, rng=ta.rng(0))
    before = model.state_dict()
    for data, says in [(digits(), "10 features"), (np.full((5, 10), 3.0), "outside the support"), (np.full((5, 10), np.nan), "NaN")]:
        with pytest.raises(DataError, match=says):
            ta.fit(model, data, progress=False)
    with pytest.raises(ArgumentError, match="epochs"):
        ta.fit(model, np.zeros((5, 10)), epochs=0)
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


def test_progress_is_plain_lines_without_a_terminal(capsys):
    train(epochs=3)
    assert capsys.readouterr().err == ""
    model = ta.models.VAE(64, 2, (16,), rng=ta.rng(0))
    ta.fit(model, digits(), test=digits("test"), epochs=3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("epoch 3/3")
    assert "kl " in lines[2]
    assert "validation" not in lines[2]


def test_early_stopping_and_the_validation_terms_are_shown(capsys):
    model = ta.models.Autoencoder(64, 2, (16,), rng=ta.rng(0))
    history = ta.fit(model, digits(), validation=digits("test"), epochs=9, patience=1, optimizer=ta.optim.SGD(model.parameters(), lr=1e-30))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(f"validation  loss {history['validation_loss'][0]:.4g}  mse {history['validation_mse'][0]:.4g}")
    assert lines[-1] == "stopped after epoch 2: no better since epoch 1"
    assert (history.stopped, history.kept) == (True, 1)


def test_a_step_on_the_device_waits_for_nothing_and_its_launches_are_counted():
    """A whole training step, the noise included: no copy, no synchronisation, and each launch accounted for."""
    with ta.checks.fake_device.fake_gpu() as counters:
        model = ta.models.VAE(64, 2, (16,), rng=ta.rng(0))
        adam, x, noise = ta.optim.Adam(model.parameters()), next(digits().batches(100)), ta.rng(1).normal((100, 2))
        for step in range(4):
            launches = []
            counters.reset()
            terms = model.loss(x, noise=noise)
            launches.append(counters.launches)
            adam.zero_grad()
            terms.loss.backward()
            launches.append(counters.launches)
            adam.step()
            launches.append(counters.launches)
            assert (counters.copies_to_host, counters.copies_to_device, counters.synchronisations) == (0, 0, 0)
            if step == 0:  # ones, many at a time, and which half of an axis a slice is: made once
                assert (launches[0], launches[2] - launches[1]) == (16, 1)
            else:
                assert launches == [16, 39, 40], step  # after the forward pass, the backward pass, the optimiser


def test_numpy_and_the_device_train_to_the_same_weights():
    states = []
    for backend in ("numpy", "fake"):
        with ta.checks.fake_device.installed(), ta.using(backend):
            states.append(train(epochs=1)[0].state_dict())
    for a, b in zip(states[0].values(), states[1].values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Plain(ta.nn.Module):
    """A user's model: its loss is a bare Tensor."""

    def __init__(self):
        self.layer = ta.nn.Linear(64, 64, rng=ta.rng(0))

    def loss(self, x):
        return ta.ops.square(self.layer(x) - x).sum(axis=-1).mean()


def test_a_model_of_ones_own_is_saved_in_its_run(tmp_path):
    ta.fit(Plain(), digits(binarisation="grey"), epochs=1, run=Run(tmp_path / "run", "plain", {}), progress=False)
    with pytest.raises(RunError, match="a model of your own"):
        ta.load(tmp_path / "run")
    arrays, _ = training_files.read_tensors(tmp_path / "run" / "checkpoint.safetensors")
    assert arrays["model.layer.weight"].shape == (64, 64)


def test_sizes_from_numpy_and_float64_weights_go_round(tmp_path):
    model = ta.models.VAE(np.prod((2, 3)), np.int64(2), (np.int64(4),), rng=ta.rng(0)).astype("float64")
    model.decoder[0].weight.assign(model.decoder[0].weight.data + 1e-12)
    ta.save(model, tmp_path / "model")
    again = ta.load(tmp_path / "model")
    assert all((a == b).all() and a.dtype == b.dtype for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))


def test_whole_numbers_out_of_range_are_refused_on_every_backend():
    x = np.arange(17, dtype=np.uint8).repeat(8).reshape(17, 8)
    for backend in ("numpy", "fake"):
        with ta.checks.fake_device.installed(), ta.using(backend), pytest.raises(DataError, match="outside the support"):
            ta.fit(ta.models.VAE(8, 2, rng=ta.rng(0)), x, progress=False)


def test_an_array_can_be_evaluated():
    model = ta.models.Autoencoder(8, 2, rng=ta.rng(0))
    x = np.linspace(0, 1, 40).reshape(5, 8)
    assert np.isclose(ta.evaluation.evaluate(model, x, rng=ta.rng(0))["loss"], model.loss(x).loss.item())


def test_a_model_of_ones_own_can_be_fitted():
    history = ta.fit(Plain(), digits(binarisation="grey"), test=digits("test", "grey"), epochs=8, progress=False)
    assert list(history.rows[0]) == ["epoch", "train_loss", "test_loss", "gradient_norm", "seconds", "memory_mb"]
    assert history["test_loss"][-1] < 0.5 * history["test_loss"][0]
