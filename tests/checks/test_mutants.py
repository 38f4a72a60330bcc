"""The mutation engine: what it makes, how it kills, and that a weak checker lets mutants live."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.autograd import raw
from tinyae.checks import GradientError, gradcheck, mutants, trials
from tinyae.checks.mutate import mutants as made
from tinyae.errors import ArgumentError
from tinyae.evaluation.targets import targets


def texts(function, **settings):
    """What the mutants of a function say."""
    return [mutant.after for mutant in made(function, **settings)]


def quotient(gy, x):
    """Something to change."""
    return gy * (np.exp(x) - 1) / 2


def sums(x, axis):
    return x.sum(axis=-1, keepdims=True) + 0.5 * x[..., None][0]


def picks(gy, x, y):
    return gy * (x > y) if x.ndim >= 2 and not y.ndim else raw(gy).T @ x[1:]


def steps(x, n):
    if n < 0:
        raise ValueError("n")
    total = 0
    for i in range(n):
        total += x[i] - 1
    return total, -x


EXPECTED = {
    quotient: {
        "an operator": "gy * (np.exp(x) + 1) / 2",
        "a product for a quotient": "gy * (np.exp(x) - 1) * 2",
        "a factor left out": "(np.exp(x) - 1) / 2",
        "a term left out": "gy * np.exp(x) / 2",
        "terms exchanged": "gy * (1 - np.exp(x)) / 2",
        "a call replaced by its argument": "gy * (x - 1) / 2",
        "exp(l / 2) for exp(l)": "gy * (np.exp(x / 2) - 1) / 2",
        "a sign inside": "gy * (np.exp(-x) - 1) / 2",
        "a constant": "gy * (np.exp(x) - 1) / 1",
        "the next constant": "gy * (np.exp(x) - 2) / 2",
        "a name": "gy * (np.exp(gy) - 1) / 2",
        "the sign of all": "-(gy * (np.exp(x) - 1) / 2)",
        "nothing": "0 * (gy * (np.exp(x) - 1) / 2)",
    },
    sums: {
        "the axis": "x.sum(axis=0, keepdims=True) + 0.5 * x[..., None][0]",
        "no axis": "x.sum(keepdims=True) + 0.5 * x[..., None][0]",
        "keepdims": "x.sum(axis=-1, keepdims=False) + 0.5 * x[..., None][0]",
        "the half": "x.sum(axis=-1, keepdims=True) + 1 * x[..., None][0]",
        "a subscript left out": "x.sum(axis=-1, keepdims=True) + 0.5 * x[0]",
        "another entry": "x.sum(axis=-1, keepdims=True) + 0.5 * x[..., None][1]",
        "a method left out": "x + 0.5 * x[..., None][0]",
    },
    picks: {
        "a comparison": "gy * (x >= y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T @ x[1:]",
        "the other way": "gy * (x < y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T @ x[1:]",
        "or for and": "gy * (x > y) if x.ndim >= 2 or not y.ndim else raw(gy).T @ x[1:]",
        "one condition": "gy * (x > y) if x.ndim >= 2 else raw(gy).T @ x[1:]",
        "without not": "gy * (x > y) if x.ndim >= 2 and y.ndim else raw(gy).T @ x[1:]",
        "one branch": "raw(gy).T @ x[1:]",
        "a stopped gradient": "gy * (x > y) if x.ndim >= 2 and (not y.ndim) else gy.T @ x[1:]",
        "not transposed": "gy * (x > y) if x.ndim >= 2 and (not y.ndim) else raw(gy) @ x[1:]",
        "elementwise": "gy * (x > y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T * x[1:]",
        "the other end": "gy * (x > y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T @ x[:1]",
    },
    steps: {
        "a statement left out": "pass",
        "a step": "total -= x[i] - 1",
        "a loop": "for i in n:",
        "a term": "total += x[i]",
        "one of two results": "(total, x)",
        "nothing for one of two": "(0 * total, -x)",
    },
}
CASES = [pytest.param(function, text, id=what) for function, cases in EXPECTED.items() for what, text in cases.items()]


@pytest.mark.parametrize(("function", "text"), CASES)
def test_a_mutant_has(function, text):
    assert text in texts(function)


def test_refusals_and_docstrings_are_left_alone():
    assert not any("raise" in mutant.before or "n < 0" in mutant.before or "Something" in mutant.before for f in EXPECTED for mutant in made(f))


def test_no_two_mutants_are_alike_and_all_have_a_number():
    for function in EXPECTED:
        found = list(made(function))
        assert [mutant.number for mutant in found] == list(range(1, len(found) + 1))
        assert len({mutant.text for mutant in found}) > 0.9 * len(found)  # one text may be said of two places: x - x
        assert all(mutant.before != mutant.after for mutant in found)


def test_gradients_are_stopped_where_they_flow_only():
    stopped = [text for text in texts(picks, gradients=("gy", "x")) if "stop_gradient" in text]
    assert stopped == [
        "stop_gradient(gy) * (x > y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T @ x[1:]",
        "gy * (x > y) if x.ndim >= 2 and (not y.ndim) else raw(gy).T @ stop_gradient(x)[1:]",
    ]


def test_a_mutant_takes_its_place_for_everybody_and_gives_it_back():
    imported, x = quotient, np.array([0.3, 0.4])
    right = imported(1.0, x)
    wrong = next(mutant for mutant in made(quotient) if mutant.after == "gy * (np.exp(x) + 1) / 2")
    with wrong.in_place():
        np.testing.assert_allclose(imported(1.0, x), (np.exp(x) + 1) / 2)
    np.testing.assert_array_equal(imported(1.0, x), right)


def factorial(n):
    return n * factorial(n - 1) if n > 1 else 1


class Base:
    def value(self):
        return 2


class Derived(Base):
    def value(self):
        return 3 * super().value()


def test_functions_that_call_themselves_closures_and_methods_have_mutants():
    scale, more = 3.0, 1.0

    def closure(x):
        return scale * x + more

    for function, call, after, value in [
        (factorial, lambda: factorial(3), "n + factorial(n - 1) if n > 1 else 1", 6),
        (closure, lambda: closure(2.0), "scale * x", 6.0),
        (Derived.value, lambda: Derived().value(), "4 * super().value()", 8),
    ]:
        right = call()
        mutant = next(mutant for mutant in made(function) if mutant.after == after)
        with mutant.in_place():
            assert call() == value
        assert call() == right


def test_a_function_without_source_is_refused():
    with pytest.raises(ArgumentError, match="written with def"):
        list(made(math.sin))
    with pytest.raises(ArgumentError, match="written with def"):
        list(made(lambda x: x))


def countdown(n):
    while n > 0:
        n = n - 1
    return n


def test_what_does_not_end_is_stopped():
    endless = next(mutant for mutant in made(countdown) if mutant.after == "n = n + 1")
    with endless.in_place():
        error = trials.error_of(lambda: countdown(3), limit=0.2)
    assert isinstance(error, trials.TooSlow)
    assert trials.error_of(lambda: countdown(3), limit=0.2) is None


def test_a_warning_is_an_error():
    with np.errstate(divide="warn"):
        assert isinstance(trials.error_of(lambda: np.array(1.0) / np.array(0.0)), RuntimeWarning)


SAMPLE = ["kl_standard_normal", "kl_normal_normal", "reparameterize", "softmax", "tanh", "relu", "max", "outer", "standardise_vjp", "matmul"]


@pytest.mark.parametrize("name", SAMPLE)
def test_every_mutant_of_a_sample_of_the_rules_is_killed_or_equivalent(name):
    lines, code = mutants.report([name], progress=None)
    assert code == 0, "\n".join(lines)


@pytest.mark.parametrize("name", ["rsample", "BernoulliLikelihood", "Mean"])
def test_every_mutant_of_a_sample_of_models_and_metrics_is_killed_or_equivalent(name):
    lines, code = mutants.report([name], targets=targets(), progress=None)
    assert code == 0, "\n".join(lines)


def test_a_wrong_formula_is_killed_by_semcheck_and_by_no_gradient():
    target = next(target for target in targets() if target.name == "bernoulli.Bernoulli.log_prob")
    with_gradients = mutants.Target("log_prob", target.function, {"gradcheck": target.checks["gradcheck"]})
    alive = [v.mutant.after for v in mutants.verdicts([with_gradients]) if v.killed_by is None]
    assert "Bernoulli.nll(self, x)" in alive  # the sign
    killed_by = {v.mutant.after: v.killed_by for v in mutants.verdicts([target])}
    assert killed_by["Bernoulli.nll(self, x)"] == "semcheck"
    assert None not in killed_by.values()


def survivors(check, name):
    """How many mutants of a primitive's rules survive another gradcheck, which is all there is."""
    operation = ops.registry[name]
    found = {"gradcheck": trials.trials(operation, check)["gradcheck"]}
    rules = [mutants.Target(name, rule.function, found) for rule in operation.rules]
    return sum(verdict.killed_by is None for verdict in mutants.verdicts(rules))


