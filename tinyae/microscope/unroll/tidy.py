"""Steps made readable: what is not used is left out, and what is used once is put where it is used, if the line stays short."""

import ast
import copy

from tinyae.formula import copied
from tinyae.microscope.unroll.values import Code

WIDTH = 88  # characters of an expression into which another one is put


def tidy(steps, results):
    """(steps, results) that compute the same.  results: Codes."""
    steps = [copy.copy(step) for step in steps]
    nodes = [result.expression for result in results]
    while _once(steps, nodes):
        pass
    return steps, [Code(node, result.value) for node, result in zip(nodes, results, strict=True)]


def _once(steps, nodes):
    """Leave out or put in one step.  Returns whether there was one."""
    changed = {step.changed for step in steps}
    for i, step in enumerate(steps):
        later = [other.node for other in steps[i + 1 :]] + nodes
        users = [k for k, node in enumerate(later) for name in _names(node) if name == step.target]
        if step.target is None or step.target in changed:
            continue
        if not users:
            del steps[i]
            return True
        if len(users) > 1 or step.keep:
            continue
        place = users[0]
        between = {other.changed for other in steps[i + 1 : i + 1 + place]}
        if between & set(_names(step.node)):
            continue
        new = put(later[place], {step.target: step.node})
        if len(ast.unparse(new)) > WIDTH and not isinstance(later[place], ast.Name):
            continue
        if place < len(steps) - i - 1:
            steps[i + 1 + place].node = new
        else:
            nodes[place - (len(steps) - i - 1)] = new
        del steps[i]
        return True
    return False


def _names(node):
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]


def put(node, new):
    """A copy of a syntax tree in which the names in `new` are replaced by expressions."""
    return _Put(new).visit(copied(node))


class _Put(ast.NodeTransformer):
    def __init__(self, new):
        self.new = new

    def visit_Name(self, node):
        return self.new.get(node.id, node)
