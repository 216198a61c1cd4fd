"""Recipes: parts of an experiment that work well together. Register your own: ``RECIPES["mine"] = Recipe(...)``."""

from dataclasses import dataclass, fields, replace

from ganneal.augment import AUGMENTATIONS, Augmentation, DiffAugment, Unchanged
from ganneal.experiment import Experiment
from ganneal.experiments.fitting import R3GAN_WIDTHS
from ganneal.losses import Hinge, Loss, NonSaturating, RelativisticPaired
from ganneal.models import DCGAN, R3GAN, SNGAN, FastGAN, Model, Projected
from ganneal.normalization import Normalization, Spectral, Unnormalized
from ganneal.optim import Adam, Averaging, OptimizerConfig
from ganneal.regularizers import Generated, GradientPenalty, Reals, Regularizer, Sum
from ganneal.schemes import Alternating, Nested, Scheme
from ganneal.weights import Geometric


@dataclass(frozen=True)
class Recipe:
    """A network with the settings that it is trained with; data, precision, budget and records stay the experiment's.

    Every field replaces the field of the same name of an `Experiment`.
    """

    model: Model
    scheme: Scheme = Alternating()
    loss: Loss = NonSaturating()
    regularizer: Regularizer = Sum()
    normalization: Normalization = Unnormalized()
    augmentation: Augmentation = Unchanged()
    d_optimizer: OptimizerConfig = Adam()
    g_optimizer: OptimizerConfig = Adam()
    averaging: Averaging = Averaging()
    batch_size: int = 64
    g_batch_size: int | None = None

    def __call__(self, experiment: Experiment) -> Experiment:
        """``experiment`` with the parts of this recipe."""
        return replace(experiment, **{field.name: getattr(self, field.name) for field in fields(self)})


# Measured on one processor thread at 64 px (docs/recipes.md): in equal processor time, batches of 16, rates of 4e-4 and
# a half-life of 2,000 images came further than the batches of 64 and rates of 2e-4 that are usual for DCGANs.
# Nearest-neighbour doubling leaves no checkerboard (Odena et al., Deconvolution and Checkerboard Artifacts, 2016).
DCGAN_RECIPE = Recipe(
    model=DCGAN(upsampling="nearest"),
    augmentation=DiffAugment(),
    d_optimizer=Adam(lr=4e-4),
    g_optimizer=Adam(lr=4e-4),
    averaging=Averaging(half_life=2_000),
    batch_size=16,
)

_SNGAN_ADAM = Adam(lr=2e-4, beta1=0.0, beta2=0.9)
_FASTGAN_ADAM = Adam(lr=2e-4, beta1=0.5, beta2=0.999)
_PROJECTED_ADAM = Adam(lr=2e-4, beta1=0.0, beta2=0.99)
# The learning rate and beta2 at the start of the published schedules, which end after 20 million images.
_R3GAN_ADAM = Adam(lr=2e-4, beta1=0.0, beta2=0.9)

RECIPES: dict[str, Recipe] = {
    "dcgan": DCGAN_RECIPE,
    # The same parts under the schedule of five annealed levels, so that the two differ in the schedule alone.
    "nats": replace(DCGAN_RECIPE, scheme=Nested(levels=5, weights=Geometric())),
    # Miyato et al., Spectral Normalization for GANs, 2018, sec. 4 and appendix B: hinge loss, five discriminator
    # updates for each of the generator, Adam 2e-4 (0, 0.9), batches of 64.
    "sngan": Recipe(
        model=SNGAN(),
        scheme=Alternating(d_steps=5),
        loss=Hinge(),
        normalization=Spectral(),
        d_optimizer=_SNGAN_ADAM,
        g_optimizer=_SNGAN_ADAM,
    ),
    # Huang et al., The GAN is dead; long live the GAN!, 2024, sec. 4 and the settings for FFHQ at 64 px: RpGAN, R1 and
    # R2 with gamma 2 at the start, batches of 256, an average of a half-life of up to 500,000 images.
    "r3gan": Recipe(
        model=R3GAN(widths=(R3GAN_WIDTHS[0],), group_size=16, blocks=2),
        loss=RelativisticPaired(),
        regularizer=Sum(
            (
                GradientPenalty(center=0.0, points=Reals(), coefficient=1.0),
                GradientPenalty(center=0.0, points=Generated(), coefficient=1.0),
            )
        ),
        augmentation=AUGMENTATIONS["r3gan"],
        d_optimizer=_R3GAN_ADAM,
        g_optimizer=_R3GAN_ADAM,
        averaging=Averaging(half_life=500_000),
        batch_size=256,
    ),
    # Liu et al., Towards Faster and Stabilized GAN Training, 2021, and its published code: hinge loss, batches of 8,
    # Adam 2e-4 (0.5, 0.999), DiffAugment without cutout, an average of 0.999 an update. The half-life of that average
    # is 8 ln(1/2) / ln(0.999) = 5,542 images.
    "fastgan": Recipe(
        model=FastGAN(),
        loss=Hinge(),
        augmentation=DiffAugment(cutout=False),
        d_optimizer=_FASTGAN_ADAM,
        g_optimizer=_FASTGAN_ADAM,
        averaging=Averaging(half_life=5_542, rampup=None),
        batch_size=8,
    ),
    # Sauer et al., Projected GANs Converge Faster, 2021, and its published code: hinge loss, batches of 64, Adam 2e-4
    # (0, 0.99), DiffAugment, an average of a half-life of 10,000 images, no penalty.
    "projected": Recipe(
        model=Projected(),
        loss=Hinge(),
        augmentation=DiffAugment(),
        d_optimizer=_PROJECTED_ADAM,
        g_optimizer=_PROJECTED_ADAM,
        averaging=Averaging(half_life=10_000),
    ),
}
"""Recipes by name, with the widths that were published; `fitting` makes them fit for a CPU."""
