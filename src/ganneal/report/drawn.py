"""Pictures that need the trained generator: nearest real images, interpolations, the same latents under each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from jaxtyping import Float
from markupsafe import Markup
from torch import Tensor

from ganneal.data import Dataset
from ganneal.evaluation.read_again import training_data
from ganneal.inference.loading import TrainedGenerator
from ganneal.inference.walk import great_circle
from ganneal.metrics import pixel_features
from ganneal.metrics.distances import nearest_distances
from ganneal.report.figures import MUTED, Chart, series
from ganneal.report.pictures import Picture, page_picture
from ganneal.report.records import RunRecord
from ganneal.storage.pictures import image_grid
from ganneal.storage.run_directory import RunDirectory

SEED = 20
"""Seed of every latent drawn for a page; the samples over time have their own."""
NUM_SHOWN = 8
NUM_NEAREST = 3
PROBES = 64
"""Samples, and real images, whose distances to the data are put side by side."""
SEARCHED = 60_000
SEARCHED_TOGETHER = 2_000
SIZE = 32
"""Larger images are averaged to so many pixels a side before they are compared."""
PATH_ROWS, PATH_STEPS = 6, 8
PATHS = 12


@dataclass(frozen=True)
class Neighbours:
    """Samples beside the real images nearest to them."""

    samples: Picture
    nearest: Picture
    sample_distance: float
    """Median distance of a sample to the nearest real image, root mean square of 255 grey levels."""
    real_distance: float
    """The same from a real image to the nearest other one."""
    searched: int
    available: int


def load_data(run: RunRecord, path: str | None = None) -> Dataset:
    """The data the run was trained on.

    Args:
        path: Where it lies; None looks where it was, and where it lay from the run.
    Raises:
        FileNotFoundError: It is not there.
        ValueError: Its source is not registered, or it is not what the run was trained on.
    """
    return training_data(RunDirectory(run.path), path=path).dataset


def _nearest_in(
    queries: Float[Tensor, "n features"], dataset: Dataset, rows: np.ndarray, k: int
) -> tuple[Float[Tensor, "n k"], np.ndarray]:
    """Distances to, and rows of, the ``k`` nearest of the data's ``rows``, a part of them in memory at a time."""
    # Grow to [n, k], the best of all parts seen so far.
    distances, found = torch.empty(len(queries), 0, dtype=torch.float64), np.empty((len(queries), 0), dtype=np.int64)
    for part in np.array_split(rows, max(1, len(rows) // SEARCHED_TOGETHER)):
        features = _features(dataset, part)
        near, places = nearest_distances(queries, features, k=min(k, len(part)))
        distances = torch.cat([distances, near], dim=1)
        found = np.concatenate([found, part[places.numpy()]], axis=1)
        # The best k of what was found so far and of this part: memory for one part, whatever the size of the data.
        order = distances.argsort(dim=1, stable=True)[:, :k]
        distances, found = distances.gather(1, order), np.take_along_axis(found, order.numpy(), axis=1)
    return distances, found


def _images(dataset: Dataset, rows: np.ndarray) -> Float[Tensor, "n c h w"]:
    # The inverse of `storage.pictures.to_uint8`, so that real images and samples are compared on one scale.
    return torch.from_numpy(np.ascontiguousarray(dataset.samples[rows])).float() / 127.5 - 1


def _features(dataset: Dataset, rows: np.ndarray) -> Float[Tensor, "n features"]:
    return pixel_features(_images(dataset, rows), size=SIZE)


def neighbours(generator: TrainedGenerator, dataset: Dataset) -> Neighbours | None:
    """The nearest real images in pixel space; None for points, or fewer images than are shown."""
    if not dataset.is_images or len(dataset) <= PROBES:
        return None
    # Spread evenly, as data on disk often lies class by class.
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), SEARCHED)).astype(np.int64))
    probes = np.unique(np.linspace(0, len(rows) - 1, PROBES).astype(np.int64))
    samples = generator.sample(PROBES, SEED)
    drawn = pixel_features(samples, size=SIZE)
    distances, found = _nearest_in(drawn, dataset, rows, NUM_NEAREST)
    # a probe is the nearest to itself, at a distance of 0: the second is the nearest other
    among_real, _ = _nearest_in(_features(dataset, rows[probes]), dataset, rows, 2)
    # Features are pixels in [-1, 1], of which 127.5 grey levels are one unit; over sqrt(d) the norm is a root mean
    # square.
    unit = 127.5 / sqrt(drawn.shape[1])
    # Rank by rank, as the grid is filled row by row: [rank, sample] flattened.
    nearest = np.concatenate([found[:NUM_SHOWN, rank] for rank in range(NUM_NEAREST)])
    return Neighbours(
        page_picture(image_grid(samples[:NUM_SHOWN], NUM_SHOWN), f"{NUM_SHOWN} generated samples in a row"),
        page_picture(
            image_grid(_images(dataset, nearest), NUM_SHOWN),
            f"Below each sample the {NUM_NEAREST} real images nearest to it, the nearest on top",
        ),
        float(distances[:, 0].median()) * unit,
        float(among_real[:, 1].median()) * unit,
        len(rows),
        len(dataset),
    )


