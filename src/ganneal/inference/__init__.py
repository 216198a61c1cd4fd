"""Everything after training: trained generators, loaded, drawn from, exported and shown. No training code."""

from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.loading import load

__all__ = ["TrainedGenerator", "load"]
