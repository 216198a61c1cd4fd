"""Folders and files that somebody removes or moves meanwhile."""

import shutil
from pathlib import Path

from protocol import Fault, Scene, at, restored


def removed_meanwhile(scene: Scene) -> Fault:
    """A folder of the run, of the study or of the cache, or the data, at some place."""
    candidates = [scene.root / "cache", scene.root / "points.npy"]
    match scene.command:
        case "compare":
            candidates += [scene.root / "study", *(scene.root / "study" / arm for arm in ("nats", "cts"))]
        case _:
            candidates += [scene.root / "run" / name for name in ("", "checkpoints", "samples", "best", "final")]
    path = candidates[int(scene.random.integers(len(candidates)))]
    place = scene.place()
    mend = restored(sorted(scene.root.rglob("*")))
    said = f"{path.relative_to(scene.root)} removed at place {place}"
    return Fault(said, at(place, lambda: _remove(path)), mend=mend)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
