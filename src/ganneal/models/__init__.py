"""Network families. Register your own with ``MODELS["mine"] = MyModel()``."""

from ganneal.models.dcgan import DCGAN
from ganneal.models.mlp import MLP
from ganneal.models.protocol import Latent, Model, ModelPair, Normal, Shape

MODELS: dict[str, Model] = {"mlp": MLP(), "dcgan": DCGAN()}
"""Network families by name, each with its default fields."""

__all__ = ["DCGAN", "MLP", "MODELS", "Latent", "Model", "ModelPair", "Normal", "Shape"]
