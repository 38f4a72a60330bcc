"""Interrupted, killed, out of disk: a resumed training ends in the same bits, and nothing that was saved is lost."""

import errno
import functools
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import RunError
from tinyae.models import MODELS
from tinyae.training import Run, files

KILL = pathlib.Path(__file__).parents[2] / "benchmarks" / "kill.py"
DIGITS = ta.data.load("digits", binarisation="dynamic")
THRESHOLD = ta.data.load("digits", binarisation="threshold")
SETTINGS = {
    "conditional-vae": {"classes": 10},
    "vq-vae": {"image_shape": (8, 8), "codes": 8},
    "top-down-vae": {"image_shape": (8, 8), "layers": "1x1:8:2,4x1:4:1"},
}


def train(run, epochs=2, stop=None, resume=False, **settings):
    """Two epochs of seven steps; stop: the step at which Ctrl-C comes."""
    model = Counting(64, 2, (16,), rng=ta.rng(0))
    model.stop = stop
    settings = {"batch_size": 200, "seed": 1, "progress": False} | settings
    return model, ta.fit(model, DIGITS, test=DIGITS, epochs=epochs, run=run, resume=resume, **settings)


class Counting(ta.models.VAE):
    """A VAE that sends Ctrl-C to itself in its n-th step."""

    steps, stop = 0, None

    def loss(self, x, noise=None, rng=None):
        self.steps += self.training
        if self.steps == self.stop and self.training:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(x, noise, rng)


