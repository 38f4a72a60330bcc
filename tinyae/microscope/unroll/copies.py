"""Functions that the unrolled program calls, such as a convolution: their definitions, copied without what belongs to the engine.

`array_module` is NumPy, checks of arguments are left out, for the call was made before, and names are those of the program.
"""

import ast
import builtins
import itertools
import keyword
import re
import sys
import textwrap
import types

import numpy as np

from tinyae.autograd import Primitive, raw
from tinyae.autograd.primitive import Rule
from tinyae.backend import array_module, is_array
from tinyae.formula import is_indexed
from tinyae.microscope.unroll.values import Cannot, definition, literal, of_numpy, scopes, source_of


class Names:
    """Names that are given once."""

    def __init__(self):
        self.taken = {"np", "pathlib", "data", "gradients", *keyword.kwlist, *dir(builtins)}

    def unique(self, wanted):
        """The name that is wanted, as an identifier, with a number where it is taken."""
        name = re.sub(r"\W+", "_", wanted).strip("_") or "y"
        name = f"y{name}" if name[0].isdigit() else name
        found = next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2))) if n not in self.taken)
        self.taken.add(found)
        return found


class Copies:
    """Copied definitions in an order in which each stands after those that it needs; constants; and imports."""

    def __init__(self, names):
        self.names, self.given, self.definitions, self.constants, self.modules = names, {}, [], {}, set()

    def name(self, function):
        """The name of the copy of a function, a class, a primitive or a rule; it is copied now, where it is not yet."""
        if id(function) not in self.given:
            code = function.forward if isinstance(function, Primitive) else function.function if isinstance(function, Rule) else function
            if isinstance(definition(code), ast.Lambda):
                raise Cannot("a lambda cannot be copied")
            wanted = (
                code.__name__ if code is not getattr(function, "function", None) else f"{function.primitive.name}_vjp_{'_'.join(function.inputs)}"
            )
            self.given[id(function)] = self.names.unique(wanted)
            try:
                formula = (
                    ast.unparse(function.formula) if isinstance(function, Primitive) and function.stated and is_indexed(function.formula) else None
                )
                self.definitions.append(_Copy(self, code, self.given[id(function)], formula).text())
            except Cannot:
                del self.given[id(function)]
                raise
        return self.given[id(function)]

    def constant(self, name, value):
        """The name of a number that has one in its module."""
        known = next((known for known, other in self.constants.items() if other == value), None)
        if known is None:
            known = self.names.unique(name)
            self.constants[known] = value
        return known


