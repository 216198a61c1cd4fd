"""LSUN as it is distributed: an LMDB of encoded images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from ganneal.data.decode.images import Damaged, shown
from ganneal.data.decode.listing import Listing, PartReader, check_found, stamp, version
from ganneal.data.decode.loading import Encoded
from ganneal.data.finding import find_data
from ganneal.data.identity import files_at
from ganneal.registry import optional_module

LMDB_FILE = "data.mdb"
_OPEN: dict[str, tuple[Any, int]] = {}
_LOCK = Lock()


@dataclass(frozen=True)
class LmdbImages:
    """The values of the LMDB in the folder ``root``, named by their keys."""

    root: str
    single: ClassVar[bool] = True

    @contextmanager
    def open(self) -> Iterator[PartReader]:
        with _environment(self.root) as environment:

            def read(name: str, most: int = -1) -> bytes:
                # A transaction for each read, as no two threads may share one.
                with environment.begin() as view:
                    content = view.get(name.encode("latin1"))
                if content is None:
                    raise Damaged("it is not there any more")
                # LMDB gives a whole value at once, so `most` saves nothing.
                return content

            yield read


@dataclass(frozen=True)
class LSUN(Encoded):
    """Images of one category of LSUN, without labels, in the order of their keys; needs the extra ``ganneal[lsun]``.

    ``path`` is an unpacked folder with ``data.mdb``, as ``bedroom_train_lmdb``.

    References:
        Yu et al., LSUN: Construction of a Large-scale Image Dataset using Deep Learning with Humans in the Loop,
        arXiv 1506.03365.
    """

    path: str = "bedroom_train_lmdb"

    def listing(self) -> Listing:
        root = find_data(self.path)
        names = _keys(root)
        check_found(names, {}, root)
        return Listing(
            # Resolved: the same folder by another path must not be opened a second time.
            LmdbImages(str(root.resolve())),
            root,
            names,
            stamp([root.resolve(), *version((root / LMDB_FILE).stat())]),
            description={"name": shown(root.name), "count": len(names), "licence": "none stated; cite Yu et al., 2015"},
            origin=files_at([root / LMDB_FILE]),
        )


def _keys(root: Path) -> list[str]:
    import_lmdb()
    try:
        with _environment(str(root.resolve())) as environment, environment.begin() as view:
            # latin1 turns any bytes into text and back without loss.
            return [key.decode("latin1") for key in view.cursor().iternext(keys=True, values=False)]
    except Exception as error:  # lmdb's own types, which derive from nothing narrower
        raise ValueError(
            f"{shown(str(root))} must be a folder with a whole {LMDB_FILE} ({error}); "
            f"unpack it again, or give another path."
        ) from error


def import_lmdb() -> Any:
    """The module ``lmdb``."""
    return optional_module("lmdb", "LSUN", "lsun")


@contextmanager
def _environment(root: str) -> Iterator[Any]:
    """The LMDB in ``root``, open once for all who read it at a time: it must not be opened twice in a process."""
    with _LOCK:
        environment, users = _OPEN.get(root) or (
            # No lock file, as the folder may be read-only and nobody writes; no read-ahead, as images are read in
            # random order.
            import_lmdb().open(root, readonly=True, create=False, lock=False, readahead=False, meminit=False),
            0,
        )
        _OPEN[root] = environment, users + 1
    try:
        yield environment
    finally:
        with _LOCK:
            environment, users = _OPEN.pop(root)
            if users > 1:
                _OPEN[root] = environment, users - 1
            else:
                environment.close()
