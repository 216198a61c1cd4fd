"""Pixels as features: no network, no weights, the same on every machine."""

from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def pixel_features(
    images: Float[Tensor, "n c h w"] | Float[Tensor, "n points"], *, size: int = 16
) -> Float64[Tensor, "n features"]:
    """Images area-averaged to at most ``size`` x ``size`` pixels and flattened; toy points [n, d] as is.

    A Fréchet distance on these features is to be called ``FD-pixels16`` (after ``size``), never FID: it sees
    layout, stroke width and colour, and is blind to detail finer than a cell. Compare runs on one data set.

    Args:
        images: In [-1, 1]; not enforced, so that samples moved beyond it can be measured. A side of at most
            ``size`` pixels is kept; cells of a longer side that is no multiple of it overlap by a pixel.
        size: Pixels a side; 16 gives 256 features a channel, so a Fréchet distance needs over 256 samples.
    Returns:
        Features in float64 on the CPU, detached.
    """
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point in [-1, 1], got {images.dtype}; use x / 127.5 - 1.")
    if images.ndim not in (2, 4):
        raise ValueError(
            f"images must have shape [n, c, h, w], or [n, d] for toy points, got {list(images.shape)}; "
            f"add the missing axis."
        )
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}; 16 is the default.")
    values = images.detach().cpu().double()  # .cpu() first, as MPS has no float64
    if values.ndim == 2:
        return values
    height, width = values.shape[-2:]
    # Averaging keeps layout and colour and drops texture, so that a pixel's worth of shift does not look like another
    # image.
    return adaptive_avg_pool2d(values, (min(height, size), min(width, size))).flatten(start_dim=1)
