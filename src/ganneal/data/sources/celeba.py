"""CelebA as it is distributed: a folder or zip of aligned faces, with lists of attributes and parts beside it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ganneal.data.decode.images import OnDamaged, shown
from ganneal.data.decode.labels import ClassLabels
from ganneal.data.decode.listing import Listing, check_found, folder_description, labelled
from ganneal.data.decode.loading import Encoded
from ganneal.data.finding import find_data
from ganneal.data.identity import SampleSubset
from ganneal.data.sources.archive import list_zip
from ganneal.data.sources.folder import list_folder
from ganneal.registry import lookup

IMAGES = ("img_align_celeba", "Img/img_align_celeba", "img_align_celeba.zip", "Img/img_align_celeba.zip")
"""Folder of the faces. Kaggle's folder has a second of the same name in it."""
ATTRIBUTES = tuple(f"{folder}list_attr_celeba.{kind}" for folder in ("", "Anno/") for kind in ("txt", "csv"))
PARTITION_LISTS = tuple(f"{folder}list_eval_partition.{kind}" for folder in ("", "Eval/") for kind in ("txt", "csv"))
SPLITS = ("train", "valid", "test")

Split = Literal["train", "valid", "test", "all"]


@dataclass(frozen=True)
class CelebA(Encoded):
    """Aligned faces, labelled 1 where they have one of the 40 attributes, else 0.

    The folder holds ``img_align_celeba`` (or the zip), ``list_attr_celeba.txt`` or Kaggle's ``.csv``, and perhaps
    ``list_eval_partition``. The middle 178 x 178 pixels of 178 x 218 are resampled. A folder or zip of faces alone is
    read too, without labels.

    References:
        Liu et al., Deep Learning Face Attributes in the Wild, ICCV 2015.
    """

    path: str = "celeba"
    attribute: str | None = "Male"
    """Attribute that labels the faces; None for no labels."""
    split: Split | None = None
    """A part of the list of parts, or all; None is the training part where that list is there, else all."""

    def listing(self) -> Listing:
        root = find_data(self.path)
        images = _beside(root, IMAGES)
        distributed, images = images is not None, images or root
        found = list_folder(images) if images.is_dir() else list_zip(images)
        listing = replace(found, classes=ClassLabels(), description={})  # those of a sub-folder are not the faces'
        listing = _of_part(listing, _beside(root, PARTITION_LISTS), self.split, root)
        if self.attribute is not None:
            listing = _with_attribute(listing, _beside(root, ATTRIBUTES), self.attribute, self.on_damaged, root)
        count = len(listing.names)
        if not distributed:
            return replace(listing, description=folder_description(root, count))
        name, licence = "CelebA", "non-commercial research only; cite Liu et al., 2015"
        name += "" if self.split is None else f" ({self.split})"
        return replace(listing, description={"name": name, "count": count, "licence": licence})


def is_celeba(root: Path) -> bool:
    """True if the folder ``root`` holds the faces and their attributes."""
    return _beside(root, IMAGES) is not None and _beside(root, ATTRIBUTES) is not None


def _beside(root: Path, names: tuple[str, ...]) -> Path | None:
    # The first that is there: a folder stands before the zip that it may have been unpacked from.
    return next((root / name for name in names if (root / name).exists()), None)


def _of_part(listing: Listing, parts: Path | None, split: Split | None, root: Path) -> Listing:
    if split == "all" or (split is None and parts is None):
        return listing
    if parts is None:
        raise ValueError(
            f"split {split!r} needs {PARTITION_LISTS[0]} in {shown(str(root))}; add it, or give split 'all'."
        )
    # The list writes 0 for training, 1 for validation and 2 for test images.
    number = SPLITS.index(split or "train")
    part = _by_image(parts, None)
    kept = [name for name in listing.names if part.get(_stem(name)) == number]
    check_found(kept, {}, parts)
    return replace(listing, names=kept, origin=SampleSubset(listing.origin, kept))


def _with_attribute(listing: Listing, path: Path | None, attribute: str, on_damaged: OnDamaged, root: Path) -> Listing:
    if path is None:
        lacking = f"attribute {attribute!r} needs {' or '.join(ATTRIBUTES[:2])} in {shown(str(root))}; add it"
        return listing.classed(ClassLabels(unusable=lacking))
    values = _by_image(path, attribute)
    # The list writes 1 and -1.
    listed = {name: int(values[_stem(name)] > 0) for name in listing.names if _stem(name) in values}
    return labelled(listing, listed, (f"not {attribute}", attribute), shown(str(path)), on_damaged == "skip")


def _stem(name: str) -> str:
    # Lists name .jpg files also where the images are .png.
    return name.rpartition("/")[2].rpartition(".")[0]


def _by_image(path: Path, column: str | None) -> dict[str, int]:
    """Whole numbers by image from a list parted by spaces or commas: those of one column, of the first where None."""
    values: dict[str, int] = {}
    # A part of the faces is the only number of its row; which column is an attribute the row of names alone says.
    position = 1 if column is None else None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = line.replace(",", " ").split()
            if len(row) < 2:  # how many images there are, or nothing
                continue
            # The row of attribute names: the text form has one column less in it than in the rows below, Kaggle's names
            # the first image_id.
            if not row[-1].lstrip("-").isdecimal():
                names = [name for name in row if name != "image_id"]
                position = 1 + _position(names, column, path)
                continue
            if position is None:
                raise ValueError(f"{shown(str(path))} has no row that names the attributes; download it again.")
            try:
                values[_stem(row[0])] = int(row[position])
            except (IndexError, ValueError) as error:
                raise ValueError(f"{shown(str(path))} is damaged in line {number}; download it again.") from error
    return values


def _position(names: list[str], column: str | None, path: Path) -> int:
    if column is None:
        return 0
    return lookup(f"attribute of {path.name}", {name: index for index, name in enumerate(names)}, column)
