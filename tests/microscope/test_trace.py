"""A trace has each operation on its right line, the rules in that line's names, and the very gradients of `backward`."""

import functools
import inspect
import linecache

import numpy as np
import pytest

import tinyae as ta
from tinyae.autograd.graph import state
from tinyae.microscope import record, to_text
from tinyae.ops import concatenate, exp, linear, tanh


def small_vae():
    """A VAE with its batch and noise."""
    rng = ta.rng(3)
    model = ta.models.VAE(features=6, latent=2, hidden=(5,), activation="tanh", rng=rng)
    return model, rng.bernoulli(np.full((4, 6), 0.5, np.float32)), rng.normal((4, 2))


def traced_vae():
    """The trace of one step of that VAE, forward and backward, with its terms."""
    model, x, noise = small_vae()
    with record(model) as trace:
        terms = model.loss(x, noise=noise)
    trace.backward(terms.loss)
    return trace, terms, model


def helper(t):
    return t * t  # helper


def script(x, w, b):
    h = x
    for _ in range(2):
        h = tanh(h @ w + b)  # loop
    a, c = exp(h), -h[:, :1]  # two on a line
    d = (
        a  # start
        * c
        + helper(h)  # call
    )
    e = concatenate([d, h], axis=1)  # join
    e += 1.0  # in place
    parts = [part.sum() for part in (d, e)]  # comprehension
    total = functools.reduce(ta.ops.add, parts)  # reduce
    chain = (
        h.exp()
        .sum(axis=0)  # chain
        .mean()
    )
    for row in x:  # rows
        total = total + row.sum()
    return total + chain + 2 * x.T[0, 1]  # end


def leaves():
    """The three leaves of `script`."""
    rng = np.random.default_rng(5)
    return [ta.Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((4, 3), (3, 3), (3,))]


def line_of(comment):
    """The number of the line of this file that ends with a comment."""
    source, _ = inspect.getsourcelines(inspect.getmodule(script))
    return next(number for number, text in enumerate(source, 1) if text.rstrip().endswith(f"# {comment}"))


def gradients_of(trace, name):
    """argument -> its gradient, of the only line of an operation."""
    (line,) = [line for line in trace.lines if line.primitive.name == name]
    return {gradient.argument.text: gradient for gradient in line.gradients}


def test_gradients_are_bit_equal_to_those_of_backward():
    _, _, traced = traced_vae()
    plain, x, noise = small_vae()
    plain.loss(x, noise=noise).loss.backward()
    for ours, theirs in zip(traced.parameters(), plain.parameters(), strict=True):
        assert ours.grad.tobytes() == theirs.grad.tobytes()


def test_gradients_of_a_script_are_bit_equal_to_those_of_backward():
    ours, theirs = leaves(), leaves()
    with record() as trace:
        loss = script(*ours)
    trace.backward(loss)
    script(*theirs).backward()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad.tobytes() == other.grad.tobytes()


def test_gradients_are_written_into_an_optimisers_buffer_as_backward_does():
    model, x, noise = small_vae()
    ta.optim.Adam(model.parameters())
    with record(model) as trace:
        loss = model.loss(x, noise=noise).loss
    trace.backward(loss)
    _, _, other = traced_vae()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert ours.grad is ours.gradient_buffer
        assert ours.grad.tobytes() == theirs.grad.tobytes()


def test_every_operation_appears_once_forward_and_backward():
    trace, _, _ = traced_vae()
    operations = [line.primitive.name for line in trace.lines]
    encoder = decoder = ["linear", "tanh", "linear"]
    likelihood, kl = ["bce_with_logits", "mean"], ["kl_standard_normal", "mean", "add"]
    assert operations == [*encoder, "getitem", "getitem", "reparameterize", *decoder, *likelihood, *kl]
    assert [line.number for line in trace.lines] == list(range(1, 15))
    for line in trace.lines:
        wanted = [argument.text for argument in line.arguments if argument.kind in ("line", "parameter", "leaf")]
        assert sorted(gradient.argument.text for gradient in line.gradients) == sorted(wanted)


