"""Streams that take every text: signs that an encoding lacks, disks that are full, ends that are closed."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest
from tests.for_each import for_each

from ganneal.storage.streams import Stream, lenient_streams, silence

FULL = Path("/dev/full")


def encoded(encoding: str) -> tuple[io.BytesIO, io.TextIOWrapper]:
    held = io.BytesIO()
    return held, io.TextIOWrapper(held, encoding=encoding, newline="")


@for_each(
    ("encoding", "expected"),
    [
        ("utf-8", "é ≤ 日\\udce9".encode()),
        ("cp1252", b"\xe9 \\u2264 \\u65e5\\udce9"),
        ("ascii", b"\\xe9 \\u2264 \\u65e5\\udce9"),
    ],
)
def test_signs_that_an_encoding_lacks_are_escaped_and_the_others_stay(encoding: str, expected: bytes) -> None:
    held, text = encoded(encoding)
    stream = Stream(text)
    stream.write("é ≤ 日\udce9")
    stream.end()
    assert held.getvalue() == expected and stream.lost is None


@pytest.mark.skipif(not FULL.exists(), reason="no full device")
def test_a_full_disk_is_remembered_and_neither_raised_nor_met_again_at_the_end() -> None:
    with open(FULL, "w") as full:
        stream = Stream(full)
        for _ in range(3):
            stream.write("x" * 100_000)
            stream.flush()
        stream.end()
        assert stream.lost is not None and stream.lost.errno == errno.ENOSPC
    # closing flushed what was left, as Python does where it ends


def test_a_pipe_that_nobody_reads_raises_as_ever() -> None:
    read, write = os.pipe()
    os.close(read)
    pipe = open(write, "w")
    stream = Stream(pipe)
    stream.write("x")
    with pytest.raises(BrokenPipeError):
        stream.flush()
    silence(write)
    pipe.close()


def test_a_closed_stream_takes_text_and_says_that_it_is_lost() -> None:
    stream = Stream(None)
    stream.write("")
    stream.end()
    assert stream.lost is None
    stream.write("x")
    stream.end()
    assert stream.lost is not None and stream.lost.errno == errno.EBADF


def test_print_is_taken_within_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    held, text = encoded("ascii")
    monkeypatch.setattr(sys, "stdout", text)
    with lenient_streams() as streams:
        print("≤", "a", sep="\n")
        assert sys.stdout.encoding == "ascii" and not sys.stdout.isatty()
        streams.out.end()
    assert held.getvalue() == b"\\u2264\na\n"
    assert sys.stdout is text
