"""The printed microscope: what a reader sees of one training step."""

import copy
import re

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.microscope import microscope_model, record, to_text, trace
from tinyae.microscope.target import load_target
from tinyae.microscope.text import record_to_text

REPARAMETERIZE = """\
  6  normal.py:LINE     z = reparameterize(mean, log_variance, noise)      (4, 2)      from 7         NORM
       d loss / d mean = grad[z]           (4, 2)      to 4           NORM
       d loss / d log_variance = grad[z] * exp(log_variance / 2) * noise / 2
                                           (4, 2)      to 5           NORM
       noise: constant, no gradient
"""


def masked(text):
    """The text without line numbers of the source, norms and the width of gaps."""
    text = re.sub(r"(\.py):\d+", r"\1:LINE", text)
    text = re.sub(r"\d+(\.\d+)?(e-?\d+)?$", "NORM", text, flags=re.MULTILINE)
    return [" ".join(row.split()) for row in text.splitlines()]


@pytest.fixture(scope="module")
def vae():
    """The text of one step of a VAE."""
    return microscope_model("vae")


def test_the_same_seed_gives_the_same_text(vae):
    assert microscope_model("vae") == vae
    assert microscope_model("vae", seed=1) != vae


def test_the_story_is_told_by_the_lines_of_the_model(vae):
    forward = vae[: vae.index("BACKWARD")]
    story = [
        "q = self.encode(x)",
        "h = self.encoder(",
        "h[:, :self.latent]",
        "z = q.rsample(noise)",
        "self.decoder(z)",
        "bce_with_logits(",
        "kl = ",
        "negative_elbo = ",
    ]
    places = [forward.index(text) for text in story]
    assert places == sorted(places)


def test_reparameterize_reads_as_on_a_blackboard(vae):
    wanted = "\n".join(masked(REPARAMETERIZE))
    assert wanted in "\n".join(masked(vae[vae.index("BACKWARD") :]))


def test_shapes_stand_beside_their_operation(vae):
    rows = masked(vae)
    assert any(row.endswith("y8 = tanh(y7) (4, 16) -> (4, 16) 7 NORM") for row in rows)
    assert "(4, 64), (16, 64), (16,) -> (4, 16) const NORM" in rows


@pytest.mark.parametrize("width", [100, 120])
@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_rows_fit_the_terminal_and_columns_are_aligned(name, width):
    text = microscope_model(name, width=width)
    tables = text[text.index("FORWARD") : text.index("PARAMETER")]
    assert max(map(len, text.splitlines())) <= width
    ends = {len(row) for row in tables.splitlines() if re.search(r" {2,}[\d.e-]+$", row)}
    assert ends == {width}
    assert text.isascii()


def test_the_ledger_names_each_parameter_and_the_terms_add_up(vae):
    ledger = vae[vae.index("PARAMETER") :]
    for name in ("encoder.0.weight", "encoder.2.bias", "decoder.0.bias", "decoder.2.weight"):
        assert name in ledger
    terms = {row.split()[0]: float(row.split()[1]) for row in ledger[ledger.index("LOSS") :].splitlines()[1:]}
    assert terms["negative_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"], abs=2e-4)
    assert "nats per example" in ledger


@pytest.fixture(scope="module")
def recorded():
    return load_target("vae").record(draws=0)


@pytest.mark.parametrize("width", [100, 120])
def test_a_record_is_told_in_the_same_table(recorded, width):
    text = record_to_text(recorded, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii()
    rows = masked(record_to_text(recorded, 110).partition("BACKWARD")[2])
    assert "\n".join(masked(REPARAMETERIZE)).replace("normal.py", "vae.py") in "\n".join(rows)
    assert text.count("z = reparameterize(mean, log_variance, noise)") == 2
    assert text.count("h = self.encoder(") == 1
    assert "gradients: 46 of 46 gradients agree" in text
    for word in ("PARAMETER", "LOSS", "scatter_add  zeros of this shape", "spread  "):
        assert word in text


def test_the_numbers_of_a_record_are_those_of_its_trace(vae, recorded):
    def ledger(text):
        text = text[text.index("PARAMETER") :]
        return {row.split()[0]: row.split()[1:] for row in text.splitlines() if row and row[0].islower() and not row.startswith("holds")}

    of_record, of_trace = ledger(record_to_text(recorded)), ledger(vae)
    assert len(of_record) > 10
    assert of_record.items() <= of_trace.items()


def test_a_record_tells_what_is_wrong_missing_or_left_out(recorded):
    other = copy.deepcopy(recorded)
    other["nodes"][2]["rules"][0]["check"] |= {"verdict": "wrong", "numeric": 1.5, "analytic": 2.5}
    other["nodes"][0]["value"]["norm"] = None
    other["nodes"][1]["gradient"] = None
    other["checks"][-1]["passed"] = False
    other["folded"], other["loss"]["value"] = 7, None
    text = record_to_text(other)
    assert "! wrong: finite differences 1.5, trace 2.5" in text
    assert "not finite" in text
    assert "No gradient passes through operation 2." in text
    assert "7 operations of loops were left out." in text
    assert "FAILS  gradients" in text


def test_lines_without_a_gradient_are_named():
    assert "No gradient passes through operation 11." in microscope_model("autoencoder")


def test_a_pass_that_was_not_reversed_prints_forward_alone():
    x = ta.Tensor(np.ones((2, 3)), requires_grad=True)
    with record() as trace:
        x.sum()
    text = to_text(trace)
    assert "x.sum()" in text
    assert "BACKWARD" not in text


def test_an_empty_trace_is_no_error():
    with record() as trace:
        pass
    assert "FORWARD" in to_text(trace)


def test_an_unknown_model_is_one_readable_error():
    with pytest.raises(ta.errors.ArgumentError, match="unknown model 'gan'"):
        microscope_model("gan")


def test_words_in_rules_are_explained_only_where_they_occur(vae):
    legend = vae[: vae.index("FORWARD")]
    assert "scatter_add  zeros of this shape" in legend
    assert "swapaxes" not in legend


@np.errstate(all="ignore")
def test_a_loss_that_is_not_finite_is_traced_to_the_first_operation_with_such_a_result():
    def loss(x, w):
        h = ops.log(x)
        return ops.square(h @ w).sum()

    w = ta.Tensor(np.ones((2, 3)), requires_grad=True)
    found = trace(loss, ta.Tensor(np.array([[1.0, 2.0], [0.0, -1.0]]), requires_grad=True), w)
    assert to_text(found).rstrip().endswith("h = ops.log(x)")
    assert "the loss is not finite: nan\nthe first operation with a result that is not finite: operation 1 (test_text.py" in to_text(found)
    told = found.to_record(draws=0)
    assert told["checks"][0]["node"] == 1
    assert "FAILS  finite loss: the first operation with a result that is not finite is 1 h = ops.log(x)" in record_to_text(told)


def test_an_infinite_value_that_the_loss_forgives_is_no_fault():
    """The logarithm of a class that cannot occur, as a mask adds it."""
    found = trace(lambda x: ops.logsumexp(x + np.array([0.0, -np.inf, 0.0]), axis=-1).sum(), ta.Tensor(np.ones((2, 3)), requires_grad=True))
    assert "not finite" not in to_text(found)
    assert all(check["what"] != "finite loss" for check in found.to_record(draws=0)["checks"])
