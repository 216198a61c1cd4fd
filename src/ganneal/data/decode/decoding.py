"""Encoded images to rows of one file or array, on all cores: threads for few images, processes for many."""

import json
import os
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

import ganneal
from ganneal.data.decode.images import Damaged, Format, Reader, decode_image
from ganneal.data.decode.listing import Listing
from ganneal.data.messages import report
from ganneal.machine import cores
from ganneal.storage.encoding import encode

DECODED_TOGETHER = 64
"""Images decoded between two writes."""
FEWEST_FOR_PROCESSES = 20_000
"""Small images keep one core busy with Python itself, which threads share; processes take seconds to start."""


_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's remarks on odd files, which name none: what is wrong enough is an error."""
    # It changes the whole process, so it stands around the decoding threads and not in each of them.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def decode_chunk(read: Reader, names: Sequence[str], format: Format) -> tuple[np.ndarray, dict[str, str]]:
    """The images ``names`` in order, uint8 ``[n, C, size, size]``, and why some cannot be read, whose rows are 0."""
    # Zeros, not empty memory: the row of a damaged image must hold nothing of what was there before.
    rows = np.zeros((len(names), *format.shape), dtype=np.uint8)
    damaged = {}
    for row, name in zip(rows, names, strict=True):
        try:
            # Into the row that is there already, which the file is written from.
            row[...] = decode_image(read, name, format)
        except Damaged as error:
            damaged[name] = str(error)
    return rows, damaged


def chunks(count: int) -> list[slice]:
    """0..count-1 in parts of at most `DECODED_TOGETHER`."""
    return [slice(start, min(start + DECODED_TOGETHER, count)) for start in range(0, count, DECODED_TOGETHER)]


def in_turn(pool: ThreadPoolExecutor, work: Callable[[_Item], _Outcome], items: Iterable[_Item]) -> Iterator[_Outcome]:
    """Yield ``work`` of each of ``items`` in order, a few items ahead of the reader."""
    waiting: deque[Future[_Outcome]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        # A window, not all at once: what is taken and what is finished wait in memory until their turn comes.
        if len(waiting) > 2 * cores():
            # In order, whichever is finished first: rows must lie as the samples are numbered.
            yield waiting.popleft().result()
    for future in waiting:
        yield future.result()


def decoded_chunks(listing: Listing, format: Format) -> Iterator[tuple[np.ndarray, dict[str, str]]]:
    """Every chunk in order, decoded on threads."""
    parts = chunks(len(listing.names))
    # The threads end before the container is closed: one that still read from it could bring the process down.
    with listing.container.open() as read, quiet(), ThreadPoolExecutor(cores()) as pool:
        made = in_turn(pool, lambda part: decode_chunk(read, listing.names[part], format), parts)
        for part, result in zip(parts, made, strict=True):
            report("decoding images", part.stop, len(listing.names))
            yield result


def decode_to_memory(listing: Listing, format: Format) -> tuple[np.ndarray, dict[str, str]]:
    """Every image that can be read, and why the others cannot."""
    samples = np.empty((len(listing.names), *format.shape), dtype=np.uint8)
    damaged: dict[str, str] = {}
    start = 0
    for rows, wrong in decoded_chunks(listing, format):
        samples[start : start + len(rows)] = rows
        damaged |= wrong
        start += len(rows)
    # Selecting copies, so it is done only where something is damaged: else the set would be in memory twice.
    return (samples[[name not in damaged for name in listing.names]] if damaged else samples), damaged


def decode_to_file(listing: Listing, format: Format, path: Path) -> dict[str, str]:
    """Write every image to the existing file ``path``, one row after another; returns why some cannot be read.

    Memory stays flat: rows are written as they come.

    Raises:
        OSError: The file cannot be written, or a process ended early.
    """
    if len(listing.names) >= FEWEST_FOR_PROCESSES and cores() > 1:
        return _on_processes(listing, format, path)
    damaged: dict[str, str] = {}
    # Not "wb", which would cut the file that has its full length already.
    with open(path, "r+b") as file:
        for rows, wrong in decoded_chunks(listing, format):
            file.write(rows.data)
            damaged |= wrong
    return damaged


def _on_processes(listing: Listing, format: Format, path: Path) -> dict[str, str]:
    count, workers = len(listing.names), cores()
    # Each process writes a stretch of the file of its own, so none waits for another and the file is the same for any
    # number of them.
    bounds = [round(count * index / workers) for index in range(workers + 1)]
    # One thread listens to each process, and this one alone counts and reports.
    said: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    running = [_start(listing, format, path, start, stop) for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
    damaged: dict[str, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            for process in running:
                pool.submit(_listen, process, said)
            done = ended = 0
            while ended < workers:
                # None stands for the end of one process's output.
                if (message := said.get()) is None:
                    ended += 1
                    continue
                done += message["done"]
                damaged |= message["damaged"]
                report("decoding images", done, count)
            for process in running:
                if process.wait() != 0:
                    raise OSError(f"a process that decodes images ended early (status {process.returncode})")
        finally:
            for process in running:
                # Also after an error in one of them: none may go on writing to a file that is about to be deleted.
                process.kill()
                process.wait()
    return damaged


def _start(listing: Listing, format: Format, path: Path, start: int, stop: int) -> subprocess.Popen[str]:
    """A process of its own, not a fork: this one may have threads, and a main module that must not run twice."""
    places = [str(Path(ganneal.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        # -P keeps the current folder out of the search path: a `json.py` among somebody's images must not be run.
        [sys.executable, "-P", "-m", "ganneal.data.decode.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for this process, which ends the others
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places)), "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    order = {
        "container": encode(listing.container),
        "format": encode(format),
        "path": str(path),
        "start": start,
        "names": list(listing.names[start:stop]),
    }
    try:
        # Not as arguments, whose length the system limits: the order may hold a million names.
        json.dump(order, process.stdin)
        process.stdin.close()
    except BrokenPipeError:  # it ended already; its status says so later
        pass
    return process


def _listen(process: subprocess.Popen[str], said: SimpleQueue[dict[str, Any] | None]) -> None:
    try:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                said.put(json.loads(line))
    finally:
        # Also after a line that is no JSON, lest the caller wait for this process for ever.
        said.put(None)
