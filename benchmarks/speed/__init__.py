"""How fast a training step is, beside other frameworks: networks as data, a process for each framework, rounds in turn, tables."""