def with_ones(f, inputs, rtol=1e-6, **_):
    """The check of many: the gradient of a sum."""
    leaves = [ta.Tensor(x, requires_grad=True) for x in inputs]
    found = ta.grad(f(*leaves).sum(), leaves)
    for leaf, gradient in zip(leaves, found, strict=True):
        for place in np.ndindex(leaf.shape):
            values = []
            for shift in (1e-5, -1e-5):
                leaf.data[place] += shift
                values.append(f(*leaves).data.sum())
                leaf.data[place] -= shift
            slope = (values[0] - values[1]) / 2e-5
            assert abs(slope - gradient.data[place]) <= rtol * abs(slope) + 1e-9


def test_a_checker_whose_cotangent_is_all_ones_lets_mutants_of_softmax_live():
    assert survivors(gradcheck, "softmax") == 0
    assert survivors(with_ones, "softmax") >= 5


def bent(x):
    """Nearly a straight line."""
    return x + 0.001 * x * x


def bent_vjp(gy, x):
    return gy * (1 + 0.002 * x)


def test_a_tolerance_of_a_hundredth_lets_a_small_term_be_forgotten():
    x = [np.array([0.4, -0.7, 1.2])]
    alive = {}
    for rtol in (1e-2, 1e-6):
        checks = {"gradcheck": [lambda rtol=rtol: gradcheck(bent, x, backward=bent_vjp, rtol=rtol)]}
        alive[rtol] = [v.mutant.after for v in mutants.verdicts([mutants.Target("bent", bent_vjp, checks)]) if v.killed_by is None]
    assert "gy * 1" in alive[1e-2]
    assert alive[1e-6] == []


