"""The frameworks that are compared.  Each has a file with a class `Peer`:

Peer(network, weights, variant)      weights: name -> NumPy array
.array(x)                            a NumPy array as one of the framework
.loss_at(x, noise)                   the loss, a Python number
.step(x, noise=None)                 one step of training: forward, backward, Adam; noise None: drawn by its own generator
.wait()                              until all that was begun is done
"""

import dataclasses
import importlib
import importlib.util
import shutil

CONVOLUTIONS = frozenset({"conv", "conv_transpose", "max_pool", "upsample"})
FLOORS = ("functions", "products")  # no frameworks, but what lies under those that have NumPy's functions, and NumPy's products


@dataclasses.dataclass(frozen=True)
class About:
    """title: as in the tables.  file: its module here.  variant: what the module is to build.  needs: modules that must be installed.

    lacks: kinds of layers that the framework has not.  environment: variables of its process.  tools: programs that it calls.
    """

    title: str
    file: str
    needs: tuple = ()
    variant: str = ""
    lacks: frozenset = frozenset()
    environment: dict = dataclasses.field(default_factory=dict)
    tools: tuple = ()


PEERS = {
    "tinyae": About("tinyae, NumPy alone", "with_tinyae", ("numpy",), environment={"TINYAE_FAST": "0"}),
    "tinyae-fast": About("tinyae with `fast`", "with_tinyae", ("numpy", "numba"), environment={"TINYAE_FAST": "1"}),
    "tinyae-replayed": About("tinyae, NumPy alone, played back", "with_tinyae", ("numpy",), "replay", environment={"TINYAE_FAST": "0"}),
    "torch": About("PyTorch", "with_torch", ("torch",), "eager"),
    "torch-fused": About("PyTorch, fused Adam", "with_torch", ("torch",), "fused"),
    "torch-compiled": About("PyTorch compiled, fused Adam", "with_torch", ("torch",), "compiled", tools=("g++",)),
    "jax": About("JAX, jit", "with_jax", ("jax",), environment={"JAX_PLATFORMS": "cpu"}),
    "mygrad": About("MyGrad", "with_mygrad", ("mygrad",), lacks=CONVOLUTIONS),
    "autograd": About("autograd", "with_autograd", ("autograd",), lacks=CONVOLUTIONS),
    "tinygrad": About("tinygrad, TinyJit", "with_tinygrad", ("tinygrad",), environment={"TRAINING": "1", "DEV": "CPU"}, tools=("clang",)),
    "functions": About("tinyae's functions on arrays alone", "functions", ("numpy",), environment={"TINYAE_FAST": "0"}),
    "products": About("the matrix products alone", "products", ("numpy",)),
}
OURS, REPLAYED = ("tinyae", "tinyae-fast"), "tinyae-replayed"


def reason_to_leave_out(name, network=None):
    """Why a framework cannot be measured, on a network or at all, in a few words; None where it can."""
    about = PEERS[name]
    specs = {module: importlib.util.find_spec(module) for module in about.needs}
    missing = [module for module, spec in specs.items() if spec is None or spec.origin is None]  # a folder of that name is no package
    if missing:
        return f"{missing[0]} is not installed"
    tools = [tool for tool in about.tools if shutil.which(tool) is None]
    if tools:
        return f"it needs {tools[0]}"
    lacking = sorted(about.lacks & network.layer_kinds) if network else ()
    return f"it has no {lacking[0].replace('_', ' ')}" if lacking else None


def build(name, network, weights):
    """The Peer of a name."""
    module = importlib.import_module(f"benchmarks.speed.peers.{PEERS[name].file}")
    return module.Peer(network, weights, PEERS[name].variant)
