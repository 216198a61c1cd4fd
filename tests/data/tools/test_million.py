"""A million images: listed within a minute, in memory that does not know how large the images are."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COUNT = 1_000_000

LIST = """
import json, resource, sys
from time import process_time
from ganneal.data import source_at
from ganneal.data.tools.inspection import survey
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = process_time()
listing = source_at(sys.argv[1]).listing()
listed = process_time() - start
found = survey(source_at(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds, megabytes = process_time() - start, (peak - before) / 1e6
figures = [len(listing.names), listing.classes.num_classes, found.side, listed, seconds, megabytes]
print(json.dumps(figures))
"""


def write_zip(path: Path, content: bytes, count: int) -> None:
    """``count`` stored members of the same bytes in ten folders, with the zip64 end; zipfile takes minutes."""
    checksum, size = zlib.crc32(content), len(content)
    central = bytearray()
    with open(path, "wb") as file:
        for index in range(count):
            name = f"{index % 10}/{index:08d}.png".encode()
            fields = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, checksum, size, size, len(name), 0)
            central += (
                b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHLL", 0, 0, 0, 0, file.tell()) + name
            )
            file.write(b"PK\3\4" + fields + name + content)
        start = file.tell()
        file.write(central)
        end = file.tell()
        numbers = struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count, end - start, start)
        file.write(b"PK\6\6" + numbers + b"PK\6\7" + struct.pack("<LQL", 0, end, 1))
        file.write(b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


@pytest.mark.slow
def test_a_million_images_of_64_px_are_listed_within_a_minute(tmp_path: Path) -> None:
    picture = io.BytesIO()
    ramp = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3) // 48
    Image.fromarray(ramp.astype(np.uint8)).save(picture, "PNG", optimize=True)
    write_zip(tmp_path / "million.zip", picture.getvalue(), COUNT)
    result = subprocess.run(
        [sys.executable, "-c", LIST, str(tmp_path / "million.zip")], capture_output=True, text=True, check=True
    )
    count, classes, side, listed, surveyed, gigabytes = json.loads(result.stdout)
    print(f"listed in {listed:.1f} s, looked at in {surveyed:.1f} s of the processor, {gigabytes:.2f} GB at most")
    assert (count, classes, side) == (COUNT, 10, 64)  # ten class folders
    assert surveyed < 60 and gigabytes < 1.5
