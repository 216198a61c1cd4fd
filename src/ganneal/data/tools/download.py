"""Downloading the original files of small data sets, checked by the checksums their authors publish."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from ganneal.storage.atomic import write_bytes

LARGEST_DOWNLOAD = 2**28


@dataclass(frozen=True)
class Download:
    """A data set's files: where they are, and each name with its MD5."""

    address: str
    files: tuple[tuple[str, str], ...]
    then: str = "ganneal train {folder}"
    """Commands that use the files in ``folder``, a line each."""
    then_named: str = ""
    """The command that finds them where `ganneal data fetch` writes; empty where no experiment names the set."""


DOWNLOADS: dict[str, Download] = {
    "mnist": Download(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        "ganneal train {folder}\nganneal train mnist-nats --data.path {folder} --records.held-out.path {folder}",
        "ganneal train mnist-nats",
    ),
    "fashion-mnist": Download(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    "cifar10": Download(
        "https://www.cs.toronto.edu/~kriz/",
        (("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
        "ganneal train {folder}\nganneal train cifar10-nats --data.path {folder}",
        "ganneal train cifar10-nats",
    ),
    "cifar100": Download(
        "https://www.cs.toronto.edu/~kriz/",
        (("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
    ),
}


def fetch_files(download: Download, out: Path, *, address: str | None = None) -> list[Path]:
    """Download every file into the folder ``out``; one that is there already and whole is left as it is.

    Args:
        address: A mirror that ends where file names begin; what comes is checked all the same.
    Raises:
        OSError: There is no connection, or no such file; files before it stay.
        ValueError: What came is another file, which is not written.
    """
    paths = []
    for name, md5 in download.files:
        path = out / name
        paths.append(path)
        # MD5 because the authors publish no other checksum; it finds broken downloads, not forgeries.
        if path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5:
            continue
        url = (address or download.address) + name
        content = downloaded(url, name, LARGEST_DOWNLOAD)
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise ValueError(f"{url} is not the published {name}: its MD5 must be {md5}, got {found}; try a mirror.")
        write_bytes(path, content)
    return paths


def downloaded(url: str, name: str, most: int, progress: Callable[[int], None] = lambda done: None) -> bytes:
    """The content of ``url``, at most a byte more than ``most``: enough to see that it is too long.

    Args:
        name: Of the file that should be there, for the message.
        progress: Called with the number of bytes that have come.
    Raises:
        OSError: There is no connection, or no such file.
    """
    # Ours, since torch.hub.download_url_to_file has no limit of bytes or of time, and knows SHA-256 alone.
    data = bytearray()
    try:
        with urlopen(url, timeout=30) as response:
            # In pieces, so that progress can be shown and a page that never ends is noticed.
            while len(data) <= most and (part := response.read(min(1 << 20, most + 1 - len(data)))):
                data += part
                progress(len(data))
    except (OSError, ValueError, HTTPException) as error:  # ValueError: not an address at all
        # The error of HTTP is an open response as well.
        if isinstance(error, HTTPError):
            error.close()
        raise OSError(
            f"cannot download {url} ({getattr(error, 'reason', error)}); copy {name} from a machine with a network, or "
            f"give --url."
        ) from error
    return bytes(data)