def test_library_operations_stand_on_the_lines_that_a_reader_reads():
    trace, _, _ = traced_vae()
    for line in trace.lines:
        assert line.call.source in linecache.getline(line.call.file, line.call.line)
    places = {line.primitive.name: line.call.file.rsplit("/", 1)[-1] for line in trace.lines}
    assert places["linear"] == places["tanh"] == "layers.py"
    assert (places["reparameterize"], places["kl_standard_normal"]) == ("normal.py", "divergence.py")
    assert places["bce_with_logits"] == "bernoulli.py"
    assert places["getitem"] == "vae.py"
    drawn = next(line for line in trace.lines if line.primitive.name == "reparameterize")
    assert drawn.path[-1].source == "z = q.rsample(noise)"
    assert drawn.name == "z"


def test_lines_of_a_script_are_right():
    with record() as trace:
        script(*leaves())
    found = [(line.primitive.name, line.call.line) for line in trace.lines]
    loop, two, rows = line_of("loop"), line_of("two on a line"), line_of("rows")
    assert found[:6] == [("matmul", loop), ("add", loop), ("tanh", loop)] * 2
    assert found[6:9] == [("exp", two), ("getitem", two), ("negative", two)]
    start = line_of("start")
    assert found[9:12] == [("multiply", start), ("multiply", line_of("helper")), ("add", start)]
    assert found[12:14] == [("concatenate", line_of("join")), ("add", line_of("in place"))]
    assert found[14:17] == [("sum", line_of("comprehension"))] * 2 + [("add", line_of("reduce"))]
    assert found[17:20] == [("exp", line_of("chain") - 1), ("sum", line_of("chain")), ("mean", line_of("chain") + 1)]
    assert found[20:32] == [("getitem", rows), ("sum", rows + 1), ("add", rows + 1)] * 4
    assert {number for _, number in found[32:]} == {line_of("end")}
    assert trace.lines[10].path[-1].line == line_of("call")


def test_operations_read_as_the_script_writes_them():
    with record() as trace:
        script(*leaves())
    texts = [f"{line.label} = {line.text}" for line in trace.lines]
    assert texts[:5] == ["y1 = h @ w", "y2 = y1 + b", "h_2 = tanh(y2)", "y4 = h_2 @ w", "y5 = y4 + b"]
    assert texts[6:14] == [
        "a = exp(h_3)", "y8 = h_3[:, :1]", "c = -y8", "y10 = a * c", "y11 = h_3 * h_3", "d = y10 + y11",
        "e = concatenate([d, h_3], axis=1)", "e_2 = e + 1.0",
    ]  # fmt: skip
    assert texts[14:20] == [
        "y15 = d.sum()",
        "y16 = e_2.sum()",
        "total = add(y15, y16)",
        "y18 = h_3.exp()",
        "y19 = y18.sum(axis=0)",
        "chain = y19.mean()",
    ]
    assert texts[-5:] == ["y33 = total_5 + chain", "y34 = x.T", "y35 = y34[0, 1]", "y36 = 2 * y35", "y37 = y33 + y36"]


def test_rules_have_the_names_of_their_line():
    trace, _, _ = traced_vae()
    drawn = gradients_of(trace, "reparameterize")
    assert {name: gradient.rule for name, gradient in drawn.items()} == {
        "mean": "grad[z]",
        "log_variance": "grad[z] * exp(log_variance / 2) * noise / 2",
    }
    divergence = gradients_of(trace, "kl_standard_normal")
    assert {name: gradient.rule for name, gradient in divergence.items()} == {
        "mean": "g12[..., None] * mean",
        "log_variance": "g12[..., None] * (exp(log_variance) - 1) / 2",
    }
    assert {gradient.argument.text: gradient.rule for gradient in trace.lines[2].gradients} == {
        "y2": "grad[h] @ encoder.2.weight",
        "encoder.2.weight": "grad[h].T @ y2",
        "encoder.2.bias": "grad[h].sum(axis=0)",
    }


