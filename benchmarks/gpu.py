"""The measurements that need a GPU, each by one command; every one of them runs at a toy size on a CPU.

    python benchmarks/gpu.py [--data cifar10.zip] [--minutes 12] [--out results/gpu]
    python benchmarks/gpu.py JOB [--data cifar10.zip] [--seconds 60] [--seeds 3] [--out results/gpu]
    python benchmarks/gpu.py step same --device cpu --smoke --out /tmp/gpu

Without a JOB four of them run one after the other within ``--minutes``, the most important first: same, step, losses
(the original loss, up to a million images a run) and paths. Each is a process of its own with its part of the time, and
gets what those before it left. One that is not done in time is ended.

JOB is one or more of the names below, or their numbers:

    1 step          step times of every network: each move and a NATS round, eager, compiled, as CUDA graphs, against
                    moves written by hand
    2 same          every scheme trains and resumes on the device, and its answers are those on the CPU
    3 losses        Table IX: four losses under CTS, NTS, NATS and the control of the same step
    4 levels        Table XII: N_d 5 to 20 under NTS and NATS
    5 functional    Tables VII, VIII and X: CFG, annealed and reversed, with ResNet-4 and DCGAN-ext
    6 biggan        Table XI: BigGAN under CTS, NTS and NATS
    7 ddgan         Table XI: DDGAN under CTS, NTS and NATS
    8 gradients     conjugate-gradient rules on SNGAN
    9 stability     NATS and CTS for ten times as long
    10 paths        `ganneal train PATH` with its own choices, at 64 and at 128 px

Each job writes ``<out>/<job>-<date>.json`` after every figure, so that one that is cut off keeps what it has. It needs
torch, numpy, pillow and safetensors; the data are a .zip, .npz or .npy of images, and the features' weights are looked
for below ``$GANNEAL_DATA``.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from json import dumps, loads
from math import inf
from pathlib import Path
from shlex import join
from time import monotonic
from types import ModuleType
from typing import Any

Figures = dict[str, Any]
JOBS = ("step", "same", "losses", "levels", "functional", "biggan", "ddgan", "gradients", "stability", "paths")
ORIGINAL = ["original-cts", "original-nts-5", "original-nats-5", "original-matched-5", "original-nats-10"]
PLAN: dict[str, tuple[float, list[str]]] = {
    "same": (100, []),
    "step": (150, []),
    "losses": (390, ["--images-seen", "1000000", "--arms", *ORIGINAL]),
    "paths": (80, []),
}
"""Jobs of the one command, with their parts of its time and their own options."""
TO_START = 10.0
"""Seconds of a job's part in which its process starts and ends."""


def stand_in_for_jaxtyping() -> None:
    """Annotations of shapes are read by nobody here, so that a machine without the package will do."""
    if find_spec("jaxtyping") is not None:
        return
    import torch

    class Shaped:
        def __class_getitem__(cls, item: Any) -> Any:
            return torch.Tensor

    class Module(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Shaped

    sys.modules["jaxtyping"] = Module("jaxtyping")


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", type=job_named, help="none for the four in --minutes")
    parser.add_argument("--minutes", type=float, default=12.0, help="for all that runs without a JOB")
    parser.add_argument("--job-seconds", type=float, default=inf, help="a job begins nothing new after so many")
    parser.add_argument("--data", default="cifar10", help="images for the studies")
    parser.add_argument("--images", type=int, help="take the first so many")
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of a run of a study")
    parser.add_argument(
        "--images-seen", type=int, help="a run of a study ends there, or with its part of --job-seconds"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", help="only those arms of a study, networks of step, groups of same")
    parser.add_argument("--captures", nargs="+", choices=("none", "graph", "compile"), help="of step and same")
    parser.add_argument("--capture", choices=("none", "graph", "compile"), default="none", help="of studies")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="bf16", help="of studies")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--smoke", action="store_true", help="a toy size, to see that it works")
    parser.add_argument("--commit", help="what is measured, where there is no git")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    options = parser.parse_args(arguments)
    if options.captures is None:
        options.captures = ["none", "graph", "compile"] if options.device.startswith("cuda") else ["none"]
    return options


def job_named(word: str) -> str:
    """A job by its name or number."""
    known = dict(zip(map(str, range(1, len(JOBS) + 1)), JOBS, strict=True)) | {job: job for job in JOBS}
    if word not in known:
        raise argparse.ArgumentTypeError(f"{word!r} is no job; use one of {', '.join(JOBS)}")
    return known[word]


def job_of(name: str) -> Callable[[argparse.Namespace], Iterator[Figures]]:
    """What measures it: gives all figures so far, after each."""
    match name:
        case "step":
            from gpu_step import step_times

            return step_times
        case "same":
            from gpu_same import same_answers

            return same_answers
        case "paths":
            from gpu_paths import paths

            return paths
        case _:
            from gpu_studies import STUDIES

            return STUDIES[name]


def write(path: Path, content: Figures) -> None:
    """The whole file or none of it."""
    from ganneal.storage.atomic import write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (dumps(content, indent=1) + "\n").encode())


