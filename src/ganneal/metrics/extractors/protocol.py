"""The protocol of extractors, which turn samples into features, and the choice of one."""

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

Maps = Float[Tensor, "n _ _ _"]
"""Images, or channels of features on a grid of pixels."""
RawSamples = UInt8[Tensor, "n c h w"] | Float[Tensor, "n d"]
"""Images as 0..255, quantised as floor(clamp(127.5 x + 128, 0, 255)), or points as they are."""

Precision = Literal["float32", "bf16"]
"""Arithmetic of a network's convolutions and products; weights and features are float32 either way."""


class Extracted(NamedTuple):
    """Output of an extractor for n samples, in float32 on the CPU."""

    features: Float[Tensor, "n d"]
    logits: Float[Tensor, "n k"] | None


@runtime_checkable
class Extractor(Protocol):
    """Samples to features, deterministic and without gradients; everything a record names is a property."""

    @property
    def name(self) -> str:
        """As in ``FD-<name>``."""
        ...

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the weights; None where there are none."""
        ...

    @property
    def layer(self) -> str:
        """Layer of the network that gives the features."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a feature vector."""
        ...

    @property
    def resize(self) -> str:
        """Rule that brings images to the network's size; "none" where they keep their own."""
        ...

    @property
    def input_scaling(self) -> str:
        """Scaling of a pixel value u in 0..255."""
        ...

    @property
    def precision(self) -> Precision:
        """Arithmetic of the network."""
        ...

    def __call__(self, samples: RawSamples) -> Extracted:
        """Features of all samples, in their order; any number of them, in batches where memory asks for it."""
        ...


def extractor_facts(extractor: Extractor) -> dict[str, Any]:
    """Everything that two sets of features must share to be compared, as plain values."""
    names = ("name", "sha256", "layer", "dimensions", "resize", "input_scaling", "precision")
    return {name: getattr(extractor, name) for name in names}


@runtime_checkable
class ExtractorConfig(Protocol):
    """A frozen dataclass that names an extractor; registered in `extractors.EXTRACTORS`."""

    def build(self, shape: tuple[int, ...]) -> Extractor:
        """The extractor, weights loaded, for samples of ``shape``: (C, H, W) or (D,).

        Raises:
            ValueError: It cannot take such samples, or its weights are not what they should be.
            FileNotFoundError: The file of its weights is not where it looks.
        """
        ...