def test_a_rule_has_parentheses_only_where_an_expression_needs_them():
    a, b = (ta.Tensor(np.array([0.5, 2.0]), requires_grad=True) for _ in range(2))
    scale = np.array([3.0, 4.0])
    with record() as trace:
        y = ta.ops.multiply(a, scale - 1)
        z = ta.ops.multiply(b, scale * 2)
        loss = (y + z).sum()
    trace.backward(loss)
    assert trace.lines[0].gradients[0].rule == "grad[y] * (scale - 1)"
    assert trace.lines[1].gradients[0].rule == "grad[z] * (scale * 2)"


def test_a_name_that_the_line_reads_is_not_used_for_its_result():
    h = ta.Tensor(np.array([0.5, 2.0]), requires_grad=True)
    with record() as trace:
        h = tanh(h)
        h = h.sum()
    trace.backward(h)
    assert trace.lines[0].gradients[0].rule == "grad[h_2] * (1 - h_2 * h_2)"
    assert trace.lines[1].text == "h_2.sum()"


def test_leaves_that_are_written_alike_are_told_apart():
    weights = [ta.Tensor(np.full(2, value), requires_grad=True) for value in (0.5, 2.0)]
    with record() as trace:
        h = np.ones(2)
        for w in weights:
            h = h * w
    assert [line.text for line in trace.lines] == ["h * w", "h_2 * w_2"]
    assert {name for name, _ in trace.leaves.values()} == {"w", "w_2"}


def test_a_matrix_times_a_vector_has_the_products_of_vectors_as_rules():
    a, v = ta.Tensor(np.ones((2, 3)), requires_grad=True), ta.Tensor(np.ones(3), requires_grad=True)
    with record() as trace:
        y = a @ v
        loss = y @ y
    trace.backward(loss)
    assert [gradient.rule for gradient in trace.lines[0].gradients] == ["outer(grad[y], v)", "a.T @ grad[y]"]
    assert [gradient.rule for gradient in trace.lines[1].gradients] == ["grad[loss] * y", "y * grad[loss]"]


def test_norms_are_those_of_numpy():
    trace, terms, model = traced_vae()
    assert trace.lines[-1].norm == pytest.approx(abs(terms.loss.item()), rel=1e-6)
    for line in trace.lines:
        assert line.norm == pytest.approx(np.sqrt((line.value.data.astype(float) ** 2).sum()), rel=1e-12)
    sent = {gradient.argument.text: gradient for line in trace.lines for gradient in line.gradients}
    for name, parameter in model.named_parameters():
        assert sent[name].shape == parameter.shape
        assert sent[name].norm == pytest.approx(np.linalg.norm(parameter.grad.astype(float)), rel=1e-12)


def test_cotangents_come_from_all_lines_that_use_a_value():
    trace, _, _ = traced_vae()
    mean = trace.lines[3]
    assert mean.consumers == [12, 6]
    model, x, noise = small_vae()
    with record() as again:
        loss = model.loss(x, noise=noise).loss
    wanted = ta.grad(loss, [again.lines[3].value])[0]
    assert mean.cotangent_norm == pytest.approx(np.linalg.norm(wanted.data), rel=1e-6)


def test_a_broken_rule_changes_the_norm_of_its_line(monkeypatch):
    before = gradients_of(traced_vae()[0], "kl_standard_normal")
    rule = ta.ops.kl_standard_normal.rules[1]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda gy, log_variance: 3 * right(gy, log_variance))
    after = gradients_of(traced_vae()[0], "kl_standard_normal")
    assert after["log_variance"].norm == pytest.approx(3 * before["log_variance"].norm, rel=1e-5)
    assert after["mean"].norm == before["mean"].norm