def fastest_capture(out: Path) -> str:
    """The way to record passes that the newest file of `step` shows to be fastest for a NATS round of the DCGAN."""
    for file in sorted(out.glob("step-*.json"), reverse=True):
        rows = loads(file.read_text())["figures"]["rows"]
        rounds = [row for row in rows if row["network"].startswith("dcgan") and row["move"] == "NATS round"]
        times = {row["capture"]: row["milliseconds"] for row in rounds if row["precision"] == "bf16"}
        return min(times, key=lambda way: times[way], default="none")
    return "none"


def run_plan(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """The jobs of the one command, each in a process of its own."""
    end, parts, failed = monotonic() + 60 * options.minutes, {name: part for name, (part, _) in PLAN.items()}, 0
    for name, (part, own) in PLAN.items():
        # Of what is left, so that a job that was done early leaves its time to the others.
        seconds = (end - monotonic()) * part / sum(parts.values())
        del parts[name]
        own = [*own, "--capture", fastest_capture(options.out)] if name == "losses" else own
        command = [sys.executable, __file__, name, *arguments, *own, "--job-seconds", str(max(0.0, seconds - TO_START))]
        try:
            failed |= subprocess.run(command, timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            print(f"{name}: ended after {seconds:.0f} s; its file holds what was finished", flush=True)
            failed = 1
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = options_of(arguments)
    return run_jobs(options, arguments) if options.jobs else run_plan(options, arguments)


def run_jobs(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """One job after the other, in this process."""
    stand_in_for_jaxtyping()
    import torch

    from ganneal.storage.run_directory import provenance

    if options.device == "cpu":
        torch.set_num_threads(1)
    failed = 0
    for name in options.jobs:
        started, begun = datetime.now(UTC), monotonic()
        options.ends_at = begun + options.job_seconds
        path = options.out / f"{name}-{started:%Y-%m-%d-%H%M%S}.json"
        about = provenance() | ({"commit": options.commit} if options.commit else {})
        about |= {"device": options.device, "tf32": torch.backends.cudnn.allow_tf32, "smoke": options.smoke}
        about["command"] = join(["python", "benchmarks/gpu.py", *arguments])
        print(f"{name}: {path}", flush=True)
        content: Figures = {"job": name, "about": about, "whole": False, "figures": {}}
        for figures in job_of(name)(options):
            content |= {"seconds": monotonic() - begun, "figures": figures}
            write(path, content)
            if monotonic() > options.ends_at:
                print(f"{name}: its time is over", flush=True)
                break
        else:
            write(path, content | {"whole": True})
        failed |= int(content["figures"].get("failed", 0) > 0)
    return failed


if __name__ == "__main__":
    sys.exit(main())
