"""The commands that use a trained model: pictures, numbers, a real file, and one readable line for what cannot be."""

import pathlib

import numpy as np
import pytest

from tinyae.cli import main

USES = ["denoise", "anomalies", "interpolate", "attribute", "traverse", "compress"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with runs: a VAE, an autoencoder, a conditional VAE, one on points, and one on grey images; each of a few steps."""
    folder = tmp_path_factory.mktemp("uses")
    kinds = {"vae": "vae --latent 3", "autoencoder": "autoencoder", "conditional": "conditional-vae", "points": "vae --data two-moons"}
    kinds["grey"] = "vae --binarisation grey"
    for name, options in kinds.items():
        assert main(["train", *options.split(), "--epochs", "3", "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("use", USES)
def test_each_use_prints_its_numbers_and_leaves_a_picture(use, runs, capsys):
    assert main([use, str(runs / "vae")]) == 0
    out = capsys.readouterr().out
    assert any(letter.isdigit() for letter in out)
    picture = pathlib.Path(out.splitlines()[-1].removeprefix("picture: "))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_was_compressed_comes_back_bit_for_bit(runs, capsys):
    assert main(["compress", str(runs / "vae"), "--out", "digits.tae"]) == 0
    assert main(["decompress", str(runs / "vae"), "digits.tae", "--out", "digits.npy"]) == 0
    import tinyae as ta

    test = ta.data.load("digits", split="test", binarisation="threshold")
    np.testing.assert_array_equal(np.load("digits.npy"), test.take(slice(None), ta.rng(0)))
    size = pathlib.Path("digits.tae").stat().st_size
    assert f"{size:,} bytes" in capsys.readouterr().out
    assert size < len(test) * 64 / 8


def test_a_damaged_or_foreign_file_is_one_readable_line(runs, capsys):
    main(["compress", str(runs / "vae"), "--out", "digits.tae"])
    content = bytearray(pathlib.Path("digits.tae").read_bytes())
    content[len(content) // 2] ^= 1
    pathlib.Path("damaged.tae").write_bytes(content)
    pathlib.Path("foreign.tae").write_bytes(b"something else")
    for name, says in (("damaged.tae", "truncated or damaged"), ("foreign.tae", "no compressed images"), ("missing.tae", "cannot be read")):
        capsys.readouterr()
        assert main(["decompress", str(runs / "vae"), name]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
    assert not pathlib.Path("images.npy").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("interpolate {vae} --to 5000", "no such test image"),
        ("traverse {vae} --image 5000", "no such test image"),
        ("traverse {autoencoder}", "latent dimensions with the prior"),
        ("attribute {vae} --to 12", "no image has the label 12"),
        ("denoise {points}", "trained on points"),
        ("anomalies {vae} --data shapes", "another size"),
        ("anomalies {vae} --data digits", "these are the images that are usual"),
        ("attribute {vae} --from 3 --to 3", "--from and --to are one label"),
        ("compress {autoencoder}", "a VAE with a bernoulli likelihood"),
        ("compress {grey}", "only zeros and ones"),
        ("denoise {conditional}", "without labels"),
        ("sample {vae} --label 11", "no image has it"),
        ("sample {points} --label 1", "points have no classes"),
    ],
)
def test_what_cannot_be_done_is_one_readable_line(command, says, runs, capsys):
    names = {path.name: str(path) for path in runs.iterdir()}
    capsys.readouterr()
    assert main(command.format(**names).split()) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_an_image_of_a_class_is_drawn_by_labels_or_by_codes(runs, capsys):
    for name in ("vae", "autoencoder", "conditional"):
        assert main(["sample", str(runs / name), "--label", "3", "8", "--count", "20"]) == (0 if name != "autoencoder" else 2)
    assert "an autoencoder has no prior" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*USES, "decompress", "models"])
def test_help_of_each_use_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"example: tinyae {command}" in capsys.readouterr().out


def test_the_family_is_listed_with_formula_and_source_and_told_in_full(capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "vae\n    E_q[-log p(x | z)] + KL(q(z | x) || p(z))\n    Kingma & Welling 2014" in listed
    assert main(["models", "vae"]) == 0
    told = capsys.readouterr().out
    assert "latent 2, hidden 64, likelihood bernoulli" in told
    assert main(["models", "gan"]) == 2
    assert "unknown model 'gan'" in capsys.readouterr().err
