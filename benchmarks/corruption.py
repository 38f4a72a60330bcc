"""What readers make of damaged files: the right data or a clear error, at the price of how much memory and time.

    OPENBLAS_NUM_THREADS=1 python benchmarks/corruption.py --write      # about a minute on one core

Each file is damaged 1,000 times by one flipped byte, 1,000 times by one near an end of the file, and 1,000 times by ending early
(tests/data/damage.py).  The same in small is in the tests.
"""

import argparse
import pathlib
import sys
import tempfile
import time
import tracemalloc

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "data")]

import damage  # noqa: E402

import tinyae as ta  # noqa: E402
from tinyae.training import Run  # noqa: E402
from tinyae.training.run import read_config  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".md")
TITLE = """# Damaged files

Made by `python benchmarks/corruption.py --write`.  Each file has one byte changed at a random place, or within 300 of an end, or ends early;
then it is read.  A clear error is one of ours with the file's name and the reason.  Formats without a checksum cannot know a changed pixel:
such files are read with the published checksum, and once more without any, where other data are possible, but no other exception.  Memory: the
most that a reader held at once, as a multiple of the file's size (a gzipped file's content is larger than the file).
"""


def subjects(folder):
    """name -> damage.Subject(content, read, checked): the files to damage, those of a small run in `folder` among them."""
    run = Run(folder, "damage", {"data": "digits", "binarisation": "threshold", "latent": 2})
    ta.fit(ta.models.VAE(64, 2, (8,), rng=ta.rng(0)), ta.data.load("digits"), epochs=2, run=run, progress=False)
    checkpoint, config = run.checkpoint.read_bytes(), (run.folder / "config.json").read_bytes()
    return damage.subjects(images=200) | {
        "checkpoint": damage.Subject(checkpoint, lambda path: tuple(ta.load(path).state_dict().values())),
        "config.json": damage.Subject(config, read_config),
    }


def measured(subject, how, times, path, seed):
    """Counts by verdict, the largest memory as a multiple of the file's size, the longest time in milliseconds."""
    longest = most = 0

    def read(path):
        nonlocal longest, most
        tracemalloc.reset_peak()
        before, started = tracemalloc.get_traced_memory()[0], time.perf_counter()
        try:
            return subject.read(path)
        finally:
            longest = max(longest, time.perf_counter() - started)
            most = max(most, tracemalloc.get_traced_memory()[1] - before)

    tracemalloc.start()
    counts = damage.verdicts(subject._replace(read=read), how, times, path, seed)
    tracemalloc.stop()
    return counts, most / len(subject.content), 1000 * longest


def main():
    """Damage, read, print a table, and write it.  Exit code 1 where anything else than the right data or a clear error came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    arguments = parser.parse_args()
    lines = ["| file | bytes | damage | times | right data | clear error | other data | anything else | memory / file | longest, ms |"]
    lines, bad = [*lines, "|---" * 10 + "|"], []
    with tempfile.TemporaryDirectory() as folder:
        for name, subject in subjects(pathlib.Path(folder) / "run").items():
            for how in damage.KINDS:
                counts, memory, longest = measured(subject, how, arguments.times, pathlib.Path(folder) / "file", arguments.seed)
                right, clear, other = (counts.pop(verdict, 0) for verdict in ("right data", "clear error", "other data"))
                shown = other if subject.checked else f"{other} (no checksum)"
                cells = [name, f"{len(subject.content):,}", how.__name__.replace("_", " "), arguments.times, right, clear, shown, counts.total()]
                lines.append("| " + " | ".join(map(str, cells)) + f" | {memory:.1f} | {longest:.0f} |")
                print(lines[-1], flush=True)
                bad += [*counts, *(["other data"] if other and subject.checked else [])]
    print("\n".join(["", *lines, "", *bad]))
    if arguments.write:
        TABLE.write_text(TITLE + "\n" + "\n".join(lines) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
