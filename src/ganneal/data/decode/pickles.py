"""Reading pickles of plain values and numpy arrays without running anything they ask for.

A pickle names functions to call and fills objects with state. Here the few names that numpy's arrays need are answered
by classes of this module, which check that state, and every other name ends the reading.
"""

import io
import mmap
import pickle
import pickletools
import sys
from math import prod
from typing import Any, BinaryIO

import numpy as np

# '|' is of single bytes, which have no order; '=' is that of the machine at hand.
BIG_ENDIAN = {"|": False, "<": False, "=": sys.byteorder == "big", ">": True}
NUMBER_KINDS = "biuf"
PLACES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
"""Operations that put something at a place of their choice in the list of what may be named again."""


class _Type:
    """Stands for a dtype of numbers; its state may only set the byte order."""

    def __init__(self, code: Any, *_: Any):
        self.dtype = np.dtype(_text(code))
        if self.dtype.kind not in NUMBER_KINDS:
            raise pickle.UnpicklingError(f"arrays of {self.dtype} are not read")

    def __setstate__(self, state: Any) -> None:
        # Version and byte order, then what only structured, nested or padded types have set.
        _, order, *rest = state
        if _text(order) not in BIG_ENDIAN or any(value not in (None, -1, 0) for value in rest):
            raise pickle.UnpicklingError("a dtype has more than a byte order")
        # The code, as in i4, has no byte order of its own; it comes in the state.
        self.dtype = self.dtype.newbyteorder(">" if BIG_ENDIAN[_text(order)] else "<")


class _Array:
    """Stands for an array, which is made from its bytes."""

    value: np.ndarray

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        # The state as numpy writes it: version, shape, type, whether columns come first, bytes.
        _, shape, kind, by_columns, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array is not made of bytes")
        if prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(content):,} bytes")
        # frombuffer on bytes gives a read-only array that shares their memory: nothing is copied.
        self.value = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if by_columns else "C")


class _Bytes:
    """Stands for `codecs.encode`, by which Python 3 writes bytes in old pickles."""

    def __new__(cls, text: Any, encoding: Any) -> Any:
        if encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"the encoding {encoding!r} is not read")
        # Not an object of this class: the pickle calls it as it would call the function, and takes the result.
        return text.encode("latin1")


# numpy 2 writes numpy._core, numpy 1 wrote numpy.core.
ANSWERS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Bytes,
}
"""Stand-ins for each function or class that a pickle may name."""


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        # Here an attack would begin: a pickle may name `os.system`, which the standard reader would import and call.
        if (module, name) not in ANSWERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs; nothing of it was run")
        return ANSWERS[module, name]


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """``value`` with arrays for what stands for them; what it names twice is copied once.

    Args:
        done: The copies so far by the `id` of what was copied; None of one that is being made.
    """
    match value:
        case _Array():
            return value.value
        case dict() | list():
            if id(value) not in done:
                done[id(value)] = None
                done[id(value)] = (
                    {_plain(key, done): _plain(item, done) for key, item in value.items()}
                    if isinstance(value, dict)
                    else [_plain(item, done) for item in value]
                )
            if (copied := done[id(value)]) is None:
                raise pickle.UnpicklingError("a list or dict holds itself")
            return copied
        case None | bool() | int() | float() | str() | bytes():
            return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")


def _check_claims(content: mmap.mmap | bytes) -> None:
    """Refuse lengths and places beyond the end: the reader reserves memory for them before it looks."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    # which stops at a length beyond the end by itself
    for opcode, argument, place in pickletools.genops(file):  # type: ignore[arg-type]
        if opcode.name in PLACES and not 0 <= int(argument or 0) <= (place or 0):
            raise pickle.UnpicklingError(f"it puts something at {argument:,} of a list that cannot be so long")
        if opcode.name == "FRAME" and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"a part of it claims {argument:,} bytes")


def load_pickle(name: str, content: bytes | BinaryIO) -> Any:
    """The value of a pickle of dicts, lists, plain values and arrays of numbers; text of Python 2 comes as bytes.

    From an open file, arrays are in memory once.

    Raises:
        ValueError: It is damaged or asks for anything else; nothing that it asks for is run.
    """
    try:
        if isinstance(content, bytes):
            _check_claims(content)
            return _plain(_Unpickler(io.BytesIO(content), encoding="bytes").load(), {})
        # Mapped, so that going through the operations takes no memory for a file of gigabytes.
        with mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            _check_claims(mapped)
        # Bytes, as Python 2 wrote pixels as text: any encoding of text would refuse or change them.
        return _plain(_Unpickler(content, encoding="bytes").load(), {})
    except Exception as error:  # a damaged pickle makes the reader raise almost any type
        raise ValueError(f"{name} cannot be read as a pickle of arrays ({error}); download it again.") from error


def load_batch(name: str, content: bytes | BinaryIO) -> dict[str, Any]:
    """The entries of a pickled dict by name, which Python 2 writes as bytes; none where it is no dict."""
    # Python 2 wrote these pickles: keys come as bytes, and as text where somebody has written the file again.
    batch = load_pickle(name, content)
    items = batch.items() if isinstance(batch, dict) else ()
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in items}
