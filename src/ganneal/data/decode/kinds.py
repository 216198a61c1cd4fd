"""Which files are images: by their ending, by their first bytes where the ending says nothing."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache

from PIL import Image

SIGNED_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "QOI")
"""Pillow's formats that begin with a signature, the usual ones first; they are told apart by content."""
UNSIGNED = ("TGA", "PCX", "SGI", "SUN", "DIB")
"""Formats with no signature or a short one; a file is read as one of them only where its ending says so."""
SIGNATURES = (
    rb"\x89PNG\r\n\x1a\n",
    rb"\xff\xd8\xff",
    rb"RIFF....WEBP",
    rb"GIF8[79]a",
    rb"BM.{4}\0\0\0\0",
    rb"(II[*+]\0|MM\0[*+])",
    rb"P[1-7fF]\s(#[^\n]*\n|\s)*\d+\s",
    rb"\0\0\0.ftypavi[fs]",
    rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    rb"qoif",
)
"""First bytes of a file of each format of `SIGNED_FORMATS`; JPEG's serves MPO."""
START = 64
"""Bytes that show a signature."""
OTHER_ENDINGS = frozenset(
    ".txt .json .jsonl .csv .tsv .xml .html .htm .md .rst .yaml .yml .toml .cfg .py .ipynb .sh .log .pdf .ps .eps .svg "
    ".npy .npz .pkl .pt .pth .safetensors .mat .h5 .hdf5 .parquet .arrow .db .zip .tar .gz .tgz .bz2 .xz .7z .rar .mp4 "
    ".avi .mov .mkv .webm .mp3 .wav .doc .docx .xls .xlsx".split()
)
"""Endings that name another kind of file: a look at the content is not worth its time."""
SYSTEM_FILES = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"})
"""Files and folders that operating systems leave, in lower case."""
ENDINGS_NAMED = 8
"""Endings that a message names; the rest are counted together."""


def ending(name: str) -> str:
    """The ending of the file ``name`` in lower case with its dot; empty where it has none.

    >>> ending("a.b/Cat.JPG"), ending("a.b/cat")
    ('.jpg', '')
    """
    base = name.rpartition("/")[2]
    dot = base.rfind(".")
    return base[dot:].lower() if 0 <= dot < len(base) - 1 else ""


def hidden(name: str) -> bool:
    """True if a file or a folder above it is hidden, or left there by an operating system."""
    # '.' and '..' begin with a dot too and hide nothing.
    parts = name.split("/")
    return any(p.lower() in SYSTEM_FILES or (p.startswith(".") and p not in (".", "..")) for p in parts)


@cache
def image_endings() -> Mapping[str, str]:
    """Pillow's format of each ending that is read here, as far as this installation of Pillow can."""
    # Pillow loads its five most usual formats by itself and the others only when asked.
    Image.init()
    readable = {*SIGNED_FORMATS, *UNSIGNED}
    return {suffix: kind for suffix, kind in Image.EXTENSION.items() if kind in readable}


@cache
def formats(suffix: str) -> tuple[str, ...]:
    """Pillow's formats that a file of that ending may have, whatever its content says of itself.

    Formats that run another program, as EPS does, or that hold images of another size than they say are in none.
    """
    Image.init()
    own = image_endings().get(suffix)
    every = (*SIGNED_FORMATS, own) if own in UNSIGNED else SIGNED_FORMATS
    # Pillow may be built without some of its codecs.
    return tuple(kind for kind in every if kind in Image.OPEN)


@cache
def _signature() -> re.Pattern[bytes]:
    kinds = [kind for kind in SIGNED_FORMATS if kind != "MPO"]
    there = set(image_endings().values())
    known = [pattern for kind, pattern in zip(kinds, SIGNATURES, strict=True) if kind in there]
    # DOTALL, as any byte of a length in the middle may be that of a line break.
    return re.compile(b"|".join(b"(?:%s)" % pattern for pattern in known), re.DOTALL)


def begins_as_image(start: bytes) -> bool:
    """True if the first `START` bytes of a file are those of an image format that is read here."""
    return _signature().match(start) is not None


def is_image(name: str, start: Callable[[], bytes]) -> bool:
    """True if the file ``name`` is taken for an image. ``start`` reads its first `START` bytes, if needed."""
    suffix = ending(name)
    if suffix in image_endings():
        return True
    # Only files that no ending explains are opened: a look into each of a million files would take minutes.
    return suffix not in OTHER_ENDINGS and begins_as_image(start())


def by_ending(left_out: Mapping[str, int]) -> str:
    """Counts of files by their ending, the most frequent first.

    >>> by_ending({".txt": 2, "": 5})
    'no ending 5, .txt 2'
    """
    counts = Counter(left_out).most_common()
    # Cut, as the 'ending' of a file with a dot near its start is most of its name.
    shown = [f"{suffix.encode('unicode_escape').decode()[:12] or 'no ending'} {count:,}" for suffix, count in counts]
    if len(shown) > ENDINGS_NAMED:
        shown[ENDINGS_NAMED:] = [f"others {sum(count for _, count in counts[ENDINGS_NAMED:]):,}"]
    return ", ".join(shown)
