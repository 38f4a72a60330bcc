"""The folder benchmarks/ is no part of the package that is installed: it is found from the root of the repository."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2]))