@torch.no_grad()
def _along(generator: TrainedGenerator, rows: int, steps: int) -> Tensor:
    """Samples along ``rows`` arcs, each under one condition: ``[rows * steps, ...]``."""
    random = torch.Generator().manual_seed(SEED)
    ends = generator.latent.sample(2 * rows, random)
    drawn = []
    for row in range(rows):
        # Halfway on the straight line normal latents are shorter by a factor sqrt(2) than those of training; along the
        # sphere they are not.
        latents = great_circle(ends[2 * row], ends[2 * row + 1], steps)
        # One class for a row, or images would change by their class and not along the latents.
        condition = generator.condition(1, random)
        held = tuple(c.expand(steps, *c.shape[1:]) for c in condition)
        drawn.append(generator.task.sample(generator.generator, latents, held, random).float().cpu())
    return torch.cat(drawn)


def interpolation(generator: TrainedGenerator) -> Picture:
    """Rows of images between two latents each."""
    images = _along(generator, PATH_ROWS, PATH_STEPS)
    return page_picture(
        image_grid(images, PATH_STEPS),
        f"{PATH_ROWS} rows of {PATH_STEPS} generated images, each row from one latent to another",
    )


def paths(generator: TrainedGenerator, real: np.ndarray) -> Markup:
    """Paths of points in the plane between two latents each, over real points."""
    steps = 60
    # [path, step, coordinate]; of more than two coordinates the first two.
    points = _along(generator, PATHS, steps)[:, :2].view(PATHS, steps, 2).numpy()
    chart = Chart("paths", width=3.75, height=3.75)
    chart.axes.plot(real[:, 0], real[:, 1], ".", markersize=2.5, color=MUTED, alpha=0.5, label="real")
    for index, path in enumerate(points):
        line = series(0) | {"linestyle": "-", "linewidth": 1.1}
        chart.axes.plot(path[:, 0], path[:, 1], label="generated, latent to latent" if index == 0 else None, **line)
        chart.axes.plot(path[[0, -1], 0], path[[0, -1], 1], "o", markersize=3.5, color=line["color"])
    chart.axes.set_aspect("equal")
    return chart.svg(f"{PATHS} paths of generated points between two latents each, over real points.")


def same_latents(generators: Sequence[TrainedGenerator | None], count: int = NUM_SHOWN) -> list[Picture | None]:
    """One row of samples for each generator, all from the same seed; None where there is no generator of images."""
    rows: list[Picture | None] = []
    for generator in generators:
        if generator is None or len(generator.shape) != 3:
            rows.append(None)
            continue
        classes = generator.num_classes
        # The same classes in every row, which a draw by the shares of each run's data would not give.
        labels = [index % classes for index in range(count)] if classes else None
        images = generator.sample(count, SEED, labels=labels)
        rows.append(page_picture(image_grid(images, count), f"{count} samples from the same latents"))
    return rows
