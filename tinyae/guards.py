"""What the engine says when it is misused: every refusal in one place, each with the operation, expected, got, line and remedy.

A site is a place in the user's code as `errors.caller` gives it; without one, the line that is running now.
"""

import numpy as np

from tinyae.backend import array_module, is_array
from tinyae.errors import ArgumentError, BackendError, DtypeError, GraphError, ShapeError, TinyaeError, caller, show


def described(value):
    """An input in an error: its shape and dtype, or its type."""
    return f"{tuple(value.shape)} {value.dtype}" if hasattr(value, "dtype") else type(value).__name__


# ---- between forward and backward


def freed(operation, site):
    """A second walk through a graph that was freed."""
    rule = f"{operation}: backward went through this operation before, and its arrays are freed."
    return GraphError(rule, at=show(site), remedy="call backward once, or the first time with retain_graph=True")


def changed(operation, name, site):
    """An array that a rule needs is not what it was."""
    rule = f"{operation}: its {name} was changed after the forward pass, which still needs the old values."
    remedy = "run backward before the optimiser's step (or other change in place), or run the forward pass again"
    return GraphError(rule, at=show(site), remedy=remedy)


def misfit(operation, inputs, parent, gradient, site):
    """A rule gave something else than an array of the input's shape and dtype."""
    rule = f"{operation}: its rule for {', '.join(inputs)} returned a gradient that does not fit the input."
    return ShapeError(rule, expected=described(parent), got=described(gradient), at=show(site), remedy=f"correct the rule of {operation}")


def miscounted(operation, inputs, count, gradients, site):
    """A joint rule gave another number of gradients than it serves inputs."""
    got = f"{len(gradients)} gradients" if isinstance(gradients, (tuple, list)) else type(gradients).__name__
    rule = f"{operation}: its rule for {', '.join(inputs)} returns a tuple, one gradient for each."
    return ShapeError(rule, expected=f"{count} gradients", got=got, at=show(site), remedy=f"correct the rule of {operation}")


def rule_failed(operation, inputs, error, site):
    """A rule raised an error of NumPy's."""
    rule = f"{operation}: its rule for {', '.join(inputs)} failed: {error}"
    return GraphError(rule, at=show(site), remedy=f"correct the rule of {operation}; gradcheck calls it alone")


def nothing_wants(name):
    """A backward pass from something that depends on no leaf with requires_grad."""
    remedy = "make the leaf with requires_grad=True, outside no_grad; a gradient that is differentiated again needs create_graph=True"
    return GraphError(f"{name}: nothing here requires a gradient.", at=show(caller()), remedy=remedy)


def several_entries(name, shape):
    """A backward pass from more than one number, without a cotangent."""
    expected, got = "a single entry, or a cotangent of the same shape", f"shape {shape} and no cotangent"
    rule = f"{name}: the result has more than one entry, so a cotangent is needed."
    return GraphError(rule, expected=expected, got=got, at=show(caller()), remedy="take .sum() or .mean(), or pass an array of that shape")


def unlike(name, y, cotangent):
    """A cotangent of another shape or dtype than the result."""
    return ShapeError(f"{name}: the cotangent must be an array like the result.", expected=described(y), got=described(cotangent), at=show(caller()))


def one_input(name):
    """grad(y, x) for grad(y, [x])."""
    return GraphError(f"{name}: the inputs are a list.", got="a Tensor", at=show(caller()), remedy=f"ta.{name}(y, [x])")


def fixed_input(name, x):
    """A gradient is wanted with respect to a constant."""
    rule = f"{name}: an input does not require a gradient."
    return GraphError(rule, got=repr(x), at=show(caller()), remedy="ta.Tensor(array, requires_grad=True), before y is computed from it")


# ---- how a primitive cannot be written


def check_primitive(primitive, options, domain, domains):
    """Raise ArgumentError for a signature that rules cannot be bound to, or for registry data that say nothing."""
    name, inputs = primitive.name, primitive.inputs
    unknown = [d for d in domain.values() if d not in domains and not isinstance(d, tuple)] + [n for n in domain if n not in inputs]
    if unknown:
        raise ArgumentError(f"primitive {name}: unknown domain or input {unknown[0]!r}.", expected=", ".join(domains))
    if "y" in inputs or "out" in inputs:
        raise ArgumentError(f"primitive {name}: no input may be called y or out.", remedy="rules use these names for the result")
    if options or (primitive.variadic and len(inputs) > 1):
        raise ArgumentError(f"primitive {name}: its inputs are named, or they are *arrays alone.", got=f"{name}{primitive.signature}")


