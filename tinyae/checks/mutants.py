"""The mutation engine: is there an error so small that the checks do not see it?

Every mutant of a function (see `mutate`) is put in its place, and the checks are run: the first that fails has killed it.
A mutant that survives is an error that nobody would notice, or it is equivalent: the same function written otherwise.
Which ones are equivalent, and why, says `equivalents.toml`; any other survivor is a failure, of the checks.
"""

import collections
import contextlib
import functools
import inspect
import pathlib
import sys
import tomllib
import types
from dataclasses import dataclass
from typing import NamedTuple

from tinyae.autograd import registry
from tinyae.checks.gradcheck import gradcheck
from tinyae.checks.mutate import Mutant, mutants
from tinyae.checks.trials import TooSlow, error_of, trials
from tinyae.errors import ArgumentError, one_line
from tinyae.kernels import plain

SHARE = 36  # of a helper's trials, in equal parts those of the primitives that use it
EQUIVALENTS = pathlib.Path(__file__).parent / "equivalents.toml"


@dataclass
class Target:
    """A function whose mutants are to be killed.

    checks: name -> functions without arguments that raise where they find an error, in the order in which they are tried; or a
    function that makes this.  gradients: names of the arguments through which a gradient may flow.
    rules: for a helper, the rules that use it; it is a mutant only while one of them runs, so that the forward pass stays right.
    """

    name: str
    function: object
    checks: object
    gradients: tuple = ()
    rules: tuple = ()


class Verdict(NamedTuple):
    """What became of a mutant: killed_by is the name of a check, "exception", "limit", or None for a survivor."""

    target: str
    mutant: Mutant
    killed_by: str | None

    @property
    def id(self):
        """The target's name and the mutant's number."""
        return f"{self.target}#{self.mutant.number}"

    @property
    def text(self):
        """The target's name and the change, by which `equivalents.toml` knows it: a number would move with every new mutant."""
        return f"{self.target}: {self.mutant.text}"


def verdicts(targets):
    """The verdict on each mutant of each target.  Raises ArgumentError where a function as it is does not pass its checks."""
    passed = set()
    for target in targets:
        made = target.checks() if callable(target.checks) else target.checks
        checks = {name: list(every) for name, every in made.items()}
        for name, trial in ((name, trial) for name, every in checks.items() for trial in every if trial not in passed):
            if error := error_of(trial):
                raise ArgumentError(f"mutants: {target.name} as it is does not pass {name}.", got=one_line(error))
            passed.add(trial)
        for mutant in mutants(target.function, target.gradients):
            with plain(), in_place(mutant, target.rules):  # a kernel would run in place of the mutant
                yield Verdict(target.name, mutant, killer(checks))


def killer(checks):
    """The name of the first check that fails, "exception" or "limit"; None if none does.  What failed is tried first the next time."""
    for name, every in checks.items():
        for i, trial in enumerate(every):
            if error := error_of(trial):
                every.insert(0, every.pop(i))
                return "limit" if isinstance(error, TooSlow) else name if isinstance(error, AssertionError) else "exception"


@contextlib.contextmanager
def in_place(mutant, rules=()):
    """`with in_place(mutant):` it takes the place of its function; with `rules`, only while one of them runs."""
    if not rules:
        with mutant.in_place():
            yield
        return
    right = [rule.function for rule in rules]

    def around(function):
        def run(*args):
            with mutant.in_place():
                return function(*args)

        return run

    for rule in rules:
        rule.function = around(rule.function)
    try:
        yield
    finally:
        for rule, function in zip(rules, right, strict=True):
            rule.function = function


def primitive_targets(primitives=registry, check=gradcheck):
    """A target for each rule of the primitives, for each helper that the rules call, and for each forward function with a twin."""
    trials_of, helpers = functools.cache(lambda operation: trials(operation, check)), {}
    for operation in primitives.values():
        checks = functools.partial(trials_of, operation)
        if operation.composed is not None:
            yield Target(f"{operation.name}.forward", operation.forward, checks)
        for rule in operation.rules:
            gradients = (rule.cotangent, *(source.name for source in rule.sources if source.kind in ("input", "output")))
            yield Target(f"{operation.name}.{','.join(rule.inputs)}", rule.function, checks, gradients)
            for helper in called_by(rule.function):
                helpers.setdefault(helper, []).append(rule)
    for helper, rules in helpers.items():
        operations = list(dict.fromkeys(rule.primitive for rule in rules))
        name = f"{helper.__module__.rpartition('.')[2]}.{helper.__qualname__}"
        yield Target(name, helper, functools.partial(shared, trials_of, operations), rules=tuple(rules))


