"""Mean and covariance of real images' features as a file, in the layout that programs for FID exchange.

An ``.npz`` holds ``mu`` [d] and ``sigma`` [d, d], as pytorch-fid writes them and ADM's reference batches hold them
beside images. Files written here also hold ``about``: which network, how many images of which shape, how they were
resized.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.data.decode.npy import array_headers, holds_statistics, read_member
from ganneal.metrics.moments import Moments
from ganneal.storage.atomic import write_bytes

STATISTICS_FORMAT = 1
ROUNDING = 1e-5
"""Part of the largest entry or eigenvalue that float32 files may be off by."""


@dataclass(frozen=True)
class StatisticsCard:
    """The card of a file written here."""

    count: int
    """Images."""
    shape: tuple[int, ...]
    """Shape of one image, channels first."""
    dataset: str
    sha256: str
    """Hash of the images' bytes."""
    transform: str
    """Crop and resize of the images."""
    extractor: Mapping[str, Any]
    """The facts of the network, `extractors.protocol.extractor_facts`."""
    config: Mapping[str, Any]
    """Its encoded configuration."""

    @classmethod
    def of(cls, stored: Any) -> "StatisticsCard":
        """The inverse of `asdict`, from JSON.

        Raises:
            ValueError: ``stored`` is of another format, or no card.
        """
        try:
            if stored.pop("format") != STATISTICS_FORMAT:
                raise ValueError(f"it is not of format {STATISTICS_FORMAT}")
            return cls(**stored | {"shape": tuple(stored["shape"])})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"its card is damaged ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, eq=False)
class StoredMoments:
    """The content of a file of statistics."""

    mean: Float64[Tensor, " d"]
    covariance: Float64[Tensor, "d d"]
    count: int | None
    """Images that they are of; None where nobody says."""
    sha256: str
    """Hash of the images' bytes where the file says it, else of the statistics."""
    card: StatisticsCard | None = None


def holds_moments(path: str | Path) -> bool:
    """True if ``path`` is an ``.npz`` file with ``mu`` and ``sigma``."""
    return Path(path).suffix.lower() == ".npz" and Path(path).is_file() and holds_statistics(array_headers(Path(path)))


def write_moments(path: Path, moments: Moments, card: StatisticsCard) -> None:
    """Write the mean and the covariance, with a ``card`` of what they are of.

    Raises:
        OSError: ``path`` cannot be written; it is as it was.
    """
    about = json.dumps({"format": STATISTICS_FORMAT, **asdict(card)})
    buffer = io.BytesIO()
    # The card is an array of one string, which NumPy reads without pickle.
    np.savez(buffer, mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), about=np.array(about))
    write_bytes(path, buffer.getvalue())


def read_moments(path: str | Path, count: int | None = None) -> StoredMoments:
    """The mean and the covariance in the file ``path``.

    Args:
        count: Number of images they are of, where the file does not say it.
    Raises:
        ValueError: The file is damaged, holds no covariance, or says another count.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            mean, covariance = (read_member(archive, name) for name in ("mu", "sigma"))
            held = {name.removesuffix(".npy") for name in archive.namelist()}
            about = json.loads(read_member(archive, "about").item()) if "about" in held else None
        card = None if about is None else StatisticsCard.of(about)
    except Exception as error:  # a damaged archive makes zipfile raise almost any type
        raise ValueError(f"the statistics in {path} cannot be read ({error}); make the file again.") from error
    if count is not None and count < 2:
        raise ValueError(f"real_count must be at least 2, got {count}; it is the number of images behind {path}.")
    if card is not None and count not in (None, card.count):
        raise ValueError(f"real_count must be left out or {card.count}, which {path} says, got {count}.")
    mu, sigma = _checked(mean, covariance, path)
    # Of the numbers and not of the file: the same statistics zipped anew are the same reference.
    content = hashlib.sha256(mean.tobytes() + covariance.tobytes()).hexdigest()
    if card is None:
        return StoredMoments(mu, sigma, count, content)
    return StoredMoments(mu, sigma, card.count, card.sha256, card)


def _checked(mean: np.ndarray, covariance: np.ndarray, path: str | Path) -> tuple[Tensor, Tensor]:
    """Both in float64, the covariance exactly symmetric."""
    if any(array.dtype.kind not in "fiu" for array in (mean, covariance)):
        raise ValueError(f"mu and sigma in {path} must be numbers, got {mean.dtype} and {covariance.dtype}.")
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not len(mean):
        raise ValueError(
            f"mu and sigma in {path} must have shapes [d] and [d, d], got {list(mean.shape)} and "
            f"{list(covariance.shape)}."
        )
    mu, sigma = (torch.from_numpy(np.array(array, np.float64, order="C")) for array in (mean, covariance))
    if not (mu.isfinite().all() and sigma.isfinite().all()):
        raise ValueError(f"mu and sigma in {path} must be finite, got NaN or infinity; make the file again.")
    # float32 files are symmetric up to their rounding; eigensolvers read one triangle and would not notice.
    symmetric = (sigma + sigma.T) / 2
    values = torch.linalg.eigvalsh(symmetric)
    # eigvalsh gives rising order; rounding of the file scales with the largest.
    largest = float(values[-1].clamp(min=0))
    if (sigma - symmetric).abs().max() > ROUNDING * largest or values[0] < -ROUNDING * largest:
        raise ValueError(
            f"sigma in {path} must be a covariance, symmetric without negative eigenvalues, got eigenvalues from "
            f"{float(values[0]):.3g} to {float(values[-1]):.3g}; a standard deviation or a correlation is none."
        )
    return mu, symmetric
