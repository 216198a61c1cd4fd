"""Surroundings of the engine: one session of a run, with its display, evaluations, signals and processes."""
