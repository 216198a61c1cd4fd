"""Network families. Register your own with ``MODELS["mine"] = MyModel()``."""

from ganneal.models.biggan import BigGAN
from ganneal.models.dcgan import DCGAN
from ganneal.models.dcgan_ext import DCGANExt
from ganneal.models.ddgan import DDGAN
from ganneal.models.denoising_mlp import DenoisingMLP
from ganneal.models.fastgan import FastGAN
from ganneal.models.fc2 import FC2
from ganneal.models.mlp import MLP
from ganneal.models.pair import Pair
from ganneal.models.projected import Projected
from ganneal.models.protocol import Latent, Model, ModelPair, Normal, Shape
from ganneal.models.r3gan import R3GAN
from ganneal.models.relation import Relation
from ganneal.models.resnet4 import ResNet4
from ganneal.models.sn_dcgan import SNDCGAN
from ganneal.models.sngan import SNGAN

MODELS: dict[str, Model] = {
    "mlp": MLP(),
    "dcgan": DCGAN(),
    "dcgan-ext": DCGANExt(),
    "resnet-4": ResNet4(),
    "fc-2": FC2(),
    "sn-dcgan": SNDCGAN(),
    "sngan": SNGAN(),
    "biggan": BigGAN(),
    "r3gan": R3GAN(),
    "fastgan": FastGAN(),
    "projected": Projected(),
    "pair": Pair(),
    "ddgan": DDGAN(),
    "denoising-mlp": DenoisingMLP(),
    "relation": Relation(),
}
"""Network families by name, each with its default fields."""

__all__ = [
    "DCGAN",
    "DDGAN",
    "FC2",
    "MLP",
    "MODELS",
    "R3GAN",
    "SNDCGAN",
    "SNGAN",
    "BigGAN",
    "DCGANExt",
    "DenoisingMLP",
    "FastGAN",
    "Latent",
    "Model",
    "ModelPair",
    "Normal",
    "Pair",
    "Projected",
    "Relation",
    "ResNet4",
    "Shape",
]
