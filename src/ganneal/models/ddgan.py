"""Denoising diffusion GAN players for images: the published ones, and small ones for a CPU."""

from dataclasses import dataclass

from ganneal.models.ddgan_discriminator import COMPARED, DDGAN_LAYOUTS, DDGANDiscriminator, DDGANLayoutName
from ganneal.models.ddgan_generator import DDGANGenerator, Sizes
from ganneal.models.parts.checks import check_unconditional
from ganneal.models.parts.grid import grid_of
from ganneal.models.parts.times import check_even
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

DDGAN_BASES = range(1, 65)
"""Pixels of the shorter side at the lowest resolution of both players."""


@dataclass(frozen=True)
class DDGAN:
    """Players of one step of a diffusion of square images of 8 to 256 px, for the task 'denoising'.

    The published ones are ``DDGAN(128, (1, 2, 2, 2), 2, latent_size=100, style_size=256, mapping_layers=4, d_width=64,
    d_time_size=256)`` for CIFAR-10 and ``DDGAN(64, (1, 1, 2, 2, 4, 4), 2, latent_size=100, style_size=256,
    mapping_layers=3, d_width=64, d_time_size=256, d_layout="large")`` at 256 px. The defaults are small.

    Symbols: nf -> ``width``, m -> ``multipliers``, nz -> ``latent_size``, n_mlp -> ``mapping_layers``, ngf ->
    ``d_width``, t_emb -> ``d_time_size``.

    References:
        Xiao et al., Tackling the Generative Learning Trilemma with Denoising Diffusion GANs, 2022; the generator after
        Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, 2021 (NCSN++).
    """

    width: int = 32
    multipliers: tuple[int, ...] = (1, 2)
    """Factors on the width, at the images' own size and each half of it."""
    blocks: int = 1
    """Blocks of the generator at each size; one more on the way up."""
    attention: int | None = 8
    """Pixels a side where the generator attends to all of the image, beside its smallest size; None for nowhere else.
    The published ones attend at 16."""
    latent_size: int = 32
    style_size: int = 64
    mapping_layers: int = 2
    pyramid: bool = True
    """Give the generator the noisier sample at every size; False is an ablation."""
    d_width: int = 16
    d_time_size: int = 64
    d_layout: DDGANLayoutName = "small"
    """ "small" halves three times, "large" six times: the published ones up to 64 px, and at 256."""
    checkpointing: bool = False
    """Compute the inside of every block again when it is differentiated, which takes less memory and more time; for
    256 px."""

    def __post_init__(self) -> None:
        check_at_least_one(
            blocks=self.blocks,
            latent_size=self.latent_size,
            style_size=self.style_size,
            mapping_layers=self.mapping_layers,
            d_width=self.d_width,
        )
        check_even(width=self.width, d_time_size=self.d_time_size)
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers must be whole numbers above 0, one a size, got {self.multipliers}.")
        check_choices(self)

    @property
    def recompute(self) -> bool:
        """``checkpointing`` by the name that other families have for it, which recorded passes refuse."""
        return self.checkpointing

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        check_unconditional("DDGAN", num_classes)
        if len(shape) == 3:
            self._check_size(min(shape[1:]))
        # The player that halves more often decides which sizes divide.
        halvings = max(len(self.multipliers) - 1, sum(DDGAN_LAYOUTS[self.d_layout].halved))
        grid_of("DDGAN", shape, [halvings], DDGAN_BASES)
        sizes = Sizes(
            widths=tuple(self.width * times for times in self.multipliers),
            blocks=self.blocks,
            latents=self.latent_size,
            style=self.style_size,
            mapping=self.mapping_layers,
            attention=self.attention,
            pyramid=self.pyramid,
            lean=self.checkpointing,
        )
        layout = DDGAN_LAYOUTS[self.d_layout]
        return ModelPair(
            DDGANGenerator(shape, sizes),
            DDGANDiscriminator(shape, self.d_width, self.d_time_size, layout, self.checkpointing),
            Normal(self.latent_size),
            shape,
            denoises=True,
            # The minibatch deviation compares four samples at a time.
            judged_together=COMPARED,
        )

    def _check_size(self, size: int) -> None:
        levels, halvings = len(self.multipliers), sum(DDGAN_LAYOUTS[self.d_layout].halved)
        if size >> (levels - 1) < 1:
            raise ValueError(f"multipliers must be at most {size.bit_length()} at {size} px, got {levels}.")
        if size >> halvings < 1:
            raise ValueError(
                f"d_layout {self.d_layout!r} halves {halvings} times and needs at least {2**halvings} px, got {size}; "
                f"use 'small'."
            )
        sizes = [size >> level for level in range(levels)]
        if self.attention is not None and self.attention not in sizes:
            raise ValueError(f"attention must be one of {sizes} or None at {size} px, got {self.attention}.")
