"""What a set of images looks like, from the headers of its files: no order and no single image decides."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ganneal.data.decode.headers import Header, read_headers
from ganneal.data.decode.images import Damaged
from ganneal.data.decode.listing import Encoded, Listing, settle
from ganneal.data.protocol import Source
from ganneal.data.sources.arrays import Arrays

MOST, FEWER = 10_000, 1_000
"""Headers that are read, evenly spread, where not all are asked for; fewer where each is read with its neighbours."""
LARGEST_SEVENFOLD = 224


def usual_size(side: int) -> int:
    """The largest side that networks are built for and images of that ``side`` fill: 2^n, or 14, 28, 56, 112, 224.

    >>> [usual_size(side) for side in (1, 27, 28, 30, 63, 100, 230, 1_000)]
    [1, 16, 28, 28, 56, 64, 224, 512]
    """
    sevens = [7 * 2**n for n in range(1, 6)]
    return max(2 ** (side.bit_length() - 1), *(size for size in (0, *sevens) if size <= side))


@dataclass(frozen=True)
class Survey:
    """Figures about a set of images."""

    count: int
    """Images in the set."""
    headers: Mapping[Header, int]
    """How many of the images that were looked at have each header."""
    num_classes: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Why images that were looked at cannot be read, by their names."""
    deep: tuple[str, ...] = ()
    """Names of the images of more than 8 bits that were looked at."""
    cut: tuple[str, ...] = ()
    """Names of those of them of which the upper 8 bits alone can be read."""

    @property
    def looked_at(self) -> int:
        """Images whose headers were read."""
        return sum(self.headers.values())

    @property
    def partial(self) -> bool:
        """Whether the figures are those of a sample of the set."""
        return self.looked_at + len(self.damaged) < self.count

    @property
    def sides(self) -> tuple[int, ...]:
        """The shorter sides of the images that were looked at, sorted."""
        return tuple(sorted(side for header, n in self.headers.items() for side in [header.side] * n))

    @property
    def side(self) -> int:
        """The median shorter side."""
        return self.sides[self.looked_at // 2]

    @property
    def num_grey(self) -> int:
        """Images that were looked at and are grey."""
        return sum(n for header, n in self.headers.items() if header.grey)

    @property
    def grey(self) -> bool:
        """Whether all of them are grey: a single image of colours makes a set coloured."""
        return self.num_grey == self.looked_at

    @property
    def channels(self) -> int:
        """Channels to read the set in: 1 where all are grey, else 3."""
        return 1 if self.grey else 3

    @property
    def size(self) -> int:
        """Side to read the set in where no network says another: the `usual_size` for the median image."""
        return usual_size(self.side)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many images have each width and height."""
        found: Counter[tuple[int, int]] = Counter()
        for header, n in self.headers.items():
            found[header.width, header.height] += n
        return found


def survey(source: Source, most: int | None = None) -> Survey:
    """Look at the images of ``source``, which are not decoded where they are files.

    Args:
        most: Headers to read, evenly spread; None for `MOST`, or `FEWER`.
    Raises:
        ValueError: They are no images, or not one can be read.
    """
    if isinstance(source, Encoded):
        listing = source.listing()
        found = survey_files(listing, most)
        if not found.headers:
            damaged = {**listing.damaged, **found.damaged}
            settle(damaged, len(damaged), listing.place, "fail")
        return found
    if isinstance(source, Arrays):  # the range of their values may not be given yet
        values, classes = source.unscaled()
        return _of_arrays(values.shape, classes.num_classes)
    data = source.load()
    return _of_arrays((len(data), *data.shape), data.num_classes)


def _of_arrays(shape: tuple[int, ...], num_classes: int) -> Survey:
    """The survey of images that are one array of ``shape``."""
    if len(shape) != 4:
        raise ValueError(f"data must be images, got points of shape {shape[1:]}; name an experiment for points.")
    count, channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    return Survey(count, {Header(width, height, mode, channels == 1): count}, num_classes)


def survey_files(listing: Listing, most: int | None = None) -> Survey:
    """The survey of the files of ``listing``, of which not one may be readable."""
    headers: Counter[Header] = Counter()
    damaged: dict[str, str] = {}
    deep, cut = [], []
    most = most or (MOST if listing.container.single else FEWER)
    names = listing.names[:: max(1, -(-len(listing.names) // most))]
    for name, found in read_headers(listing, names):
        if isinstance(found, Damaged):
            damaged[name] = str(found)
            continue
        headers[found] += 1
        if found.deep:
            deep.append(name)
        if found.cut:
            cut.append(name)
    return Survey(len(listing.names), headers, listing.num_classes, damaged, tuple(deep), tuple(cut))