def same(a, b):
    return all((x == y).all() for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def rows(history):
    return [{name: value for name, value in row.items() if name not in ("seconds", "memory_mb")} for row in history.rows]


@pytest.fixture
def whole(tmp_path):
    """The training that was never interrupted."""
    return train(Run(tmp_path / "whole", "vae", {}))


def test_five_killed_trainings_end_in_the_same_bits():
    """At a random time, in a step, inside a checkpoint's write, between file and rename, after the rename."""
    done = subprocess.run([sys.executable, KILL, "--kills", "5", "--seed", "2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split("|")[4].strip() for line in done.stdout.splitlines()[2:]] == ["1"] * 5


@pytest.mark.parametrize("stop", [1, 4, 7, 8, 13, 14])
def test_a_training_that_ctrl_c_ended_resumes_to_the_same_bits_from_within_an_epoch(stop, tmp_path, whole):
    _, history = train(Run(tmp_path / "run", "vae", {}), stop=stop)
    assert history.interrupted
    assert len(history) == (stop - 1) // 7
    model, history = train(Run.open(tmp_path / "run"), resume=True)
    assert same(model, whole[0])
    assert rows(history) == rows(whole[1])
    assert not history.interrupted
    assert model.steps == 14 - stop  # no step was made twice


def stopped_and_whole(name, folder):
    """(model, history) of two trainings of a model of the table: one that Ctrl-C stopped within an epoch and that was resumed, and one of a piece."""

    def trained(run, stop=None, resume=False):
        model = ta.models.build({"model": name, "features": 64} | SETTINGS.get(name, {}), ta.rng(0))
        steps = itertools.count(1)

        class Stopped(type(model)):
            @functools.wraps(type(model).loss)
            def loss(self, *args, **settings):
                if self.training and next(steps) == stop:
                    os.kill(os.getpid(), signal.SIGINT)
                return super().loss(*args, **settings)

        model.__class__ = Stopped
        return model, ta.fit(model, THRESHOLD, test=THRESHOLD, epochs=2, batch_size=400, seed=1, progress=False, run=run, resume=resume)

    whole = trained(Run(folder / "whole", name, {}))
    assert trained(Run(folder / "run", name, {}), stop=6)[1].interrupted
    return trained(Run.open(folder / "run"), resume=True), whole


@pytest.mark.parametrize("name", MODELS)
def test_every_model_resumes_to_the_same_bits(name, tmp_path):
    """What a model keeps beside its weights (codebooks, thresholds, counts of use, a capacity that grows) goes on too."""
    resumed, whole = stopped_and_whole(name, tmp_path)
    assert same(resumed[0], whole[0])
    assert rows(resumed[1]) == rows(whole[1])


@pytest.mark.parametrize("name", ["top-k-sae", "sigma-vae", "vq-vae"])
def test_a_model_resumed_without_its_buffers_ends_elsewhere(name, tmp_path, monkeypatch):
    """The planted error."""

    def weights_alone(self, state):
        for key, parameter in self.named_parameters():
            parameter.assign(state[key])

    monkeypatch.setattr(ta.nn.Module, "load_state_dict", weights_alone)
    resumed, whole = stopped_and_whole(name, tmp_path)
    assert not same(resumed[0], whole[0])


def test_the_random_state_of_a_layer_belongs_to_the_checkpoint(tmp_path):
    """The planted error: with the dropout's stream left out, the end is another one."""

    def trained(run, forget=False, **settings):
        model = Counting(64, 2, (16,), rng=ta.rng(0))
        model.encoder = ta.nn.Sequential(*model.encoder, ta.nn.Dropout(0.3, rng=ta.rng(5)))
        model.stop = settings.pop("stop", None)
        if forget:
            model.named_streams = lambda: iter(())
        ta.fit(model, DIGITS, epochs=2, batch_size=200, progress=False, run=run, **settings)
        return model

    expected = trained(Run(tmp_path / "whole", "vae", {}))
    for forget in (False, True):
        trained(Run(tmp_path / str(forget), "vae", {}), forget, stop=5)
        assert same(expected, trained(Run.open(tmp_path / str(forget)), forget, resume=True)) == (not forget)


def test_a_finished_training_can_be_made_longer(tmp_path):
    train(Run(tmp_path / "run", "vae", {}), epochs=1)
    longer, history = train(Run.open(tmp_path / "run"), epochs=2, resume=True)
    assert same(longer, train(None)[0])
    assert history["epoch"] == [1, 2]


def test_a_resumed_training_must_be_the_same_one(tmp_path):
    train(Run(tmp_path / "run", "vae", {}), epochs=1)
    for settings, says in [({"seed": 2}, "'seed': 2"), ({"batch_size": 100}, "'batch_size': 100"), ({"average": 0.9}, "averaging")]:
        with pytest.raises(RunError, match=says):
            train(Run.open(tmp_path / "run"), resume=True, **settings)
    with pytest.raises(RunError, match=r"expected  \{'latent': 2.*\}\n.*got       \{'latent': 3"):
        ta.fit(ta.models.VAE(64, 3, rng=ta.rng(0)), DIGITS, batch_size=200, seed=1, run=Run.open(tmp_path / "run"), resume=True, progress=False)
    other = ta.models.VAE(64, 2, (16,), rng=ta.rng(0))
    before = other.state_dict()
    with pytest.raises(RunError, match="another training"):
        ta.fit(other, DIGITS, optimizer=ta.optim.SGD(other.parameters()), batch_size=200, seed=1, run=Run.open(tmp_path / "run"), resume=True)
    assert all((before[name] == value).all() for name, value in other.state_dict().items())


def test_early_stopping_keeps_the_best_weights_and_says_where(tmp_path):
    train_part, validation = ta.data.load("digits").hold_out(40)
    tiny = train_part.hold_out(60)[1]  # few images: soon learnt by heart

    def fitted(epochs, **settings):
        model = ta.models.VAE(64, 8, (64,), rng=ta.rng(0))
        return model, ta.fit(model, tiny, validation=validation, epochs=epochs, batch_size=20, lr=3e-3, progress=False, **settings)

    model, history = fitted(400, patience=5, run=Run(tmp_path / "run", "vae", {}))
    best = int(np.argmin(history["validation_negative_elbo"])) + 1
    assert history.stopped
    assert len(history) == best + 5 < 400
    assert same(model, fitted(best)[0])
    assert same(model, ta.load(tmp_path / "run"))
    assert not same(model, fitted(best + 5)[0])


def test_patience_does_not_count_while_the_warm_up_lasts():
    """Plain gradient steps of size 0: no epoch is better than the first."""

    def stopped_after(**settings):
        model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
        validation = DIGITS.binarise("threshold").rows(slice(0, 1))
        adam = ta.optim.SGD(model.parameters(), lr=1e-30)
        history = ta.fit(
            model, DIGITS, validation=validation, epochs=30, patience=3, optimizer=adam, progress=False, seed=4, batch_size=1400, **settings
        )
        return len(history), history.kept

    without, kept = stopped_after()
    assert without == kept + 3
    assert stopped_after(schedules={"beta": ta.optim.linear(0, 1, 9.5)}) == (13, kept)
    assert stopped_after(schedules={"beta": lambda t: 4.0}) == (without, kept)


def test_averaged_weights_are_measured_and_kept(tmp_path):
    model, history = train(Run(tmp_path / "run", "vae", {}), average=0.5)
    raw, _ = train(None)
    assert not same(model, raw)
    assert same(model, ta.load(tmp_path / "run"))
    assert np.isclose(ta.evaluation.evaluate(model, DIGITS, rng=ta.rng(1).stream("test"))["loss"], history["test_loss"][-1], rtol=1e-6)


# ---- disks


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path, monkeypatch):
    train(Run(tmp_path / "run", "vae", {}), epochs=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    def full(descriptor, mode):
        os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fdopen", full)
    with pytest.raises(RunError, match="No space left on device"):
        train(Run.open(tmp_path / "run"), resume=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_folder_that_cannot_be_written_is_found_before_the_training(tmp_path, monkeypatch):
    train(Run(tmp_path / "run", "vae", {}), epochs=1)
    run, model = Run.open(tmp_path / "run"), Counting(64, 2, (16,), rng=ta.rng(0))
    before = model.state_dict()

    def read_only(**settings):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.tempfile, "mkstemp", read_only)
    with pytest.raises(RunError, match="Read-only file system"):
        ta.fit(model, DIGITS, epochs=2, batch_size=200, seed=1, run=run, resume=True, progress=False)
    assert model.steps == 0
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


SMALL_DISK = """
import sys
sys.path.insert(0, {tests!r})
import test_resume as t
from tinyae.errors import RunError
from tinyae.models import MODELS
from tinyae.training import Run
t.train(Run({folder!r} + "/run", "vae", {{}}), epochs=1)
open({folder!r} + "/filler", "wb").write(b"0" * 10**5)
try:
    with open({folder!r} + "/filler", "ab", buffering=0) as filler:
        while True:
            filler.write(b"0" * 512)
except OSError:
    pass
try:
    t.train(Run.open({folder!r} + "/run"), resume=True)
except RunError as error:
    print(error)
import os
os.remove({folder!r} + "/filler")
print(t.same(t.train(Run.open({folder!r} + "/run"), resume=True)[0], t.train(None)[0]))
"""


MOUNT = ["unshare", "--mount", "--map-root-user"]


def inside_a_mount(script, mount):
    """What a program prints for which `mount` was run before, in a space of its own; skips where that is not allowed."""
    if not shutil.which("unshare") or subprocess.run([*MOUNT, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and the right to mount a file system of one's own")
    command = [*MOUNT, "sh", "-c", f'{mount} && exec "{sys.executable}" -c "$0"', script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "mount:" in done.stderr:
        pytest.skip("a file system cannot be mounted here")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_a_small_disk_that_is_full_the_training_stops_readably_and_goes_on_when_there_is_room(tmp_path):
    script = SMALL_DISK.format(tests=str(pathlib.Path(__file__).parent), folder=str(tmp_path))
    printed = inside_a_mount(script, f'mount -t tmpfs -o size=400k none "{tmp_path}"')
    assert "it cannot be written." in printed
    assert "No space left on device" in printed
    assert printed.splitlines()[-1] == "True"


READ_ONLY = """
import sys
sys.path.insert(0, {tests!r})
import test_resume as t
from tinyae.errors import RunError
from tinyae.models import MODELS
from tinyae.training import Run
try:
    t.train(Run.open({folder!r}), resume=True)
except RunError as error:
    print(error)
try:
    Run({folder!r} + "/new", "vae", {{}})
except RunError as error:
    print(error)
"""


def test_a_folder_that_became_read_only_loses_nothing(tmp_path):
    train(Run(tmp_path / "run", "vae", {}), epochs=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    folder = tmp_path / "run"
    script = READ_ONLY.format(tests=str(pathlib.Path(__file__).parent), folder=str(folder))
    printed = inside_a_mount(script, f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}"')
    assert printed.count("Read-only file system") == 2
    assert "config.json: it cannot be written." in printed
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# ---- files


def test_numbers_without_axes_and_any_memory_order_go_round(tmp_path):
    array = np.arange(24.0).reshape(2, 3, 4)
    arrays = {
        "0-d": np.array(3),
        "transposed": array.T,
        "strided": array[:, ::2],
        "reversed": array[::-1],
        "empty": np.zeros((0, 3)),
        "f": np.asfortranarray(array),
    }
    files.write_tensors(tmp_path / "file", arrays, {})
    found, _ = files.read_tensors(tmp_path / "file")
    for name, value in arrays.items():
        assert found[name].shape == value.shape
        assert found[name].dtype == value.dtype
        assert (found[name] == value).all()


def test_a_file_of_another_format_says_who_wrote_it(tmp_path, monkeypatch):
    model = ta.models.VAE(6, 2, (4,), rng=ta.rng(0))
    monkeypatch.setattr(files, "FORMAT", "tinyae 9")
    ta.save(model, tmp_path / "new")
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"another program or version wrote it(?s:.*)'tinyae 9', of tinyae 0\.1\.0(?s:.*)install that version"):
        ta.load(tmp_path / "new")


def test_a_file_of_the_older_format_loads_but_cannot_be_resumed(tmp_path):
    """As the first version wrote it: weights and model, no checksum."""
    import json

    from safetensors.numpy import save_file

    model = Counting(64, 2, (16,), rng=ta.rng(0))
    run = Run(tmp_path / "run", "vae", {})
    header = {"format": "tinyae 1", "json": json.dumps({"model": model.config, "epoch": 3, "seed": 0})}
    save_file({f"model.{name}": array for name, array in model.state_dict().items()}, run.checkpoint, metadata=header)
    assert same(ta.load(run.folder), model)
    with pytest.raises(RunError, match="an older tinyae wrote it"):
        train(run, resume=True)


def test_a_changed_byte_of_a_checkpoint_or_a_config_is_noticed(tmp_path):
    run = Run(tmp_path / "run", "vae", {"data": "digits", "binarisation": "threshold"})
    train(run, epochs=1)
    assert len(Run.open(run.folder).data("test")) == 397
    for path, read in ((run.checkpoint, ta.load), (run.folder / "config.json", lambda path: Run.open(path.parent))):
        content = path.read_bytes()
        for place in np.random.default_rng(0).integers(len(content), size=40):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
            with pytest.raises(RunError, match=path.name):
                read(path)
        for length in (0, 7, len(content) // 2, len(content) - 2):
            path.write_bytes(content[:length])
            with pytest.raises(RunError, match=path.name):
                read(path)
        path.write_bytes(content)
        read(path)


def test_the_folder_of_no_run_is_told_as_such(tmp_path):
    with pytest.raises(RunError, match=r"config\.json: it cannot be read"):
        Run.open(tmp_path)
    with pytest.raises(RunError, match="does not say what data"):
        Run(tmp_path / "run", "vae", {}).data("test")


def test_settings_that_are_no_object_are_said_to_be_none(tmp_path):
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(RunError, match="no JSON object"):
        Run.open(tmp_path)
