"""What the numbers depend on: processor, versions, who else is at work, and the environment of a measured process."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import time

from benchmarks.speed.peers import PEERS

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = "numpy numba torch jax mygrad autograd tinygrad".split()
THREADS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TINYAE_FAST")


def on_gpu():
    """Whether the frameworks are to use the GPU: `gpu.py` says so to the processes that it starts."""
    return os.environ.get("BENCHMARK_DEVICE") == "gpu"


def environment(peer=None):
    """The variables of a measured process: this checkout, no GPU unless `on_gpu()`, and each library's own choice of kernels and threads."""
    kept = {name: value for name, value in os.environ.items() if name not in THREADS} | {"PYTHONPATH": str(ROOT)}
    kept |= PEERS[peer].environment if peer in PEERS else {}
    return kept | ({"JAX_PLATFORMS": "cuda"} if on_gpu() else {"CUDA_VISIBLE_DEVICES": ""})


def cores():
    """How many cores this process may use, and those that it starts."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor():
    """The processor's name, and its family and model where Linux tells them: a name alone may stand for many."""
    path = pathlib.Path("/proc/cpuinfo")
    found = dict(line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line) if path.exists() else {}
    found = {key.strip(): value.strip() for key, value in found.items()}
    if "model name" not in found:
        return platform.processor() or platform.machine()
    return f"{found['model name']} (family {found.get('cpu family')}, model {found.get('model')})"


def versions():
    """package -> version, of those that are installed, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def described():
    """The machine and the versions, as speed.json holds them."""
    return {"processor": processor(), "cores": cores(), "system": f"{platform.system()} {platform.machine()}", "versions": versions()}


def today():
    """The date, as in 2026-01-31."""
    return datetime.date.today().isoformat()


def busy(seconds=0.5):
    """How many cores others keep busy, measured while this process sleeps; 0 where /proc/stat is missing, which only Linux has."""
    path = pathlib.Path("/proc/stat")
    if not path.exists():
        return 0.0

    def counts():
        numbers = [int(n) for n in path.read_text().splitlines()[0].split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]  # all, idle and waiting for a disk

    (all_before, idle_before), _ = counts(), time.sleep(seconds)
    all_after, idle_after = counts()
    return round((1 - (idle_after - idle_before) / max(all_after - all_before, 1)) * os.cpu_count(), 2)