def test_a_function_that_fails_its_own_checks_has_no_mutants():
    def fails():
        raise GradientError("wrong from the start")

    with pytest.raises(ArgumentError, match="bent as it is does not pass gradcheck"):
        list(mutants.verdicts([mutants.Target("bent", bent_vjp, {"gradcheck": [fails]})]))


def test_an_unexplained_survivor_and_a_stale_reason_are_failures(tmp_path):
    target = mutants.Target("bent", bent_vjp, {"none": [lambda: None]})
    lines, code = mutants.report([], [target], mutants.Equivalents(tmp_path / "none.toml"), progress=None)
    assert code == 1
    assert any(line.startswith("SURVIVED") for line in lines)
    file = tmp_path / "equivalents.toml"
    file.write_text("[[equivalent]]\nreason = 'not checked'\nmutants = ['bent: gy * (1 + 0.002 * x)']\n")
    lines, code = mutants.report([], [target], mutants.Equivalents(file), progress=None)
    assert code == 0
    assert "equivalent: not checked" in lines
    file.write_text(file.read_text() + "[[equivalent]]\nreason = 'gone'\nmutants = ['bent: gy  ->  x']\n")
    lines, code = mutants.report([], [target], mutants.Equivalents(file), progress=None)
    assert code == 1
    assert lines[-1] == "  bent: gy  ->  x"


def test_an_unknown_name_is_refused():
    with pytest.raises(ArgumentError, match="nothing is called sofmax"):
        mutants.report(["sofmax"], progress=None)


def test_every_reason_belongs_to_something_that_exists():
    known = mutants.Equivalents()
    names = {target.name for target in [*mutants.primitive_targets(), *targets()]}
    assert {text.partition(": ")[0] for text in known} <= names
    assert all(reason.endswith(".") for reason in known.values())


def test_every_kink_has_a_published_convention():
    kinked = {operation.name for operation in ops.registry.values() if operation.kinks}
    assert kinked <= trials.CONVENTIONS.keys() | trials.STAND_INS.keys()


def test_calls_are_the_same_in_every_run():
    first, second = (trials.calls(ops.registry["matmul"]) for _ in range(2))
    assert len(first) > 10
    for (values, attributes), (others, again) in zip(first, second, strict=True):
        assert attributes == again
        assert all((v == w).all() for v, w in zip(values, others, strict=True))
