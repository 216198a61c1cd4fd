"""Feed readers damaged files and count what becomes of each: read, refused by name, or a fault of the reader.

python tests/fuzz/run.py --count 100000 --out FILE goes on where FILE ends; --reader R --only N repeats one input.

Inputs are read in child processes of one parent, a thousand each, so that a reader that crashes costs its child alone.
"""

import argparse
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from mutations import mutated
from readers import CANARY, OUTSIDE, Reader
from saved import OWN, trained

READERS = OUTSIDE | OWN
BATCH = 1_000
MOST_SECONDS = 5.0
"""Of processor time for one input."""
MOST_MEMORY = 2**29
"""Bytes of address space beyond what the process begins with; anything that asks for more is a fault."""
PATIENCE = 120.0
"""Seconds without a next input after which a child has hung in code that no signal reaches."""
SHOWN_FAULTS = 50
WATCHED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class")


class Endless(BaseException):
    """An input took too long; no reader catches this."""


class Executed(BaseException):
    """A reader was about to run what a file asks for."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in WATCHED or (event == "os.mkdir" and str(arguments[0]).endswith(CANARY)):
        raise Executed(f"{event} {arguments}")


def _too_long(signum: int, frame: object) -> None:
    raise Endless


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def outcome(reader: Reader, data: bytes, folder: Path) -> str:
    """``read``, ``refused``, or what is wrong with the reader."""
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        reader.read(data, folder)
        return "read"
    except (ValueError, OSError) as error:
        if _out_of_memory(error):
            return f"out of memory: {error}"
        return "refused" if reader.name in str(error) else f"unnamed: {type(error).__name__}: {error} {_where(error)}"
    except BaseException as error:
        return f"{type(error).__name__}: {error} {_where(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _where(error: BaseException) -> str:
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "ganneal" in frame.filename]
    return f"({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""


def _limited() -> None:
    """This process may take little more memory than it has, and says where time is up."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, _too_long)
    sys.addaudithook(_watch)
    warnings.simplefilter("ignore")


def _child(reader: Reader, seeds: list[bytes], seed: int, numbers: range, folder: Path, place: mmap.mmap) -> None:
    """Read the inputs ``numbers``; ``place`` always holds the present one, and every fault is a line on file."""
    _limited()
    counts: Counter[str] = Counter()
    faults = []
    began = time.process_time()
    for number in numbers:
        struct.pack_into("q", place, 0, number)
        found = outcome(reader, mutated(seed, number, seeds), folder)
        if found not in ("read", "refused"):
            faults.append([number, found[:400]])
            found = "faults"
        counts[found] += 1
    (folder / "batch.json").write_text(
        json.dumps({"counts": counts, "faults": faults, "cpu_seconds": time.process_time() - began})
    )


def batch(reader: Reader, seeds: list[bytes], seed: int, numbers: range, folder: Path) -> dict[str, Any]:
    """What became of the inputs ``numbers``, read in a child; one that ends it is a fault, and the rest follow."""
    place = mmap.mmap(-1, 8)
    struct.pack_into("q", place, 0, numbers.start)
    (folder / "batch.json").unlink(missing_ok=True)
    child = os.fork()
    if not child:
        try:
            _child(reader, seeds, seed, numbers, folder, place)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    status = _waited(child, place)
    if (folder / "batch.json").exists():
        return json.loads((folder / "batch.json").read_text())
    reached = struct.unpack_from("q", place)[0]
    found = {
        "cpu_seconds": 0.0,
        "counts": {"faults": 1},
        "faults": [[reached, f"the process ended with status {status}"]],
    }
    for part in (range(numbers.start, reached), range(reached + 1, numbers.stop)):
        if part:
            found = _added(found, batch(reader, seeds, seed, part, folder))
    return found


def _waited(child: int, place: mmap.mmap) -> str:
    at, since = -1, time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return str(os.waitstatus_to_exitcode(status))
        if (now := struct.unpack_from("q", place)[0]) != at:
            at, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "none: it hung"
        time.sleep(0.005)


def _added(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    counts = Counter(one["counts"]) + Counter(two["counts"])
    seconds = one["cpu_seconds"] + two["cpu_seconds"]
    return {"cpu_seconds": seconds, "counts": counts, "faults": [*one["faults"], *two["faults"]][:SHOWN_FAULTS]}


def fuzz(name: str, count: int, seed: int, root: Path, done: dict[str, Any], save: Any) -> None:
    """Go on with the reader ``name`` until ``count`` inputs are done."""
    folder = root / name
    folder.mkdir(exist_ok=True)
    reader, seeds = READERS[name], _seeds(name, folder)
    entry = done.setdefault(name, {"seed": seed, "done": 0, "cpu_seconds": 0.0, "counts": {}, "faults": []})
    while entry["done"] < count:
        numbers = range(entry["done"], min(entry["done"] + BATCH, count))
        entry |= _added(entry, batch(reader, seeds, seed, numbers, folder)) | {"done": numbers.stop}
        done[name] = entry
        save()


def _seeds(name: str, folder: Path) -> list[bytes]:
    """Made in a child: this process must have trained nothing and started no thread before it forks."""
    child = os.fork()
    if not child:
        try:
            if name in OWN:
                trained(folder)
            for number, data in enumerate(READERS[name].seeds(folder)):
                (folder / f"seed-{number}").write_bytes(data)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"the valid files for {name} could not be made")
    return [path.read_bytes() for path in sorted(folder.glob("seed-*"))]


def main() -> int:
    """The exit status: 1 where a reader has a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--count", type=int, default=1_000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one input alone; what becomes of it is printed")
    parser.add_argument("--out", type=Path, help="JSON of counts, added to as they come")
    options = parser.parse_args()
    done = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}

    def save() -> None:
        if options.out:
            beside = options.out.with_suffix(".tmp")
            beside.write_text(json.dumps(done, indent=1))
            os.replace(beside, options.out)

    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=shared if shared.is_dir() else None) as root:
        for name in options.reader:
            if options.only is not None:
                folder = Path(root) / name
                folder.mkdir()
                reader, seeds = READERS[name], _seeds(name, folder)
                print(name, batch(reader, seeds, options.seed, range(options.only, options.only + 1), folder))
                continue
            fuzz(name, options.count, options.seed, Path(root), done, save)
            print(name, dict(done[name]["counts"]), *done[name]["faults"][:5], sep="\n  ", flush=True)
    return int(any(entry["faults"] for entry in done.values()))


if __name__ == "__main__":
    sys.exit(main())
