"""speed.json as tables: the targets and what is reached, milliseconds a step, memory and page faults, whole programs."""

import dataclasses
import json
import pathlib
import re
import textwrap
from statistics import median

from benchmarks.speed.networks import NETWORKS
from benchmarks.speed.peers import OURS, PEERS, REPLAYED

FOLDER = pathlib.Path(__file__).resolve().parents[1]
RESULTS, PAGE, README = FOLDER / "speed.json", FOLDER / "speed.md", FOLDER.parent / "README.md"
BEGIN, END = "<!-- the table of benchmarks/speed.json: python -m benchmarks --write-readme -->", "<!-- end of the table -->"
BUSY = 0.2  # cores that others may keep busy before the page says so
TITLES = {name: about.title for name, about in PEERS.items()} | {"numpy": "NumPy", "by hand": "NumPy by hand"}
PROGRAM_TITLES = {
    "import": "import in a fresh interpreter, milliseconds",
    "cold-start": "from nothing to the end of the first step of the dense VAE, milliseconds",
    "digits": "`tinyae train vae`, all of it, seconds",
    "mnist-epoch": "an epoch on MNIST, files and evaluation included, seconds",
    "overhead": "an operation, forward and backward, microseconds",
}
INTRODUCTION = """# Speed

Made by `python -m benchmarks --write` (`pip install -e ".[bench]"`; what is not installed is left out).

{}

Every framework runs in a process of its own, with its own choice of threads, all of them in turn and in alternating order; each ratio is of one
round, and the median of these is shown.  A step is the loss, with noise drawn by the framework's generator, the backward pass, and Adam.
Before, all have shown the same loss as NumPy on the same weights, data and noise, and after three steps the same loss as tinyae.
"Played back" is `ta.Replay`: the same functions on arrays in the same order, without the engine.
The networks are in [`networks.py`](speed/networks.py).

{}
"""
SCALES = {"import": 1000, "cold-start": 1000}
PACKAGES = {
    "python": "Python",
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "jax": "JAX",
    "mygrad": "MyGrad",
    "autograd": "autograd",
    "tinygrad": "tinygrad",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """A ratio (or difference) to be reached.  of: what it is a ratio to; of several, the best in each round.

    quantity: "time", "memory", or "beyond", a difference of times.  pure, fast: the most it may be, or None where nothing was promised.
    """

    title: str
    beside: str
    measure: str
    of: tuple
    pure: float | None
    fast: float | None
    quantity: str = "time"


def untuned(name):
    """What a network nobody tuned for must reach: the ratio of the listed one that it is like, and 15 % more."""
    pure, fast = {"dense": (1.05, 0.85), "conv": (1.35, 1.05)}[NETWORKS[name].like]
    return Target(f"{NETWORKS[name].title}: a step", "PyTorch", name, ("torch",), round(1.15 * pure, 2), round(1.15 * fast, 2))


TARGETS = (
    Target("dense VAE: a step", "PyTorch", "dense", ("torch",), 1.05, 0.85),
    Target("dense VAE: a step", "the best of compiled PyTorch and JAX", "dense", ("torch-compiled", "jax"), None, 1.10),
    Target("convolutional VAE: a step", "PyTorch", "conv", ("torch",), 1.35, 1.05),
    Target("small VAE: a step", "PyTorch", "small", ("torch",), 0.30, None),
    Target("small VAE: a step", "JAX", "small", ("jax",), 0.9, None),
    *(untuned(name) for name, network in NETWORKS.items() if network.like),
    Target("an operation, forward and backward: microseconds beyond", "NumPy by hand", "overhead", ("by hand",), 3.0, None, "beyond"),
    Target("dense VAE: peak memory", "PyTorch", "dense", ("torch",), 0.35, 0.6, "memory"),
    Target("import", "NumPy", "import", ("numpy",), 1.3, None),
)


def reached(results, target, who):
    """The ratio or difference of a target for "tinyae" or "tinyae-fast": of each round, then the median.  None where it was not measured."""
    found = results["measured"].get(target.measure, {"rounds": {}})
    rounds, of = found["rounds"], [name for name in target.of if name in found["rounds"]]
    if who not in rounds or not of:
        return None
    if target.quantity == "memory":
        return found["more"][who]["peak_megabytes"] / min(found["more"][name]["peak_megabytes"] for name in of)
    pairs = zip(rounds[who], map(min, zip(*(rounds[name] for name in of), strict=True)), strict=True)
    return median(a - b if target.quantity == "beyond" else a / b for a, b in pairs)


def verdict(value, most):
    """The cell of a target."""
    if value is None:
        return "not measured" if most is not None else ""
    if most is None:
        return f"{value:.2f}"
    return f"{value:.2f}, at most {most:.2f}: " + ("met" if value <= most else "**missed**")


def rows(*lines):
    """Cells as Markdown; the first line is the head."""
    lines = [list(map(str, line)) for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], ["---"] * len(lines[0]), *lines[1:]))