def shared(trials_of, operations):
    """The trials of several primitives together, some of each."""
    together = {}
    for operation in operations:
        for name, every in trials_of(operation).items():
            together.setdefault(name, []).extend(every[: max(SHARE // len(operations), 6)])
    return together


def called_by(function):
    """The functions, and the methods of classes, of the same package that a function calls, and what these call; no primitives."""
    package, found, waiting = function.__module__.rpartition(".")[0] or function.__module__, {}, [function]
    while waiting:
        caller = waiting.pop()
        for name in names_of(caller.__code__):
            value = caller.__globals__.get(name)
            for one in functions_of(value) if inspect.isclass(value) else [value]:
                if inspect.isfunction(one) and one.__module__.startswith(package) and one not in found:
                    found[one] = None
                    waiting.append(one)
    return list(found)


def names_of(code):
    """The global names and attributes that a code object uses, those of functions inside it included."""
    inner = [name for constant in code.co_consts if isinstance(constant, types.CodeType) for name in names_of(constant)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def functions_of(owner):
    """The functions that a class or a module defines, the getters of properties and the methods of a module's classes among them."""
    home, found = getattr(owner, "__module__", owner.__name__), []
    for value in vars(owner).values():
        value = inspect.unwrap(value.fget if isinstance(value, property) else value)
        if getattr(value, "__module__", None) == home:
            if inspect.isfunction(value) and value.__qualname__.rpartition(".")[0] == ("" if inspect.ismodule(owner) else owner.__qualname__):
                found.append(value)
            elif inspect.isclass(value) and inspect.ismodule(owner):
                found += functions_of(value)
    return found


class Equivalents(dict):
    """text of a mutant -> why it is equivalent.  A text without "->" is a statement, and stands for each mutant of it that survives."""

    def __init__(self, path=EQUIVALENTS):
        entries = tomllib.loads(pathlib.Path(path).read_text())["equivalent"] if pathlib.Path(path).exists() else []
        super().__init__({text: entry["reason"] for entry in entries for text in entry["mutants"]})
        self.used = set()

    def reason(self, verdict):
        """Why a survivor is equivalent, or None."""
        for text in (verdict.text, verdict.text.partition("  ->  ")[0]):
            if text in self:
                self.used.add(text)
                return self[text]

    def stale(self, targets):
        """The entries of these targets that no survivor used: the code has changed, or a check has become stronger."""
        return [text for text in self if text.partition(": ")[0] in targets and text not in self.used]


def chosen(targets, names):
    """The targets whose name is, or has as a part, one of `names`; all if there are none.  Raises ArgumentError for a name of none."""
    targets = list(targets)
    for name in names:
        if not any(name in (target.name, *target.name.split(".")) for target in targets):
            raise ArgumentError(f"mutants: nothing is called {name}.", expected="an operation, a rule such as softmax.x, or a function or class")
    return [target for target in targets if not names or {target.name, *target.name.split(".")} & set(names)]


def report(names=(), targets=None, equivalents=None, progress=sys.stderr):
    """(lines of text, exit code) of a run over the targets called `names`, all if none are given: the score, and every survivor.

    targets: what there is, the rules of our primitives if None.  equivalents: an Equivalents.  progress: a stream that is told of
    each target, or None.  The exit code is 1 where a survivor has no reason, or a reason no survivor.
    """
    selected = chosen(primitive_targets() if targets is None else targets, names)
    known, survivors, killed, unknown = Equivalents() if equivalents is None else equivalents, {}, collections.Counter(), []
    for i, target in enumerate(selected):
        if progress:
            print(f"\r{i + 1}/{len(selected)}  {target.name:<60.60}", end="", file=progress, flush=True)
        for verdict in verdicts([target]):
            if verdict.killed_by:
                killed[verdict.killed_by] += 1
            elif reason := known.reason(verdict):
                survivors.setdefault(reason, []).append(verdict)
            else:
                unknown.append(verdict)
    if progress:
        print(f"\r{'':<72}\r", end="", file=progress, flush=True)
    stale = known.stale({target.name for target in selected})
    return lines_of(len(selected), killed, survivors, unknown, stale), int(bool(unknown or stale))


def lines_of(count, killed, survivors, unknown, stale):
    """The report as lines of text."""
    equivalent = sum(map(len, survivors.values()))
    total = killed.total() + equivalent + len(unknown)
    by = ", ".join(f"{name} {n}" for name, n in killed.most_common())
    lines = [f"{total} mutants of {count} functions: {killed.total()} killed, {equivalent} equivalent, {len(unknown)} survived", f"killed by: {by}"]
    lines += [f"score: {killed.total()} of {killed.total() + len(unknown)} that are not equivalent"]
    for reason, found in survivors.items():
        lines += ["", f"equivalent: {reason}", *(f"  {verdict.id}  {verdict.mutant.text}" for verdict in found)]
    if unknown:
        lines += ["", "SURVIVED: a check is missing, or a reason in equivalents.toml", *(f"  {v.id}  {v.mutant.text}" for v in unknown)]
    if stale:
        lines += ["", "STALE: these no longer survive, or are no longer made", *(f"  {text}" for text in stale)]
    return lines
