"""Experiments side by side: the same clock, the same seeds, every run counted."""

from ganneal.comparison.executors import Executor, LocalProcesses
from ganneal.comparison.results import Results
from ganneal.comparison.schedule import compare
from ganneal.comparison.study import Arm, Like, Study, controls

__all__ = ["Arm", "Executor", "Like", "LocalProcesses", "Results", "Study", "compare", "controls"]
