"""Names that are loaded when they are first asked for (PEP 562), so that `import tinyae` costs little more than `import numpy`.

A room says where its public names are; nothing there is run before somebody asks for one:

    __all__, __getattr__, __dir__ = lazily(__name__, ["likelihood.log_likelihood", "terms.evaluate"])

A file that is called like one of its functions (`training/fit.py`) is no place for this: once it is loaded, the name means the file.
"""

import importlib
import sys


def lazily(package, places):
    """(__all__, __getattr__, __dir__) of a package.

    package: its `__name__`.  places: where its public names are, "file.name", or "room" for what is below the package and public itself.
    An error while a file is loaded is raised as it is; only an AttributeError, which would be taken for a name that is not there, comes
    as the cause of an ImportError.
    """
    places = {place.rpartition(".")[2]: place for place in places}
    module = sys.modules[package]

    def load(name):
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        file = f"{package}.{places[name].rpartition('.')[0] or name}"
        try:
            found = importlib.import_module(file)
            value = getattr(found, name) if "." in places[name] else found
        except AttributeError as error:
            raise ImportError(f"{file} cannot be loaded: {error}", name=file) from error
        setattr(module, name, value)  # from now on it is found without coming here
        return value

    return list(places), load, lambda: sorted({*vars(module), *places})
