"""The disk takes nothing: full, read-only, or out of the right to write."""

import ctypes
import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path

from protocol import Fault, Scene, failing

NOBODY = 65_534


def full_disk(scene: Scene) -> Fault:
    """No room from some write on, a largest size of files, or a small file system of its own where one can be made."""
    match int(scene.random.integers(3)):
        case 0:
            place = scene.place()
            return Fault(f"no room from place {place} on", failing(errno.ENOSPC, place))
        case 1:
            size = int(scene.random.integers(1, 12_000))
            return Fault(f"no file above {size} bytes", lambda: _limit(size))
    return _mounted(scene) or full_disk(scene)


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


def _mounted(scene: Scene) -> Fault | None:
    """The trial's folder moves to a file system with a little room left; None where this process may not mount."""
    kilobytes = 4 * int(scene.random.integers(1, 20))
    used = sum(path.stat().st_blocks * 512 for path in scene.root.rglob("*")) // 1024
    place, copy = str(scene.root), f"{scene.root}.copy"
    shutil.copytree(place, copy)
    if os.geteuid() or not _mount("-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", place):
        return None
    shutil.copytree(copy, place, dirs_exist_ok=True)

    def inside() -> None:
        _mount("-o", f"remount,size={used + kilobytes}k", place)

    return Fault(
        f"a file system with {kilobytes} kB free", inside, undo=lambda: _mount("-o", "remount,size=64m", place)
    )


def read_only(scene: Scene) -> Fault:
    """From the beginning or from some write on; passing, as when a disk is mounted again."""
    place = 1 if scene.random.random() < 0.3 else scene.place()
    return Fault(f"read-only from place {place} on", failing(errno.EROFS, place))


def input_output_error(scene: Scene) -> Fault:
    """One write fails, or all from there on."""
    place = scene.place()
    last = place if scene.random.random() < 0.5 else None
    after = "" if last else " and after"
    return Fault(f"input/output error at place {place}{after}", failing(errno.EIO, place, last))


def denied(scene: Scene) -> Fault:
    """The folder is somebody else's: for root, who then respects rights; else by taking them from the folder."""
    folders = [path for path in (scene.root, *sorted(scene.root.rglob("*"))) if path.is_dir()]
    folder = folders[int(scene.random.integers(len(folders)))]
    if os.geteuid():
        mode = folder.stat().st_mode
        said = f"no right to write {_below(scene, folder)}"
        return Fault(said, lambda: folder.chmod(0o500), lambda: folder.chmod(mode))

    def inside() -> None:
        os.chown(folder, NOBODY, NOBODY)
        folder.chmod(0o755)
        _respect_rights()

    return Fault(f"no right to write {_below(scene, folder)}", inside)


def _respect_rights() -> None:
    """Give up what lets root pass by the rights of files, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capabilities(7).

    Another user would not do: modules that a command loads late may lie where only root reads.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; once more for numbers from 32
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for place in range(3):
        sets[place] &= ~(1 << 1 | 1 << 2)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def _below(scene: Scene, path: Path) -> str:
    return str(path.relative_to(scene.root)) or "."