class _Copy(ast.NodeVisitor):
    """A definition as it is written, with the names of the program: a list of edits (begin, end, new text) of its source."""

    def __init__(self, copies, function, name, formula):
        self.copies, self.formula, self.local, self.edits = copies, formula, set(), []
        self.source, self.node = source_of(function)[0], definition(function)
        self.lines = [0, *itertools.accumulate(len(line) for line in self.source.splitlines(keepends=True))]
        methods = (
            [method for method in vars(function).values() if isinstance(method, types.FunctionType)] if isinstance(function, type) else [function]
        )
        self.scopes = scopes(methods[0]) if methods else ()
        if name != self.node.name:
            begin = self.source.index(self.node.name, self.begin(self.node))
            self.edits.append((begin, begin + len(self.node.name), name))
        self.visit(self.node)

    def text(self):
        """The definition with the edits made."""
        text = self.source
        for begin, end, new in sorted(self.edits, reverse=True):
            text = text[:begin] + new + text[end:]
        return text[self.begin(self.node) :].rstrip()  # edits begin after it

    def place(self, line, column):
        """The place in the source of a line, and a column in bytes."""
        start = self.lines[line - 1]
        return start + len(self.source[start : self.lines[line]].encode()[:column].decode())

    def begin(self, node):
        return self.place(node.lineno, node.col_offset)

    def end(self, node):
        return self.place(node.end_lineno, node.end_col_offset)

    def replace(self, node, new):
        """Another text for an expression."""
        self.edits.append((self.begin(node), self.end(node), new))

    def remove(self, node):
        """No such lines."""
        self.edits.append((self.lines[node.lineno - 1], self.lines[node.end_lineno], ""))

    def visit_FunctionDef(self, node):
        outer = self.local
        parts = [part for part in ast.walk(node) if part is not node]
        self.local = outer | {part.arg for part in parts if isinstance(part, ast.arg)}
        self.local |= {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        self.local |= {part.name for part in parts if isinstance(part, ast.FunctionDef)}
        self.local -= {"xp"}
        self.document(node)
        for part in (node.args, *node.body):
            self.visit(part)
        self.local = outer

    def visit_ClassDef(self, node):
        self.document(node)
        for part in node.body:
            self.visit(part)

    def document(self, node):
        """The first line of the docstring stays; a stated formula is added."""
        if document := ast.get_docstring(node):
            lines = textwrap.wrap(self.formula or "", 140) if node is self.node else []
            formula = "\n\n    " + "\n    ".join([*lines, ""]) if lines else ""
            self.replace(node.body[0], f'"""{document.splitlines()[0]}{formula}"""')

    def visit_Assign(self, node):
        """`xp = array_module(x)` is left out."""
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id == "xp":
            return self.remove(node)
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and getattr(target.elts[0], "id", "") == "xp":
            self.edits += [(self.begin(side.elts[0]), self.begin(side.elts[1]), "") for side in (target, value)]
            return [self.visit(part) for part in value.elts[1:]]
        return self.generic_visit(node)

    def visit_If(self, node):
        """A check of the arguments is left out."""
        return self.remove(node) if raises(node) else self.generic_visit(node)

    def visit_Try(self, node):
        """So is an explanation of what may go wrong."""
        if not all(isinstance(part, ast.Raise) for handler in node.handlers for part in handler.body):
            return self.generic_visit(node)
        self.edits.append((self.lines[node.lineno - 1], self.lines[node.lineno], ""))
        self.edits += [(self.lines[i], self.lines[i] + 4, "") for i in range(node.lineno, node.body[-1].end_lineno)]
        self.edits.append((self.lines[node.body[-1].end_lineno], self.lines[node.end_lineno], ""))
        return [self.visit(part) for part in node.body]

    def visit_Expr(self, node):
        """A call of a function that does nothing but check is left out."""
        called = self.resolve(node.value.func) if isinstance(node.value, ast.Call) else None
        if isinstance(called, types.FunctionType) and of_numpy(called) is None and all(map(checks, definition(called).body)):
            return self.remove(node)
        return self.generic_visit(node)

    def visit_Call(self, node):
        called = self.resolve(node.func)
        if called is array_module:
            return self.replace(node, "np")
        if called is raw:
            self.edits += [(self.begin(node), self.begin(node.args[0]), ""), (self.end(node.args[0]), self.end(node), "")]
            return self.visit(node.args[0])
        if called is is_array:
            self.edits += [(self.begin(node.func), self.end(node.func), "isinstance"), (self.end(node) - 1, self.end(node) - 1, ", np.ndarray")]
            return self.visit(node.args[0])
        if getattr(called, "variadic", False) and len(node.args) == 1 and isinstance(node.args[0], (ast.List, ast.Tuple, ast.ListComp)):
            self.edits.append((self.begin(node.args[0]), self.begin(node.args[0]), "*"))
        return self.generic_visit(node)

    def resolve(self, node):
        """What a name, or a name in a module, stands for; None for a local one, or another expression."""
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, types.ModuleType) else None
        if not isinstance(node, ast.Name) or node.id in self.local:
            return None
        return next((scope[node.id] for scope in self.scopes if node.id in scope), None)

    def visit_Attribute(self, node):
        value = self.resolve(node)
        return self.generic_visit(node) if value is None else self.write(value, node)

    def visit_Name(self, node):
        value = self.resolve(node)
        if node.id == "xp" and "xp" not in self.local:
            self.replace(node, "np")
        elif value is not None:
            self.write(value, node)

    def write(self, value, node):
        """Something global, by the name that the program has for it."""
        new = ast.unparse(self.written(value, node))
        if new != ast.unparse(node):
            self.replace(node, new)

    def written(self, value, node):
        """The expression of something global."""
        if (found := of_numpy(value)) is not None:
            return found
        if isinstance(value, types.ModuleType):
            return self.module(value.__name__)
        home = getattr(value, "__module__", None) or ""
        if home == "builtins" or (isinstance(node, ast.Name) and value is getattr(builtins, node.id, None)):
            return node
        if home.split(".")[0] in sys.stdlib_module_names and home != "__main__":
            return ast.Attribute(self.module(home.lstrip("_")), value.__name__)
        if isinstance(value, (Primitive, types.FunctionType)) or (isinstance(value, type) and not issubclass(value, np.generic)):
            return ast.Name(self.copies.name(value))
        return literal(value)

    def module(self, name):
        """The expression of a module."""
        if name.split(".")[0] == "numpy":
            return ast.parse(name.replace("numpy", "np", 1), mode="eval").body
        if name.split(".")[0] not in sys.stdlib_module_names:
            raise Cannot(f"it needs {name}, which is not NumPy")
        self.copies.modules.add(name)
        return ast.parse(name, mode="eval").body


def raises(node):
    """Whether a statement is `if ...: raise ...`."""
    return isinstance(node, ast.If) and not node.orelse and all(isinstance(part, ast.Raise) for part in node.body)


def checks(node):
    """Whether a statement only prepares or makes a check: nothing else depends on it."""
    if isinstance(node, ast.For):
        return all(map(checks, node.body))
    return raises(node) or isinstance(node, ast.Assign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