def check_rule(primitive, rule):
    """Raise ArgumentError for a rule of no input, of an input that has one in another combination, or without a cotangent."""
    for name in rule.inputs:
        if name not in primitive.inputs:
            raise ArgumentError(f"{primitive.name}.vjp: no input is called {name!r}.", expected=", ".join(primitive.inputs))
    if rule.cotangent is None:
        raise ArgumentError(f"{primitive.name}: a rule's first parameter is the cotangent of the result.", expected="def _(gy, ...)")
    for known in primitive.rules:
        if known.inputs != rule.inputs and set(known.inputs) & set(rule.inputs):
            raise ArgumentError(f"{primitive.name}.vjp: a rule for {', '.join(known.inputs)} exists already.", got=", ".join(rule.inputs))


# ---- what an operation cannot take


def inputs_of(names, variadic, arrays, show_input=described):
    """`x (2, 3) float32, W (4, 5) float32`: the inputs of a call by name."""
    names = [f"{names[0]}[{i}]" for i in range(len(arrays))] if variadic else names
    return ", ".join(f"{name} {show_input(array)}" for name, array in zip(names, arrays, strict=False) if array is not None)


def shape_of(value):
    """An input in an error about shapes."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def core_axes(shapes):
    """(the names of the core axes of each input in a signature, their `agreements`); () where there are optional axes but a leading one."""
    if shapes is None:
        return ()
    inputs = [part.strip("()").split(",") for part in shapes.split("->")[0].replace("),(", ")|(").split("|")]
    inputs = [axes[1:] if axes[0].endswith("?") else axes for axes in inputs]
    return () if any(axis.endswith("?") for axes in inputs for axis in axes) else (inputs, agreements(inputs))


def agreements(core):
    """The axes that must be of one length, as (input, axis, other input, its axis), axes counted from the end."""
    places, found = {}, []
    for i, axes in enumerate(core):
        for axis, name in enumerate(axes, -len(axes)):
            if name in places:
                found.append((*places[name], i, axis))
            places.setdefault(name, (i, axis))
    return found


def check_core(core, pairs, arrays):
    """Raise ValueError where arrays differ in an axis that the signature gives one name: core axes do not broadcast.

    pairs: the `agreements` of core, which are looked at first; what is no array, or too small, deserves the longer look.
    """
    try:
        for one, axis, other, its in pairs:
            if arrays[one].shape[axis] != arrays[other].shape[its]:
                break
        else:
            return
    except (AttributeError, IndexError):
        pass
    sizes = {}
    for axes, array in zip(core, arrays, strict=False):
        shape = getattr(array, "shape", None)
        if shape is not None:
            if len(shape) < len(axes):
                raise ValueError(f"an input has too few axes, {len(shape)} for ({','.join(axes)})")
            for axis, n in zip(axes, shape[len(shape) - len(axes) :], strict=True):
                if sizes.setdefault(axis, n) != n:
                    raise ValueError(f"the axes called {axis} have lengths {sizes[axis]} and {n}")


def explained(operation, error, arrays, attributes):
    """An error of the forward function as one that names the operation, the inputs and the user's line."""
    while isinstance(error, (ShapeError, DtypeError)) and error.__cause__ is not None:
        error = error.__cause__  # of an operation inside this one
    if len({type(a) for a in (*arrays, *attributes.values()) if is_array(a)}) > 1:
        lie = inputs_of(operation.inputs, operation.variadic, arrays, lambda a: f"on {backend_of(a)}" if is_array(a) else described(a))
        return mixed_backends(operation.name, lie)
    if isinstance(error, TinyaeError):
        return error
    got = inputs_of(operation.inputs, operation.variadic, arrays, described if isinstance(error, TypeError) else shape_of)
    kind = DtypeError if isinstance(error, (TypeError, AttributeError)) else ShapeError
    rule = str(error).removeprefix(f"{operation.name}: ").rstrip(". ")
    if "core dimension" in rule:  # NumPy's own words for a matrix product
        rule = "the inner axes do not fit"
    expected = f"{', '.join(operation.inputs)}: {operation.shapes}" if operation.shapes else None
    return kind(f"{operation.name}: {rule}.", expected=expected, got=got, at=show(caller()))


def backend_of(array):
    """The name of the backend on which an array lies."""
    xp = array_module(array)
    return getattr(xp, "backend_name", None) or xp.__name__


def mixed_backends(operation, got):
    """Arrays of two backends in one operation."""
    remedy = "move the data with ta.backend.to_device, or make them inside the same ta.using(...)"
    return BackendError(f"{operation}: its inputs lie on different backends.", expected="one backend", got=got, at=show(caller()), remedy=remedy)


