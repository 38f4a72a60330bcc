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
from tinyae import figures, nn
from tinyae.figures.comparison import comparison
from tinyae.figures.diagram import BOX, OUTPUTS, stages
from tinyae.figures.images import codes, decoded_means, montage
from tinyae.figures.latent import are_named, kl_per_dimension, shown_dimensions, spread_apart
from tinyae.figures.pictures import one_of_each_class
from tinyae.figures.points import PAIRS, principal_directions
from tinyae.models.likelihoods import LIKELIHOODS

TEST = ta.data.load("digits", split="test", binarisation="threshold")
TRAIN = ta.data.load("digits", split="train", binarisation="threshold")
VAE_ROWS = [
    {"epoch": e, "seconds": 0.1}
    | {f"{split}_{t}": 20 + v / e for split in ("train", "test") for t, v in (("loss", 3), ("negative_elbo", 3), ("reconstruction", 2), ("kl", 1))}
    for e in range(1, 6)
]
MORE_ROWS = [
    row | {f"validation_{t}": row[f"test_{t}"] + 1 for t in ("loss", "negative_elbo", "reconstruction", "kl")} | {"gradient_norm": 1234.5}
    for row in VAE_ROWS
]
AE_ROWS = [{"epoch": e, "train_loss": 4 / e, "train_mse": 0.1 / e, "test_loss": 5 / e, "test_mse": 0.2 / e} for e in range(1, 6)]


def vae(latent=2, **settings):
    return ta.models.VAE(**{"features": 64, "latent": latent, "hidden": (16,)} | settings, rng=ta.rng(1))


def autoencoder(latent=2):
    return ta.models.Autoencoder(features=64, latent=latent, hidden=(16,), rng=ta.rng(1))


def draw_all(model, rows=VAE_ROWS, seed=0, data=None):
    return figures.pictures_of(model, rows, *(data or (TRAIN, TEST)), seed)


