"""Side-by-side measurements; never part of the tests.  `python -m benchmarks --help` says what is compared with peers."""