def check_result(operation, y, inputs):
    """Refuse a result that is no array of numbers, or wider than all floating inputs: a NumPy scalar, say, that made float64 of float32.

    Numbers without axes do not count as inputs, unless no input has axes.
    """
    got = inputs_of(operation.inputs, operation.variadic, inputs)
    kind = y.dtype.kind if is_array(y) else None
    of_complex = any(getattr(x, "dtype", np.dtype(float)).kind == "c" for x in inputs)  # a complex step
    if kind not in tuple("fiub") and not (kind == "c" and of_complex):
        rule = f"{operation.name}: its result is no array of real numbers."
        raise DtypeError(rule, expected="float32 or float64, integers or truth values", got=f"{described(y)} from {got}", at=show(caller()))
    counted = [x for x in inputs if getattr(x, "ndim", 0)] or [x for x in inputs if hasattr(x, "node")]
    floats = [x.dtype.itemsize for x in counted if x.dtype.kind == "f"]
    if kind == "f" and floats and y.dtype.itemsize > max(floats) and "dtype" not in operation.attributes:
        whole = any(x.dtype.kind in "iu" for x in counted)
        rule = f"{operation.name}: its result is wider than all its floating inputs, and so would be all that follows."
        remedy = "make the NumPy number a Python one, float(number); or convert on purpose, with .astype"
        if whole:
            remedy = "convert the integers first: integers.astype('float32')"
        raise DtypeError(rule, expected="the dtype of an input", got=f"{y.dtype} from {got}", at=show(caller()), remedy=remedy)


def miscalled(operation, signature, error):
    """Arguments that the function does not have, or does not get."""
    remedy = "what stands after * goes by its name" if "*" in str(signature) else None
    return DtypeError(f"{operation}: {error}.", expected=f"{operation}{signature}", at=show(caller()), remedy=remedy)


def check_input(operation, value):
    """Refuse a list, a string, or an array of a kind that means something else by NumPy's operators."""
    if type(value) in (list, tuple, str, np.matrix) or type(value).__name__ == "MaskedArray":  # numpy.ma may not be loaded yet
        rule = f"{operation}: a {type(value).__name__} is not an array."
        raise DtypeError(rule, expected="a Tensor, an array or a number", at=show(caller()), remedy="wrap it: ta.Tensor([...])")


def check_attributes(operation, attributes):
    """Refuse a Tensor as keyword-only attribute."""
    for name, value in attributes.items():
        if hasattr(value, "requires_grad"):
            rule = f"{operation}: the attribute {name} cannot be a Tensor, it has no gradient."
            raise DtypeError(rule, at=show(caller()), remedy="tensor.data")


def no_rule(operation, name):
    """A gradient is wanted through an input that has no rule."""
    return DtypeError(f"{operation}: it has no gradient for {name}.", at=show(caller()), remedy=f"detach() it, or write @{operation}.vjp({name!r})")


# ---- what a Tensor cannot be


def integers(dtype):
    """A gradient is wanted for numbers that cannot move a little."""
    remedy = "tensor = ta.Tensor(array.astype('float32'), requires_grad=True)"
    rule, expected = "Tensor: only floating-point numbers have a gradient.", "dtype float32 or float64"
    return DtypeError(rule, expected=expected, got=f"dtype {dtype}", at=show(caller()), remedy=remedy)


def computed(rule, operation, remedy):
    """Something was done to a computed Tensor that only a leaf allows."""
    return GraphError(rule, expected="a leaf (made from data)", got=f"the result of {operation}", at=show(caller()), remedy=remedy)


def other_shape(name, expected, got):
    """Values of another shape."""
    return ShapeError(f"{name}: shapes differ.", expected=expected, got=got, at=show(caller()))


def gradient_lost(name):
    """A value with a gradient, put into another Tensor's data."""
    rule = f"{name}: the value requires a gradient, which would stop here."
    return GraphError(rule, at=show(caller()), remedy="value.detach(), or with ta.no_grad(): ...; to keep the gradient build a new Tensor")


def part_assigned():
    """tensor[i] = value, where the graph would not see it."""
    rule = "assignment to a part of a Tensor is not recorded, so its gradient would be wrong."
    return GraphError(rule, at=show(caller()), remedy="build the result with ta.ops.where or ta.ops.concatenate, or change a constant Tensor")


def not_copied(operation):
    """copy.deepcopy or pickle of a computed Tensor."""
    rule = "a computed Tensor cannot be copied with its graph."
    return GraphError(rule, got=f"the result of {operation}", at=show(caller()), remedy="tensor.detach()")


def converted():
    """float(tensor), with a gradient."""
    rule = "float(tensor): the number has no gradient."
    return DtypeError(rule, at=show(caller()), remedy="tensor.item() for the value; ta.ops for a function of it")


def changed_while_recording():
    """leaf -= step, outside no_grad."""
    rule = "a leaf that requires a gradient was changed in place while operations are recorded."
    remedy = "with ta.no_grad(): p -= lr * p.grad; or write p = p - ... for a new Tensor"
    return GraphError(rule, at=show(caller()), remedy=remedy)


def truth():
    """bool(tensor)."""
    rule = "bool(tensor): a branch on a value is not part of the graph."
    return DtypeError(rule, at=show(caller()), remedy="compare the data: tensor.data > 0, or tensor.item() > 0")


def numpy_function(name):
    """A NumPy function called on a Tensor."""
    rule = f"a Tensor met {name}; the graph would be lost."
    return DtypeError(rule, at=show(caller()), remedy="use the operation in ta.ops, or tensor.numpy() for the values")
