"""The negative ELBO that the command line's defaults reach on a test split, over several seeds.

    python benchmarks/elbo.py digits                      # five seeds, a minute
    TINYAE_DATA=DIR python benchmarks/elbo.py mnist       # two seeds of dynamic and of grey binarisation, two minutes
    TINYAE_DATA=DIR python benchmarks/elbo.py mnist-conv  # one seed of a convolutional network, about ten minutes

Prints a table, and with --write puts it between the marks of benchmarks/elbo.md.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TABLE = pathlib.Path(__file__).parent / "elbo.md"
JOBS = {
    "digits": [("digits", "threshold", seed, []) for seed in range(5)],
    "mnist": [
        ("mnist", binarisation, seed, ["--latent", "20", "--hidden", "400", "--epochs", "10"])
        for binarisation in ("dynamic", "grey")
        for seed in range(2)
    ],
    "mnist-conv": [("mnist", "dynamic", 0, "--latent 20 --channels 32 64 --hidden 256 --epochs 10".split())],
}


def run(data, binarisation, seed, extra):
    """Train in a process of its own.  Returns the content of metrics.json.  The README's picture is that of digits, seed 0."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", "vae", "--data", data, "--binarisation", binarisation, "--seed", str(seed), *extra, "--out", f"{folder}/run"]
        subprocess.run([sys.executable, "-m", "tinyae.cli", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if (data, seed) == ("digits", 0):
            shutil.copy(f"{folder}/run/figures/manifold.png", TABLE.with_name("manifold.png"))
        return json.loads(pathlib.Path(folder, "run", "metrics.json").read_text())


def table(name):
    """A Markdown table: a row a binarisation, means over the seeds."""
    lines = ["| data | binarisation | seeds | negative ELBO: mean (lowest to highest) | reconstruction | KL | wall seconds |", "|" + "---|" * 7]
    found = {}
    for job in JOBS[name]:
        found.setdefault(job[:2], []).append(run(*job))
    for (_, binarisation), results in found.items():
        tests = [result["test"] for result in results]
        elbos = [test["negative_elbo"] for test in tests]
        mean = {term: statistics.mean(test[term] for test in tests) for term in ("negative_elbo", "reconstruction", "kl")}
        wall = statistics.median(result["wall_seconds"] for result in results)
        lines.append(
            f"| {name} | {binarisation} | {len(results)} | {mean['negative_elbo']:.2f} ({min(elbos):.2f} to {max(elbos):.2f}) "
            f"| {mean['reconstruction']:.2f} | {mean['kl']:.2f} | {wall:.0f} |"
        )
    return "\n".join(lines)


def main():
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=JOBS)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/elbo.md")
    arguments = parser.parse_args()
    text = table(arguments.data)
    print(text)
    if arguments.write:
        marks = f"<!-- {arguments.data} -->", f"<!-- end {arguments.data} -->"
        page = TABLE.read_text()
        TABLE.write_text(re.sub(f"{marks[0]}.*?{marks[1]}", f"{marks[0]}\n{text}\n{marks[1]}", page, flags=re.S))


if __name__ == "__main__":
    main()
