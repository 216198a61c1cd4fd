"""Table I of the NATS paper: median distances between images, and from images to noise. Nothing is trained for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ganneal.data import Encoded
from ganneal.data.tools.pairwise import median_pairwise_distance, noise_like
from ganneal.reproduction.datasets import PUBLISHED_DATA, needed, source
from ganneal.reproduction.table import Reported
from ganneal.wording import markdown_table, number

TITLE = "Table I. Median pairwise distances"
# Data set, pixels a side, D1, D2. The paper states no unit; RGB in [-1, 1] and the Euclidean norm, not its square, fit
# its numbers.
TABLE_I = """
cifar10 32 38 62
celeba 64 80 130
lsun-tower 64 80 125
lsun-church 64 75 125
lsun-bedroom 64 76 124
lsun-tower 256 335 520
lsun-church 256 330 515
"""


@dataclass(frozen=True)
class Distances:
    """One row: a data set at a size, D1 between its images and D2 from them to normal noise."""

    dataset: str
    size: int
    d1: Reported
    d2: Reported

    def measured(self, path: str | None = None, count: int = 2_000) -> tuple[float, float]:
        """D1 and D2 of at most ``count`` images at ``path``, or of the data where it is looked for.

        Raises:
            FileNotFoundError: The data is not there.
        """
        data = source(self.dataset, path)
        # Rows of 64 and of 256 px are read from the same files.
        if isinstance(data, Encoded):
            data = replace(data, size=self.size)  # type: ignore[type-var]
        images = data.load().samples
        # D2 is to "initial synthesised samples"; normal noise in every pixel fits the printed values within 7 %.
        noise = noise_like(images.shape[1:], count=count)
        return median_pairwise_distance(images, count=count), median_pairwise_distance(images, noise, count=count)


def _row(line: str) -> Distances:
    dataset, size, d1, d2 = line.split()
    return Distances(dataset, int(size), Reported(d1), Reported(d2))


DISTANCE_ROWS = tuple(map(_row, TABLE_I.strip().splitlines()))


def distances_table(paths: Mapping[str, str], count: int = 2_000) -> str:
    """The table as Markdown: reported beside measured, rows without data saying what they need."""
    rows = []
    for row in DISTANCE_ROWS:
        try:
            d1, d2 = map(number, row.measured(paths.get(row.dataset), count))
        except FileNotFoundError:
            d1, d2 = f"not run: {needed(row.dataset)}", ""
        rows.append([PUBLISHED_DATA[row.dataset].title, str(row.size), row.d1.text, d1, row.d2.text, d2])
    return markdown_table(["data", "px", "D1, reported", "D1, here", "D2, reported", "D2, here"], rows) + "\n"
