"""The pictures: what they show, that they are the same for the same seed, and that they can be read."""

import io
import math
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

import tinyae as ta
from tinyae import figures
from tinyae.figures.diagram import stages
from tinyae.figures.images import codes, decoded_means, montage
from tinyae.figures.latent import kl_per_dimension, shown_dimensions, spread_apart
from tinyae.figures.pictures import one_of_each_class

TEST = ta.data.load("digits", split="test", binarisation="threshold")
TRAIN = ta.data.load("digits", split="train", binarisation="threshold")
VAE_ROWS = [
    {"epoch": e, "seconds": 0.1}
    | {f"{split}_{t}": 20 + v / e for split in ("train", "test") for t, v in (("loss", 3), ("negative_elbo", 3), ("reconstruction", 2), ("kl", 1))}
    for e in range(1, 6)
]
AE_ROWS = [{"epoch": e, "train_loss": 4 / e, "train_mse": 0.1 / e, "test_loss": 5 / e, "test_mse": 0.2 / e} for e in range(1, 6)]


def vae(latent=2, **settings):
    return ta.models.VAE(**{"features": 64, "latent": latent, "hidden": (16,)} | settings, rng=ta.rng(1))


def autoencoder(latent=2):
    return ta.models.Autoencoder(features=64, latent=latent, hidden=(16,), rng=ta.rng(1))


def draw_all(model, rows=VAE_ROWS, seed=0):
    return figures.pictures_of(model, rows, TRAIN, TEST, seed)


