"""Measuring a generator: beside its training, or afterwards from files."""

from ganneal.evaluation.beside import Evaluator
from ganneal.evaluation.following import Evaluations

__all__ = ["Evaluations", "Evaluator"]
