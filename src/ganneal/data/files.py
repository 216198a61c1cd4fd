"""The source that fits what lies at a path."""

from pathlib import Path

from ganneal.data.archive import Zip
from ganneal.data.arrays import Arrays
from ganneal.data.folder import Folder
from ganneal.data.images import Damaged, stored_size
from ganneal.data.listing import damage_report
from ganneal.data.protocol import Source


def source_at(place: str | Path, size: int | None = None) -> Source:
    """The source for a folder of images, a .zip, an .npz (key ``images``) or an .npy; ``size`` is for image files.

    Raises:
        FileNotFoundError: There is nothing at ``place``.
        ValueError: It is a file of another kind.
    """
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"no data at {path}; give a folder, a .zip, an .npz or an .npy file.")
    if path.is_dir():
        return Folder(str(path), size=size)
    match path.suffix.lower():
        case ".zip":
            return Zip(str(path), size=size)
        case ".npz":
            return Arrays(str(path), images="images", labels=None)
        case ".npy":
            return Arrays(str(path))
        case suffix:
            raise ValueError(f"path must be a folder, a .zip, an .npz or an .npy file, got {str(path)!r} ({suffix}).")


def stored_sizes(source: Source) -> set[tuple[int, int]]:
    """The sizes (width, height) of a folder's or zip's images as they are stored; empty for arrays.

    Raises:
        ValueError: An image is damaged; the message names it.
    """
    match source:
        case Folder() | Zip():
            listing = source.listing()
        case _:
            return set()
    sizes = set()
    with listing.container.open() as read:
        for name in listing.names:
            try:
                sizes.add(stored_size(read, name))
            except Damaged as error:
                raise ValueError(damage_report({name: str(error)}, len(listing.names), listing.place)) from error
    return sizes