def colour_images(n=12, classes=()):
    """Train and test: colour images of 3 by 8 by 8 pixels, of three classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, 192), dtype=np.uint8)
    return [ta.data.Dataset("colours", split, pixels, np.arange(n) % 3, (3, 8, 8), 255, classes=classes) for split in ("train", "test")]


def toy(name, n=60):
    return [ta.data.toy(name, n, ta.rng(0).stream(split), split) for split in ("train", "test")]


def conv_vae(image_shape=(3, 8, 8), **settings):
    return vae(**{"features": math.prod(image_shape), "channels": (4, 8), "image_shape": image_shape, "likelihood": "gaussian"} | settings)


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
    long = conv_vae((3, 64, 64), channels=(128, 256), hidden=(1024,), activation="leaky_relu")
    named = draw_all(conv_vae(), MORE_ROWS, data=colour_images(classes=("automobile", "cat", "dog")))
    rolled = draw_all(vae(features=3, likelihood="gaussian"), data=toy("swiss-roll"))
    pictures = [*drawn.values(), *(p for p in named if p.name in ("learning_curves", "posterior_means")), *rolled[2:]]
    others = [deep, figures.architecture(autoencoder(), (8, 8)), figures.architecture(long, (3, 64, 64))]
    for figure in [picture.figure for picture in pictures] + others:
        figure.canvas.draw()
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
    return np.asarray(image.get_array())


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


def test_a_montage_of_colour_images_has_the_channels_last():
    images = np.random.default_rng(0).random((2, 3, 192))
    sheet, across, down = montage(images, (3, 8, 8))
    assert sheet.shape == (2 * 34 - 2, 3 * 34 - 2, 3)
    np.testing.assert_array_equal(sheet[34:66:4, 68::4], images[1, 2].reshape(3, 8, 8).transpose(1, 2, 0))
    assert np.isnan(sheet[32:34]).all()
    assert (across[2], down[1]) == (68 + 15.5, 34 + 15.5)
    assert montage(images[..., :64], (1, 8, 8))[0].ndim == 2


def test_colours_outside_0_and_1_are_clipped_and_gaps_are_white(caplog):
    x = np.full((2, 192), 0.5, np.float32)
    x[0, :64], x[0, 64:128] = 1.5, -2.0  # too much red, too little green
    sheet = sheet_of(figures.reconstructions(conv_vae(), x, (3, 8, 8), ta.rng(0)))
    np.testing.assert_array_equal(sheet[0, 0], [1, 0, 0.5])
    assert (sheet[32:34] == 1).all()
    assert sheet.min() >= 0
    assert sheet.max() <= 1
    assert caplog.messages == []  # matplotlib would clip too, and complain


def test_captions_speak_of_black_and_white_only_where_there_is_no_colour(drawn):
    colour = {p.name: p.caption for p in draw_all(conv_vae(), data=colour_images())}
    assert "Black is 0 and white is 1." in drawn["prior_samples"].caption
    for name in ("reconstructions", "manifold", "prior_samples", "interpolation"):
        assert "Red, green and blue from 0 to 1; values outside are shown as 0 or 1." in colour[name]
    assert not [name for name, caption in colour.items() if "lack" in caption]
    assert "the first of each class, then others (not binarised, values in [0, 1])" in colour["reconstructions"]


def test_classes_are_called_by_their_names_and_long_ones_stand_in_the_legend_alone():
    data = colour_images(classes=("automobile", "cat", "dog"))
    picture = next(p for p in draw_all(conv_vae(), data=data) if p.name == "posterior_means")
    assert [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()] == ["automobile", "cat", "dog"]
    assert not picture.figure.axes[0].texts
    assert "median" not in picture.caption
    assert are_named(np.array([1, 10]))
    assert not are_named(np.zeros(3))


def test_no_two_classes_look_the_same():
    axes = figures.posterior_means(vae(), np.zeros((30, 64), np.float32), np.arange(30)).axes[0]
    looks = {(c.get_facecolor().tobytes(), c.get_paths()[0].vertices.tobytes()) for c in axes.collections}
    assert len(looks) == 30


def points_of(figure):
    """For each panel, the places of its clouds."""
    return [[np.asarray(c.get_offsets()) for c in axes.collections if not hasattr(c, "get_segments")] for axes in figure.axes]


def test_points_their_reconstructions_and_new_points_stand_side_by_side_in_the_same_axes():
    model, (_, test) = vae(features=2, likelihood="gaussian", variance=0.01), toy("two-moons")
    figure = figures.points(model, test.images, 500, ta.rng(3))
    (given,), (again, means), (samples, new_means) = points_of(figure)
    np.testing.assert_array_equal(given, test.images)
    np.testing.assert_array_equal(again, given)
    np.testing.assert_allclose(means, model.reconstruct(test.images), atol=1e-6)
    np.testing.assert_allclose(new_means, model.sample(500, rng=ta.rng(3)), atol=1e-6)
    assert np.abs(samples - new_means).std() == pytest.approx(0.06, abs=0.01)  # 0.1 sqrt(1 - 2 / pi): they belong together
    (lines,) = [c for c in figure.axes[1].collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose(lines.get_segments(), np.stack([given, means], axis=1)[:PAIRS], atol=1e-6)
    assert len({(*axes.get_xlim(), *axes.get_ylim(), axes.get_aspect()) for axes in figure.axes}) == 1
    assert figure.axes[0].get_aspect() == 1


def test_points_of_many_dimensions_are_seen_along_their_principal_directions():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    x = rng.normal(size=(2000, 5)) * [3.0, 2.0, 0.1, 0.1, 0.1] @ basis.T + 7
    directions, shares = principal_directions(x)
    np.testing.assert_allclose(np.abs(directions.T @ basis[:, :2]), np.eye(2), atol=0.05)
    assert (directions[abs(directions).argmax(axis=0), [0, 1]] > 0).all()
    values = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(shares, values[:2] / values.sum())
    model, x = ta.models.Autoencoder(5, 2, (4,), rng=ta.rng(1)), x.astype(np.float32)
    (given,), (_, reconstructed) = points_of(figures.points(model, x))
    np.testing.assert_allclose(given, x @ directions, atol=1e-4)
    np.testing.assert_allclose(reconstructed, model.reconstruct(x) @ directions, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "words"), [("two-moons", "coloured by class"), ("swiss-roll", "coloured by their angle"), ("linear-gaussian", "60 test points.")]
)
def test_a_set_of_points_has_no_grids_of_images_and_says_how_it_is_seen(name, words):
    data = toy(name)
    pictures = draw_all(vae(features=data[1].features, likelihood="gaussian"), data=data)
    assert [p.name for p in pictures] == ["architecture", "learning_curves", "points", "posterior_means"]
    captions = {p.name: p.caption for p in pictures}
    assert words in captions["posterior_means"]
    assert ("vary most" in captions["points"]) is (data[1].features > 2)
    assert not [p.name for p in pictures if "image" in p.caption + p.alt or "pixel" in p.caption + p.alt]
    assert all(len(p.alt) > 20 for p in pictures)


def test_points_are_the_same_bytes_for_the_same_seed():
    draw = [
        next(p for p in draw_all(vae(features=3, likelihood="gaussian"), seed=s, data=toy("swiss-roll")) if p.name == "points") for s in (0, 0, 1)
    ]
    first, again, other = (figures.png(picture.figure) for picture in draw)
    assert first == again != other


def test_an_autoencoder_of_points_has_nothing_new_to_show():
    pictures = {p.name: p for p in draw_all(ta.models.Autoencoder(3, 1, (4,), rng=ta.rng(1)), AE_ROWS, data=toy("swiss-roll"))}
    assert "prior" not in pictures["points"].caption
    assert [axes.get_title() for axes in pictures["points"].figure.axes] == ["test points", "reconstructions"]
    assert "height is the angle" in pictures["posterior_means"].caption


def test_the_curves_show_validation_and_the_gradient_where_they_are_known():
    figure = figures.learning_curves(MORE_ROWS)
    assert [axes.get_title() for axes in figure.axes] == ["negative ELBO", "reconstruction", "KL divergence", "gradient"]
    assert [text.get_text().split()[0] for text in figure.axes[0].get_legend().get_texts()] == ["train", "validation", "test"]
    assert [text.get_text() for text in figure.axes[3].get_legend().get_texts()] == ["train (last: 1,234)"]
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), [row["validation_negative_elbo"] for row in MORE_ROWS])
    assert [axes.get_title() for axes in figures.learning_curves(VAE_ROWS).axes] == ["negative ELBO", "reconstruction", "KL divergence"]
    picture = next(p for p in draw_all(vae(), MORE_ROWS) if p.name == "learning_curves")
    assert "1,400 training images (solid), the validation split (dotted) and 397 test images (dashed)" in picture.caption
    assert "Gradient: its Euclidean norm" in picture.caption


def test_pictures_are_drawn_without_dropout_and_leave_the_model_in_training():
    model = vae()
    model.encoder = nn.Sequential(*model.encoder, nn.Dropout(0.5, rng=ta.rng(0)))
    before = [stream.state() for _, stream in model.named_streams()]
    draw_all(model)
    assert [stream.state() for _, stream in model.named_streams()] == before
    assert all(module.training for module in model.modules())


def test_prior_samples_that_do_not_fill_the_last_row_leave_it_white():
    sheet = sheet_of(figures.prior_samples(vae(), 13, (8, 8), ta.rng(0)))
    assert (sheet[34:, 3 * 34 :] == 1).all()
    assert (sheet[34:, :32] < 1).all()


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


def test_the_diagram_of_a_convolutional_network_has_a_box_for_each_layer_with_parameters_and_the_true_shapes():
    model = conv_vae((3, 8, 14), channels=(4, 8))
    down, up = stages(model.encoder, 336), stages(model.decoder, 2)
    assert [s.names for s in down] == [
        ("Unflatten", "Conv2d 3 → 4", "ReLU"),
        ("Conv2d 4 → 8", "ReLU"),
        ("Flatten", "Linear 48 → 16", "ReLU"),
        ("Linear 16 → 4",),
    ]
    assert [s.shape for s in down] == [(4, 4, 7), (8, 2, 3), (16,), (4,)]
    assert [s.names[-1] for s in up] == ["ReLU", "ReLU", "ReLU", "Flatten"]
    assert [s.shape for s in up] == [(16,), (8, 2, 3), (4, 4, 7), (336,)]
    assert sum(s.parameters for s in down + up) == sum(p.size for p in model.parameters())
    text = text_of(figures.architecture(model, (3, 8, 14)))
    for shown in ("images 3 × 8 × 14 as rows of 336", "Unflatten, Conv2d 3 → 4, ReLU", "4 × 4, stride 2; 196 parameters", "(N, 8, 2, 3)"):
        assert shown in text
    assert "ConvTranspose2d 8 → 4" in text


def test_every_text_of_the_diagram_fits_in_its_box():
    model = conv_vae((3, 64, 64), channels=(128, 256), hidden=(1024,), activation="leaky_relu")
    figure = figures.architecture(model, (3, 64, 64))
    figure.canvas.draw()
    (axes,), inch = figure.axes, figure.dpi
    titles = [text for text in axes.texts if "LeakyReLU" in text.get_text()]
    assert len(titles) == 6
    assert max(text.get_window_extent().width for text in titles) < BOX * inch


def test_the_diagram_takes_any_chain_of_layers_and_functions():
    def double(x):
        return 2 * x

    stream = ta.rng(0)
    net = nn.Sequential(
        nn.Dropout(0.5, rng=stream), nn.Linear(6, 12, rng=stream), nn.BatchNorm1d(12), double, nn.Unflatten(1, (3, 2, 2)),
        nn.Conv2d(3, 2, (1, 2), stride=(1, 2), rng=stream), nn.MaxPool2d((2, 1)), nn.Residual(nn.Conv2d(2, 2, 1, rng=stream)), nn.Flatten(), double,
    )  # fmt: skip
    found = [(", ".join(s.names), s.windows, s.shape) for s in stages(net, 6)]
    assert found == [
        ("Dropout, Linear 6 → 12", "", (12,)),
        ("BatchNorm1d, double, Unflatten", "", (3, 2, 2)),
        ("Conv2d 3 → 2, MaxPool2d", "1 × 2, stride 1 × 2", (2, 1, 1)),
        ("Residual, Flatten, double", "", (2,)),
    ]
    assert [(s.names, s.shape) for s in stages(nn.Sequential(double), 3)] == [(("double",), (3,))]


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


NAMES_FROM_OUTSIDE = ["b$\\frac$c", "_a", "cost$x_1$y", "plain"]


@pytest.mark.parametrize("latent", [1, 2])
def test_names_from_outside_are_no_mathematics_and_all_are_in_the_legend(latent):
    labels = np.array(NAMES_FROM_OUTSIDE)[np.arange(40) % 4]
    model = vae(latent)
    figure = figures.posterior_means(model, TEST.images[:40], labels)
    assert figures.png(figure)
    axes = figure.axes[0]
    shown = axes.get_legend().get_texts() if latent == 2 else axes.get_yticklabels()
    assert [text.get_text().replace("\\$", "$") for text in shown] == sorted(NAMES_FROM_OUTSIDE)
    assert figures.png(figures.posterior_means(model, TEST.images[:40], labels, factor=np.linspace(0, 1, 40), name="a$\\foo$b"))
    numbers = {name: {"mse": {"value": float(i), "unit": "nats"}} for i, name in enumerate(NAMES_FROM_OUTSIDE)}
    assert figures.png(comparison(numbers, ["mse"]))


def test_an_infinite_score_has_its_place_at_the_edge():
    scores = {"usual": np.append(np.linspace(1, 2, 50), np.inf), "un$\\usual$": np.linspace(2, 3, 50)}
    shown = dict.fromkeys(scores, TEST.images[:3])
    assert figures.png(figures.uses.anomalies(scores, shown, (8, 8), "nats"))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_drawing_says_what_the_decoder_gives(likelihood):
    """Only a Bernoulli's logits are said to be probabilities of a 1; what is written fits into its box."""
    figure = figures.architecture(vae(likelihood=likelihood), (8, 8))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert ("their sigmoid is the probability of a 1" in texts) == (likelihood == "bernoulli")
    assert likelihood == "gaussian" or any(text in texts for text in OUTPUTS[likelihood])
