"""Disturb commands in every way, run each again, and count: nothing finished may be lost, no error be without advice.

python tests/faults/run.py --count 500 --out FILE goes on where FILE ends; --only N repeats one trial and shows it.

One parent imports the library; every trial is a fork of it. Which trial has which fault follows from the seed alone.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import clocks
import commands
import damaged
import disks
import gone
import killed
import not_numbers
import numpy as np
from protocol import Fault, Scene, passing

from ganneal.cli import main as ganneal

FAULTS: dict[str, Callable[[Scene], Fault]] = {
    "killed": killed.killed,
    "terminated": killed.terminated,
    "full disk": disks.full_disk,
    "read-only disk": disks.read_only,
    "input/output error": disks.input_output_error,
    "permission denied": disks.denied,
    "damaged checkpoint": damaged.checkpoint,
    "damaged weights or card": damaged.weights,
    "damaged record": damaged.record,
    "damaged cache": damaged.kept_features,
    "leaping clock": clocks.leaping_clock,
    "no number in the data": not_numbers.in_data,
    "no number in a weight": not_numbers.in_a_weight,
    "no number in a loss": not_numbers.in_a_loss,
    "removed meanwhile": gone.removed_meanwhile,
}
STATES = {"train": ("fresh", "halfway", "finished"), "evaluate": ("finished",), "compare": ("fresh", "halfway")}
"""What there is when a command begins."""
WEIGHTS = {"train": 0.6, "evaluate": 0.2, "compare": 0.2}
ONLY = {
    "damaged checkpoint": {"train": ("halfway", "finished"), "compare": ("halfway",)},
    "damaged weights or card": {"train": ("finished",), "evaluate": ("finished",), "compare": ("halfway",)},
    "damaged record": {"train": ("halfway", "finished"), "evaluate": ("finished",), "compare": ("halfway",)},
    "damaged cache": {"train": ("halfway",), "evaluate": ("finished",), "compare": ("halfway",)},
    "no number in a weight": {"train": ("fresh", "halfway"), "compare": ("fresh",)},
    "no number in a loss": {"train": ("fresh", "halfway"), "compare": ("fresh",)},
}
"""Commands and states of the faults that change nothing in the others."""
ADVICE = re.compile(
    r"the same command|remove|restore|another|move .* away|[Ff]ree|lower|use |give |again|train longer|mend|find"
)
PATIENCE = 120.0


def run(root: Path, command: str, inside: Callable[[], object] | None = None) -> tuple[int, str]:
    """The exit status of ``command`` in a fork of this process, and all that it said."""
    said = root.parent / f"{root.name}.said"
    child = os.fork()
    if not child:
        status = 99
        try:
            os.setsid()
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.environ |= {"GANNEAL_CACHE": str(root / "cache"), "GANNEAL_DATA": str(root)}
            if inside is not None:
                inside()
            status = ganneal([command, str(root)])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status = _waited(child)
    return status, said.read_text(errors="replace")


def _waited(child: int) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 1_000
        time.sleep(0.002)


class Stage:
    """What every trial begins from: the three states of a folder, what undisturbed commands come to, their places."""

    def __init__(self, folder: Path):
        self.folder = folder
        for state in ("fresh", "halfway", "finished"):
            root = folder / state
            root.mkdir()
            commands.write_points(root)
        self._end_halfway("train")
        self._end_halfway("compare")
        self._undisturbed(folder / "finished", "train")
        self.expected: dict[str, Any] = {"train": commands.RESULTS["train"](folder / "finished")}
        self.places = {}
        for command, state in (("train", "fresh"), ("evaluate", "finished"), ("compare", "fresh")):
            root = self.copy(state, "undisturbed")
            self.places[command] = self._counted(root, command)
            self.expected[command] = commands.RESULTS[command](root)
            assert self.expected[command], f"{command} comes to nothing"
            shutil.rmtree(root)

    def copy(self, state: str, name: str) -> Path:
        """A folder in ``state``."""
        return shutil.copytree(self.folder / state, self.folder / name)

    def _undisturbed(self, root: Path, command: str) -> None:
        status, said = run(root, command)
        assert status == 0, said

    def _counted(self, root: Path, command: str) -> int:
        file = root / "places"

        def count() -> None:
            passing(lambda number, name: _note(file, number))

        status, said = run(root, command, count)
        assert status == 0, said
        return file.stat().st_size

    def _end_halfway(self, command: str) -> None:
        """In the middle of a run, of the second where there are two."""
        root = self.folder / "halfway"
        passed = {"train": 60, "compare": 150}[command]
        run(root, command, killed.at(passed, killed.end_by(signal.SIGTERM)))


def _note(file: Path, number: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b".")
    os.close(descriptor)


def whole(folder: Path) -> bool:
    """Whether weights on disk are all there, by the hashes in their card."""
    try:
        card = json.loads((folder / "card.json").read_text())
        return all(_sha256(folder / name) == sha256 for name, sha256 in card["sha256"].items())
    except (OSError, ValueError, KeyError):
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept(root: Path) -> set[str]:
    """What is finished below ``root``: weights of the end and of the best, one training state, outcomes."""
    found = set()
    for place in (root / "run", *root.glob("study/*/seed0")):
        for name in ("final", "best"):
            if whole(place / name) or whole(place / f".{name}.old"):
                found.add(str((place / name).relative_to(root)))
        states = place.glob("checkpoints/*.pt")
        if any(_sha256(path)[:16] == path.stem.partition("-")[2] for path in states):
            found.add(str((place / "checkpoints").relative_to(root)))
        if (place / "outcome.json").exists():
            found.add(str((place / "outcome.json").relative_to(root)))
    return found


def trial(stage: Stage, seed: int, number: int) -> dict[str, Any]:
    """One fault: what it was, and what became of it; ``lost`` where a promise was broken."""
    random = np.random.default_rng([seed, number])
    name = list(FAULTS)[number % len(FAULTS)]
    states = ONLY.get(name, STATES)
    shares = np.array([WEIGHTS[command] for command in states])
    command = str(random.choice(list(states), p=shares / shares.sum()))
    state = str(random.choice(states[command]))
    root = stage.copy(state, f"trial-{number}")
    root.chmod(0o755)
    found: dict[str, Any] = {"number": number, "fault": name, "command": command, "state": state}
    try:
        fault = FAULTS[name](Scene(root, command, random, stage.places[command]))
        before = kept(root)
        found |= {"said": fault.said}
        found["outcome"], found["why"] = _outcome(stage, root, name, command, fault, before, found)
    finally:
        if os.path.ismount(root):
            subprocess.run(["umount", "-l", root])
        for leftover in (root, root.with_name(f"{root.name}.copy")):
            shutil.rmtree(leftover, ignore_errors=True)
        (stage.folder / f"trial-{number}.said").unlink(missing_ok=True)
    return found


def _outcome(
    stage: Stage, root: Path, name: str, command: str, fault: Fault, before: set[str], found: dict[str, Any]
) -> tuple[str, str]:
    def is_same() -> bool:
        try:
            result = commands.RESULTS[command](root)
        except (OSError, ValueError, KeyError):
            return False
        if name == "leaping clock" and command == "compare":  # which evaluations there is time for is by the clock
            return all(result[arm]["last"] == run["last"] for arm, run in stage.expected[command].items())
        return result == stage.expected[command]

    status, said = run(root, command, fault.inside)
    found["first"] = [status, said[-600:]]
    fault.undo()
    if wrong := _wrong(status, said):
        return "lost", wrong
    if name != "removed meanwhile" and (gone := before - kept(root)):
        return "lost", f"{sorted(gone)} is not there any more"
    if status == 0 and is_same():
        return "undisturbed", ""
    status, said = run(root, command)
    found["second"] = [status, said[-600:]]
    if wrong := _wrong(status, said):
        return "lost", wrong
    if status == 0 and is_same():
        return "resumed", ""
    if status == 0 and not (name == "removed meanwhile" and command == "evaluate") and not _said_so(root):
        return "lost", "it went on and came to something else, without a word"
    if fault.mend is None and not _said_so(root):
        return "lost", "the same command does not go on"
    if fault.mend is not None:
        fault.mend()
    for outcome in _ended_early(root):  # of a run that diverged: it is not run again while it stands
        shutil.rmtree(outcome.parent)
    status, said = run(root, command)
    found["third"] = [status, said[-600:]]
    if status == 0 and is_same():
        return "mended", ""
    return "lost", "what the message says does not help"


def _ended_early(root: Path) -> list[Path]:
    """The outcomes of runs of a study that failed or diverged."""
    found = root.glob("study/*/seed0/outcome.json")
    return [path for path in found if json.loads(path.read_text())["status"] != "finished"]


def _said_so(root: Path) -> bool:
    """Whether a study has runs that ended early, and each says why and what to do."""
    ended = [json.loads(path.read_text())["error"] for path in _ended_early(root)]
    return bool(ended) and all(ADVICE.search(error) for error in ended)


def _wrong(status: int, said: str) -> str | None:
    """What is wrong with how a command ended."""
    if "Traceback" in said:
        return "a traceback"
    if status in (1, 2):
        error = said[said.rfind("error: ") :]
        return None if said.count("error: ") and ADVICE.search(error) else "an error without advice"
    return None if status in (0, -signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM) else f"status {status}"


def main() -> int:
    """The exit status: 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--only", type=int, nargs="*", help="these trials alone, shown")
    parser.add_argument("--out", type=Path, help="JSON of the trials, added to as they end")
    options = parser.parse_args()
    done = json.loads(options.out.read_text()) if options.out and options.out.exists() else {"trials": []}
    warnings.simplefilter("ignore")
    for name in ("matplotlib.pyplot", "pyparsing", "scipy.stats"):  # imported late, which may be too late
        import_module(name)
    commands.install()
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="faults-", dir=shared if shared.is_dir() else None) as folder:
        Path(folder).chmod(0o755)
        stage = Stage(Path(folder))
        for number in options.only or range(len(done["trials"]), options.count):
            found = trial(stage, options.seed, number)
            if options.only or found["outcome"] == "lost":
                print(json.dumps(found, indent=1).replace("\\n", "\n    "), flush=True)
            done["trials"].append(_short(found))
            if options.out:
                options.out.write_text(json.dumps(done | {"seed": options.seed, "counts": _counts(done)}, indent=1))
    print(json.dumps(_counts(done), indent=1))
    return int(any(trial["outcome"] == "lost" for trial in done["trials"]))


def _short(found: dict[str, Any]) -> dict[str, Any]:
    keys = ("number", "fault", "command", "state", "said", "outcome", "why")
    return {key: found[key] for key in keys if found[key] != ""}


def _counts(done: dict[str, Any]) -> dict[str, dict[str, int]]:
    """By fault, how often it was tried and what became of it."""
    counts: dict[str, Counter[str]] = {}
    for found in done["trials"]:
        counts.setdefault(found["fault"], Counter()).update(("tried", found["outcome"]))
    return {name: dict(count) for name, count in counts.items()}


if __name__ == "__main__":
    sys.exit(main())