def test_noise_and_data_are_constants():
    trace, _, _ = traced_vae()
    constants = [(line.primitive.name, a.text) for line in trace.lines for a in line.arguments if a.kind == "constant"]
    assert constants == [("linear", "x"), ("reparameterize", "noise"), ("bce_with_logits", "x")]


def test_a_broadcast_input_says_what_was_summed():
    x, _, b = leaves()
    with record() as trace:
        loss = (x * b + x[:, :1]).sum()
    trace.backward(loss)
    summed = {gradient.argument.text: gradient.summed for line in trace.lines for gradient in line.gradients}
    assert summed == {"x": (), "b": (0,), "y1": (), "y2": (1,), "y3": ()}
    assert "d loss / d b = g1 * x, summed over axis 0" in to_text(trace)


def test_the_observer_goes_away_even_after_an_error():
    with pytest.raises(ta.errors.ShapeError), record():
        leaves()[0] @ leaves()[0]
    assert state.observers == ()


def test_nothing_is_recorded_outside_the_block():
    x, w, _ = leaves()
    tanh(x)
    with record() as trace:
        y = tanh(x @ w)
    (y * 2).sum().backward()
    assert [line.primitive.name for line in trace.lines] == ["matmul", "tanh"]


def test_source_that_cannot_be_found_falls_back_to_the_names_of_the_inputs():
    x, w, b = leaves()
    namespace = {"x": x, "w": w, "b": b, "linear": linear, "record": record, "exp": exp}
    code = "with record() as trace:\n    y = linear(x, w, b)\n    loss = exp(y).sum()\ntrace.backward(loss)\n"
    exec(compile(code, "<stdin>", "exec"), namespace)
    trace = namespace["trace"]
    assert [line.text for line in trace.lines] == ["linear(x, weight, bias)", "exp(y1)", "sum(y2)"]
    assert [line.call.line for line in trace.lines] == [2, 3, 3]
    assert trace.lines[1].gradients[0].rule == "g2 * y2"
    assert "<stdin>:2" in to_text(trace)


def test_calls_with_keywords_stars_and_other_names_are_read_or_fall_back():
    x, w, b = leaves()
    layer, arguments = linear, (x, w, b)
    with record() as trace:
        layer(x, bias=b, weight=w)
        linear(*arguments)
        list(map(exp, [x]))
    assert [line.text for line in trace.lines] == ["layer(x, bias=b, weight=w)", "linear(x, weight, bias)", "exp(x)"]
    assert [argument.text for argument in trace.lines[0].arguments] == ["x", "w", "b"]


def test_a_gradient_of_a_gradient_can_be_recorded():
    x = ta.Tensor(np.array([0.5, 2.0]), requires_grad=True)
    with record() as trace:
        first = ta.grad((x**3).sum(), [x], create_graph=True)[0]
        loss = (first * first).sum()
    trace.backward(loss)
    np.testing.assert_allclose(x.grad, 36 * x.data**3)
    assert to_text(trace)


def test_a_step_is_recorded_on_every_backend(backend):
    model = ta.models.VAE(features=6, latent=2, hidden=(5,), rng=ta.rng(3))
    x = ta.backend.to_device(np.eye(6, dtype=np.float32))
    with record(model) as trace:
        terms = model.loss(x, rng=ta.rng(0))
    trace.backward(terms.loss)
    assert "d loss / d encoder.0.bias = g1.sum(axis=0)" in to_text(trace, terms=terms._asdict())


def test_recursion_stands_on_the_line_that_recurses():
    def grow(x, times):
        return x if times == 0 else grow(x * 2, times - 1)

    x = ta.Tensor(np.ones(3), requires_grad=True)
    with record() as trace:
        loss = grow(x, 50).sum()
    trace.backward(loss)
    assert len({line.call.line for line in trace.lines[:-1]}) == 1
    np.testing.assert_array_equal(x.grad, 2.0**50)