def text_of(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.fixture(scope="module")
def drawn():
    return {picture.name: picture for picture in draw_all(vae())}


def test_a_vae_with_two_dimensions_gets_all_pictures_in_the_order_of_a_lesson(drawn):
    assert list(drawn) == ["architecture", "learning_curves", "reconstructions", "posterior_means", "manifold", "prior_samples", "interpolation"]


def test_other_models_get_the_pictures_that_make_sense_for_them():
    assert "manifold" not in [p.name for p in draw_all(vae(latent=3))]
    assert [p.name for p in draw_all(autoencoder(), AE_ROWS)] == [
        "architecture",
        "learning_curves",
        "reconstructions",
        "posterior_means",
        "interpolation",
    ]
    assert "learning_curves" not in [p.name for p in draw_all(vae(latent=1, likelihood="gaussian"), rows=[])]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(drawn):
    other_settings = {"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30}
    with matplotlib.rc_context(other_settings):
        again = {picture.name: figures.png(picture.figure) for picture in draw_all(vae())}
    assert {name: figures.png(picture.figure) for name, picture in drawn.items()} == again
    changed = {picture.name for picture in draw_all(vae(), seed=1) if figures.png(picture.figure) != again[picture.name]}
    assert changed == {"reconstructions", "prior_samples"}


def test_a_png_holds_no_date_and_no_version(drawn):
    image = Image.open(io.BytesIO(figures.png(drawn["learning_curves"].figure)))
    assert set(image.info) <= {"dpi"}


def test_pictures_are_wide_enough_to_read_and_not_wider_than_the_page(drawn):
    for picture in drawn.values():
        image = Image.open(io.BytesIO(figures.png(picture.figure)))
        assert 5 * 160 < image.width <= 8 * 160
        assert image.height > 200
        sizes = [text.get_fontsize() for text in picture.figure.findobj(matplotlib.text.Text) if text.get_text()]
        assert min(sizes, default=9) >= 8


def test_no_text_sticks_out_of_a_picture(drawn):
    deep = figures.architecture(vae(hidden=(512, 256, 128, 64, 32)), (8, 8))
    for figure in [picture.figure for picture in drawn.values()] + [deep, figures.architecture(autoencoder(), (8, 8))]:
        figures.png(figure)
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -1e-6


def test_no_two_texts_of_the_diagram_overlap():
    figure = figures.architecture(vae(features=64, latent=128, hidden=(1024, 1024, 1024)), (8, 8))
    figures.png(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert not [1 for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)]


def test_captions_say_what_is_shown_and_every_picture_has_words_for_it(drawn):
    for picture in [*drawn.values(), *draw_all(autoencoder(), AE_ROWS)]:
        assert len(picture.alt) > 20
        assert picture.caption.endswith(".")
        assert "latent space" not in picture.caption
    assert "posterior means" in drawn["posterior_means"].caption
    assert "nats per example" in drawn["learning_curves"].caption
    assert "threshold" in drawn["reconstructions"].caption


def test_learning_curves_show_each_term_on_its_own_axis_and_splits_differ_without_colour():
    figure = figures.learning_curves(VAE_ROWS)
    assert [axes.get_title() for axes in figure.axes] == ["negative ELBO", "reconstruction", "KL divergence"]
    assert figure.axes[0].get_ylabel() == "nats per example"
    for axes, term in zip(figure.axes, ("negative_elbo", "reconstruction", "kl"), strict=True):
        train, test = axes.lines
        assert train.get_linestyle() != test.get_linestyle()
        np.testing.assert_array_equal(train.get_ydata(), [row[f"train_{term}"] for row in VAE_ROWS])
        np.testing.assert_array_equal(test.get_ydata(), [row[f"test_{term}"] for row in VAE_ROWS])
    (axes,) = figures.learning_curves(AE_ROWS).axes
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [row["test_mse"] for row in AE_ROWS])
    assert "per feature" in axes.get_ylabel()


def test_a_history_of_one_epoch_is_still_seen():
    assert figures.learning_curves(VAE_ROWS[:1]).axes[0].lines[0].get_marker() == "o"


def test_prior_quantiles_cut_the_prior_into_equal_parts():
    quantiles = figures.prior_quantiles(5)
    share = [(1 + math.erf(q / math.sqrt(2))) / 2 for q in quantiles]
    np.testing.assert_allclose(share, [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-12)


def sheet_of(figure):
    (image,) = figure.axes[0].images
    assert image.get_clim() == (0, 1)
    return np.ma.filled(image.get_array(), np.nan)


def test_the_manifold_has_z_1_to_the_right_and_z_2_upwards():
    model, size = vae(), 4 * 8
    sheet = sheet_of(figures.manifold(model, 3, (8, 8)))
    low, _, high = figures.prior_quantiles(3)
    expected = decoded_means(model, np.array([[low, low], [high, low], [low, high]])).reshape(3, 8, 8)
    np.testing.assert_allclose(sheet[-size::4, :size:4], expected[0], atol=1e-6)
    np.testing.assert_allclose(sheet[-size::4, -size::4], expected[1], atol=1e-6)
    np.testing.assert_allclose(sheet[:size:4, :size:4], expected[2], atol=1e-6)
    labels = [label.get_text() for label in figures.manifold(model, 3, (8, 8)).axes[0].get_xticklabels()]
    assert labels == ["−0.97", "0.00", "0.97"]


@pytest.mark.parametrize("model", [vae(latent=3), autoencoder()])
def test_a_manifold_without_two_latent_dimensions_and_a_prior_is_an_error(model):
    with pytest.raises(ta.errors.ArgumentError, match="two latent dimensions"):
        figures.manifold(model, 3, (8, 8))


def test_a_montage_keeps_the_images_apart_and_says_where_they_are():
    images = np.arange(12.0).reshape(2, 3, 2)
    sheet, across, down = montage(images, (1, 2))
    assert sheet.shape == (2 * 32 + 2, 3 * 64 + 2 * 2)
    assert np.isnan(sheet[32:34]).all()
    assert np.isnan(sheet[:, 64:66]).all()
    assert sheet[int(down[1]), int(across[2]) - 1] == 10
    assert sheet[int(down[1]), int(across[2]) + 2] == 11


def test_reconstructions_show_input_mean_and_sample():
    model, x = vae(), TEST.take(slice(0, 4), ta.rng(0))
    figure = figures.reconstructions(model, x, (8, 8), ta.rng(0))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["input", "mean of p(x | z)", "sample of p(x | z)"]
    sheet, size = sheet_of(figure), 34
    np.testing.assert_array_equal(sheet[:32:4, :32:4], x[0].reshape(8, 8))
    np.testing.assert_allclose(sheet[size : size + 32 : 4, :32:4], model.reconstruct(x)[0].reshape(8, 8), atol=1e-6)
    assert set(np.unique(sheet[2 * size : 2 * size + 32, :32])) <= {0.0, 1.0}
    plain = figures.reconstructions(autoencoder(), x, (8, 8), ta.rng(0))
    assert [label.get_text() for label in plain.axes[0].get_yticklabels()] == ["input", "reconstruction"]


def test_prior_samples_that_do_not_fill_the_last_row_leave_it_empty():
    sheet = sheet_of(figures.prior_samples(vae(), 13, (8, 8), ta.rng(0)))
    assert np.isnan(sheet[34:, 3 * 34 :]).all()
    assert not np.isnan(sheet[34:, :32]).any()


def test_an_interpolation_goes_from_one_posterior_mean_to_the_other_in_equal_steps():
    model, x = vae(), TEST.take(slice(0, 2), ta.rng(0))
    sheet = sheet_of(figures.interpolation(model, x[0], x[1], (8, 8), 3))
    z = codes(model, x)
    places = {0: x[0], 2: decoded_means(model, z[:1])[0], 3: decoded_means(model, z.mean(axis=0, keepdims=True))[0], 6: x[1]}
    for column, expected in places.items():
        np.testing.assert_allclose(sheet[::4, 34 * column : 34 * column + 32 : 4], expected.reshape(8, 8), atol=1e-6)


def test_the_scatter_shows_the_posterior_means_with_the_circles_of_the_prior():
    model, x, labels = vae(), TEST.take(slice(0, 60), ta.rng(0)), TEST.labels[:60]
    axes = figures.posterior_means(model, x, labels).axes[0]
    shown = np.concatenate([collection.get_offsets() for collection in axes.collections])
    expected = np.concatenate([codes(model, x)[labels == label] for label in np.unique(labels)])
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert [patch.radius for patch in axes.patches] == [1, 2, 3]
    assert axes.get_aspect() == 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(label) for label in np.unique(labels)]


def test_of_many_dimensions_the_two_with_the_largest_kl_are_shown_and_named():
    model, x = vae(latent=5), TEST.take(slice(0, 60), ta.rng(0))
    bias = model.encoder[-1].bias.data
    bias[1], bias[3] = 4.0, -3.0  # the means of two dimensions far from 0
    assert shown_dimensions(model, x) == [1, 3]
    assert kl_per_dimension(model, x).sum() == pytest.approx(model.loss(x, rng=ta.rng(0)).kl.data.item(), rel=1e-4)
    axes = figures.posterior_means(model, x, TEST.labels[:60]).axes[0]
    assert ("z_{2}" in axes.get_xlabel(), "z_{4}" in axes.get_ylabel()) == (True, True)
    caption = {p.name: p.caption for p in draw_all(model)}["posterior_means"]
    assert "z₂ and z₄" in caption
    assert "largest KL" in caption


def test_names_of_classes_stand_apart():
    places = spread_apart(np.array([[0.0, 0.0], [0.01, 0.0], [5.0, 5.0]]), 1.0)
    assert np.linalg.norm(places[0] - places[1]) >= 0.95
    np.testing.assert_array_equal(places[2], [5.0, 5.0])


def test_the_diagram_counts_every_parameter_and_shows_every_shape():
    model = vae(latent=3, hidden=(20, 10), activation="tanh")
    figure = figures.architecture(model, (8, 8))
    total = sum(s.parameters for part, width in ((model.encoder, 64), (model.decoder, 3)) for s in stages(part, width))
    assert total == sum(p.size for p in model.parameters())
    for shown in (
        "Linear 64 → 20, Tanh",
        "Linear 10 → 6",
        "mean (N, 3)",
        "log_variance (N, 3)",
        "noise (N, 3)",
        "(N, 20)",
        "1,300 parameters",
        "logits",
    ):
        assert shown in text_of(figure)
    assert "variance is 0.25" in text_of(figures.architecture(vae(likelihood="gaussian", variance=0.25), (8, 8)))


def test_one_image_of_each_class_then_others():
    assert one_of_each_class(np.array([3, 3, 1, 1, 2]), 4) == [2, 4, 0, 1]
    assert one_of_each_class(np.array([3, 3, 1, 1, 2]), 2) == [2, 4]


def test_pictures_are_drawn_on_every_backend(backend):
    assert len(draw_all(vae())) == 7
    assert len(draw_all(vae(likelihood="gaussian"))) == 7
    assert len(draw_all(autoencoder(), AE_ROWS)) == 5


def test_a_picture_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    figures.save(figures.learning_curves(AE_ROWS), path)
    before = path.read_bytes()
    assert before == figures.png(figures.learning_curves(AE_ROWS))

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figures.learning_curves(VAE_ROWS), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    figures.png(figures.learning_curves(VAE_ROWS))
    assert dict(matplotlib.rcParams) == before


def test_figures_do_without_pyplot():
    code = "import sys, tinyae.figures; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