def targets_table(results):
    """The targets and what is reached: ratios to the other framework, of the same round; the median of the rounds."""
    lines = []
    for t in TARGETS:
        replayed = reached(results, t, REPLAYED) if t.quantity == "time" else None
        cells = [verdict(reached(results, t, who), m) for who, m in zip(OURS, (t.pure, t.fast), strict=True)]
        lines.append((t.title, t.beside, *cells, "" if replayed is None else verdict(replayed, t.pure)))
    return rows(("tinyae divided by ...", "... this", "NumPy alone", "with `fast`", "NumPy alone, played back"), *lines)


def shown(value):
    """A positive number with three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def networks_table(results, cell):
    """A row for each network that was measured, a column for each framework; `cell(found, peer)` is a number."""
    measured = {name: results["measured"][name] for name in NETWORKS if name in results["measured"]}
    peers = [peer for peer in PEERS if any(peer in found["rounds"] for found in measured.values())]
    lines = [
        (NETWORKS[name].title, NETWORKS[name].batch, *(shown(cell(found, p)) if p in found["rounds"] else "" for p in peers))
        for name, found in measured.items()
    ]
    return rows(("network", "batch", *(TITLES[peer] for peer in peers)), *lines)


def milliseconds_table(results):
    """Milliseconds a step, medians of the rounds."""
    return networks_table(results, lambda found, peer: median(found["rounds"][peer]))


def programs_table(results):
    """Whole programs, medians of the rounds."""
    measured = {name: results["measured"][name]["rounds"] for name in PROGRAM_TITLES if name in results["measured"]}
    programs = [p for p in ("numpy", "by hand", *PEERS) if any(p in rounds for rounds in measured.values())]
    lines = [
        (PROGRAM_TITLES[name], *(shown(SCALES.get(name, 1) * median(rounds[p])) if p in rounds else "" for p in programs))
        for name, rounds in measured.items()
    ]
    return rows(("program", *(TITLES[p] for p in programs)), *lines)


def circumstances(results):
    """When, where and with which versions: a few sentences."""
    machine, measured = results["machine"], results["measured"].values()
    dates = sorted({found["date"] for found in measured})
    packages = ", ".join(f"{title} {machine['versions'][name]}" for name, title in PACKAGES.items() if name in machine["versions"])
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    text = f"Measured on {when}: {machine['processor']}, {cores}, {machine['system']}; {packages}."
    if steps := [name for name, found in results["measured"].items() if found.get("clock") == "processor"]:
        text += f" In processor time instead of wall time: {', '.join(steps)}."
    if any(found["quick"] for found in measured):
        text += " A trial, with few and short rounds."
    others = max(found["busy"] for found in measured)
    return text + (f" Other programs kept up to {others:.2g} cores busy at the time: times are rough." if others > BUSY else "")


def left_out(results):
    """Which frameworks were not measured, and why."""
    reasons = {}
    for name, found in results["measured"].items():
        for peer, reason in found["left_out"].items():
            reasons.setdefault((peer, reason), []).append(name)
    lines = [f"- {TITLES[peer]} ({', '.join(names)}): {reason}" for (peer, reason), names in reasons.items()]
    return "\n".join(["", "Left out:", "", *lines]) + "\n" if lines else ""


def render(results):
    """The page, Markdown."""
    networks = [found for name, found in results["measured"].items() if name in NETWORKS]
    text = INTRODUCTION.format(wrapped(circumstances(results)), targets_table(results))
    if networks:
        least = min(len(times) for found in networks for times in found["rounds"].values())
        text += f"\nMilliseconds a step, medians of at least {least} rounds:\n\n{milliseconds_table(results)}\n"
        memory = networks_table(results, lambda found, peer: found["more"][peer]["peak_megabytes"])
        faults = networks_table(results, lambda found, peer: found["more"][peer]["faults"])
        text += f"\nPeak memory of the process, megabytes:\n\n{memory}\n\nPage faults a step (memory taken from the system anew):\n\n{faults}\n"
    if len(networks) < len(results["measured"]):
        text += f"\nWhole programs, medians:\n\n{programs_table(results)}\n"
    return text + left_out(results)


def readme_table(results):
    """What stands between the README's markers."""
    return f"{wrapped(circumstances(results))}\n\n{targets_table(results)}"


def wrapped(text):
    """A paragraph in lines of at most 145 characters."""
    return textwrap.fill(text, 145, break_long_words=False, break_on_hyphens=False)


def read():
    """What speed.json holds; nothing measured where it is missing."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"machine": {}, "measured": {}}


def merged(old, new):
    """The new measurements and, where machine and versions are the same, those of the old ones that were not made again."""
    kept = old["measured"] if old["machine"] == new["machine"] else {}
    order = [*NETWORKS, *PROGRAM_TITLES]
    measured = kept | new["measured"]
    return {"machine": new["machine"], "measured": {name: measured[name] for name in order if name in measured}}


def write(results):
    """speed.json, a list of numbers on a line, and speed.md."""
    text = json.dumps(results, indent=2)
    RESULTS.write_text(re.sub(r"\[([^\[\]{}]*)\]", lambda m: "[" + " ".join(m[1].split()) + "]", text) + "\n")
    PAGE.write_text(render(results))


def with_table(readme, table):
    """The README's text with a new table between its markers.  Raises ValueError where these are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"
