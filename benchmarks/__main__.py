"""How fast tinyae is, beside other frameworks: `python -m benchmarks`, from the root of the repository."""

import argparse
import os
import sys

from benchmarks.speed import table
from benchmarks.speed.machine import described
from benchmarks.speed.networks import NETWORKS
from benchmarks.speed.peers import FLOORS, OURS, PEERS, REPLAYED
from benchmarks.speed.programs import ROUNDS, measure_programs
from benchmarks.speed.rounds import BenchmarkError, measure_network

NAMES = (*NETWORKS, *ROUNDS)
SECONDS = {False: 0.3, True: 0.05}  # of a block of steps, in earnest and in a trial
EPILOG = """example: python -m benchmarks dense import --peers torch,jax --rounds 5

networks:  {}
programs:  {}
frameworks: {}
Without NAME all are measured (mnist-epoch only where TINYAE_DATA is set).  Several runs may make one page: with --write, what is not
measured again stays in speed.json if machine and versions are the same.  Keep the machine quiet: others' work is measured and told."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def parser():
    """The command line."""
    epilog = EPILOG.format(*(", ".join(names) for names in (NETWORKS, ROUNDS, [name for name in PEERS if name not in FLOORS])))
    made = Parser("python -m benchmarks", description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("names", nargs="*", metavar="NAME", help="what to measure: networks and programs, listed below")
    made.add_argument("--peers", metavar="A,B", help="frameworks beside tinyae, which is always there (default: all that are installed)")
    made.add_argument("--rounds", type=int, default=9, metavar="R", help="of each network and of the imports (at least 15 of these); default 9")
    made.add_argument("--cores", type=int, metavar="N", help="let everything run on N cores (Linux only)")
    made.add_argument("--processor", action="store_true", help="steps in processor time instead of wall time; on a busy machine, with --cores 1")
    made.add_argument("--fast", action="store_true", help="a trial: 2 rounds of programs, steps of 0.05 instead of 0.3 seconds")
    made.add_argument("--write", action="store_true", help="write benchmarks/speed.json and benchmarks/speed.md")
    made.add_argument("--write-readme", action="store_true", help="put speed.json's table into the README; alone, it measures nothing")
    return made


def chosen(arguments, error):
    """(names, frameworks) that are asked for, in the order of their lists."""
    for given, known, what in ((arguments.names, NAMES, "measurement"), (peers_given(arguments), PEERS, "framework")):
        unknown = [name for name in given if name not in known]
        if unknown:
            error(f"unknown {what} {unknown[0]!r}; there are {', '.join(known)}")
    if arguments.rounds < 1 or (arguments.cores is not None and not 1 <= arguments.cores <= os.cpu_count()):
        error(f"--rounds is 1 or more, --cores 1 to {os.cpu_count()}")
    names = arguments.names or [name for name in NAMES if name != "mnist-epoch" or "TINYAE_DATA" in os.environ]
    wanted = {*OURS, REPLAYED, *FLOORS, *(peers_given(arguments) or PEERS)}
    return [name for name in NAMES if name in names], [peer for peer in PEERS if peer in wanted]


def peers_given(arguments):
    """The frameworks named by --peers, a list."""
    return [name for name in (arguments.peers or "").split(",") if name]


def measure(name, peers, rounds, trial, clock):
    """What speed.json holds of one measurement."""
    if name in NETWORKS:
        return measure_network(name, peers, rounds, SECONDS[trial], clock) | {"quick": trial}
    rounds = max(ROUNDS[name], rounds if name == "import" else 0)
    return measure_programs(name, peers, 2 if trial else rounds) | {"quick": trial}


def main(argv=None):
    """Measure, print, and write."""
    given = parser()
    arguments = given.parse_args(argv)
    names, peers = chosen(arguments, given.error)
    if arguments.write_readme and not (arguments.write or arguments.names):
        names = []  # the README alone, from what is there
    if arguments.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-arguments.cores :])
    new = {"machine": described(), "measured": {}}
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            new["measured"][name] = measure(name, peers, arguments.rounds, arguments.fast, "processor" if arguments.processor else "wall")
        except BenchmarkError as wrong:
            given.exit(1, f"{given.prog}: {name}: {wrong}\n")
        if arguments.write:
            table.write(table.merged(table.read(), new))
    if names:
        print(table.render(new))
    if arguments.write_readme:
        readme = table.README.read_text()
        table.README.write_text(table.with_table(readme, table.readme_table(table.read())))


if __name__ == "__main__":
    main()
