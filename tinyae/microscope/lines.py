"""The parts of a trace: an operation with its source line, what went in, what came out, and what the backward pass did to it."""

import ast
import functools
from dataclasses import dataclass, field

import numpy as np

from tinyae.autograd import Tensor, raw
from tinyae.backend import to_numpy
from tinyae.microscope import names


def norm(array):
    """The Euclidean norm of all entries, in float64."""
    return float(np.linalg.norm(np.asarray(to_numpy(array), np.float64).ravel()))


@dataclass(eq=False)
class Argument:
    """An input of an operation.  kind: line (the result of line `line`), parameter, leaf, constant (an array without gradient) or number.

    role: what the operation calls it.  given: the Tensor, array or number itself.  version: of a leaf, how often it had been changed.
    """

    expression: ast.AST
    kind: str
    line: int | None
    shape: tuple
    role: str
    given: object
    version: int = 0

    @property
    def text(self):
        """The input as its line writes it; a parameter by its dotted name; `y7` for a part of the line computed as line 7."""
        return ast.unparse(self.expression)

    @property
    def value(self):
        """The array or number."""
        return raw(self.given)

    @property
    def is_noise(self):
        """Whether it is the noise of a draw."""
        return self.role == "noise" and self.kind == "constant"


@dataclass(eq=False)
class Gradient:
    """What one rule, `vjp`, gave one input: its value, and the axes that were summed because the input was broadcast."""

    line: "Line"
    position: int
    vjp: object
    value: np.ndarray
    summed: tuple

    @property
    def argument(self):
        """The input."""
        return self.line.arguments[self.position]

    @property
    def shape(self):
        """Its shape, the input's."""
        return self.value.shape

    @property
    def rule(self):
        """The formula of the rule in the line's own names."""
        return names.rule_of(self.line, self.vjp, self.position)

    @property
    def norm(self):
        """The Euclidean norm."""
        return norm(self.value)


@dataclass(eq=False)
class Line:
    """One operation.  call is its source line, path the lines that led to it, outermost first; `number` counts from 1.

    turn: how often the same lines had led to it before, in a loop.  written: the expressions of its inputs in the source.
    cotangent: the gradient of the loss with respect to the result, None where the backward pass did not come; by_term: what of it
    comes from each term of the loss.  consumers: numbers of the lines whose gradients add up to it.  weight: of a term in the loss.
    """

    number: int
    primitive: object
    call: names.Call
    path: list
    turn: int
    name: str | None
    arguments: list
    attributes: dict
    written: tuple | None
    value: Tensor
    cotangent: np.ndarray | None = None
    gradients: list = field(default_factory=list)
    consumers: list = field(default_factory=list)
    by_term: dict = field(default_factory=dict)
    copy: int = 1
    weight: np.ndarray | None = None

    @functools.cached_property
    def text(self):
        """The operation as its line writes it."""
        if not self.written:
            return f"{self.primitive.name}({', '.join(argument.text for argument in self.arguments)})"
        return names.text_of(self.call.node, {id(node): argument.expression for node, argument in zip(self.written, self.arguments, strict=False)})

    @property
    def label(self):
        """The name of the result in formulas: `y7` where it has none, `h_2` where an earlier value is called h."""
        return f"y{self.number}" if self.name is None else self.name if self.copy < 2 else f"{self.name}_{self.copy}"

    @property
    def cotangent_label(self):
        """The gradient of the loss with respect to the result, as formulas write it."""
        return f"g{self.number}" if self.label == f"y{self.number}" else f"grad[{self.label}]"

    @property
    def home(self):
        """The Call that a reader looks at: the innermost line that is the user's own, or a model's."""
        return next((call for call in (self.call, *reversed(self.path)) if call.room in names.READ), self.call)

    @property
    def norm(self):
        """The Euclidean norm of the value."""
        return norm(self.value.data)

    @property
    def cotangent_norm(self):
        """The Euclidean norm of the cotangent; None where there is none."""
        return None if self.cotangent is None else norm(self.cotangent)
