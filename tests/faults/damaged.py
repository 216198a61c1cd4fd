"""What lies on the disk is not what was written: a bit, a byte or the end of a file is."""

from pathlib import Path

from protocol import Fault, Random, Scene, restored

CACHED = "cache/**/*"


def checkpoint(scene: Scene) -> Fault:
    """The newest training state of a run, or one before."""
    return _damaged(scene, "run/checkpoints/*.pt", "study/*/seed0/checkpoints/*.pt")


def weights(scene: Scene) -> Fault:
    """Weights or the card of the best or the last generator."""
    return _damaged(scene, "run/final/*", "run/best/*", "study/*/seed0/final/*", "study/*/seed0/best/*")


def record(scene: Scene) -> Fault:
    """What a run, a study or an evaluation says of itself."""
    return _damaged(scene, "run/*.json*", "study/*.json", "study/*/seed0/*.json*")


def kept_features(scene: Scene) -> Fault:
    """Features of real samples in the cache, which are made again."""
    return _damaged(scene, CACHED)


def _damaged(scene: Scene, *patterns: str) -> Fault:
    files = scene.files(*patterns)
    if not files:
        return Fault("nothing to damage yet")
    path = files[int(scene.random.integers(len(files)))]
    mend = restored([path])
    said = _damage(scene.random, path)
    return Fault(f"{path.relative_to(scene.root)}: {said}", mend=mend)


def _damage(random: Random, path: Path) -> str:
    data = bytearray(path.read_bytes())
    place = int(random.integers(len(data))) if data else 0
    match int(random.integers(3)):
        case 0:
            path.write_bytes(data[:place])
            return f"cut off after {place} bytes"
        case 1 if data:
            data[place] ^= 1 << int(random.integers(8))
        case _ if data:
            data[place] = (data[place] + int(random.integers(1, 256))) % 256
    path.write_bytes(data)
    return f"byte {place} changed"
