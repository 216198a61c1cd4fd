"""The measurements that need a GPU, each by one command; every one of them runs at a toy size on a CPU.

    python benchmarks/gpu.py JOB [--data cifar10.zip] [--seconds 60] [--seeds 3] [--out results/gpu]
    python benchmarks/gpu.py step same --device cpu --smoke --out /tmp/gpu

JOB is one or more of the names below, or their numbers:

    1 step          step times of every network: each move and a NATS round, eager, compiled, as CUDA graphs, against
                    moves written by hand
    2 same          the engine's answers on the device are those on the CPU
    3 losses        Table IX: four losses under CTS, NTS, NATS and the control of the same step
    4 levels        Table XII: N_d 5 to 20 under NTS and NATS
    5 functional    Tables VII, VIII and X: CFG, annealed and reversed, with ResNet-4 and DCGAN-ext
    6 biggan        Table XI: BigGAN under CTS, NTS and NATS
    7 ddgan         Table XI: DDGAN under CTS, NTS and NATS
    8 gradients     conjugate-gradient rules on SNGAN
    9 stability     NATS and CTS for ten times as long

Each job writes ``<out>/<job>-<date>.json`` after every figure, so that one that is cut off keeps what it has. It needs
torch, numpy, pillow and safetensors; the data are a .zip, .npz or .npy of images, and the features' weights are looked
for below ``$GANNEAL_DATA``.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from json import dumps
from pathlib import Path
from shlex import join
from types import ModuleType
from typing import Any

Figures = dict[str, Any]
JOBS = ("step", "same", "losses", "levels", "functional", "biggan", "ddgan", "gradients", "stability")


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
    parser.add_argument("jobs", nargs="+", metavar="JOB", choices=[*JOBS, *map(str, range(1, len(JOBS) + 1))])
    parser.add_argument("--data", default="cifar10", help="images for the studies")
    parser.add_argument("--images", type=int, help="take the first so many")
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of a run of a study")
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
    options.jobs = [JOBS[int(job) - 1] if job.isdigit() else job for job in options.jobs]
    return options


def job_of(name: str) -> Callable[[argparse.Namespace], Iterator[Figures]]:
    """What measures it: gives all figures so far, after each."""
    match name:
        case "step":
            from gpu_step import step_times

            return step_times
        case "same":
            from gpu_same import same_answers

            return same_answers
        case _:
            from gpu_studies import STUDIES

            return STUDIES[name]


def write(path: Path, content: Figures) -> None:
    """The whole file or none of it."""
    from ganneal.storage.atomic import write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (dumps(content, indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    stand_in_for_jaxtyping()
    import torch

    from ganneal.storage.run_directory import provenance

    if options.device == "cpu":
        torch.set_num_threads(1)
    failed = 0
    for name in options.jobs:
        started = datetime.now(UTC)
        path = options.out / f"{name}-{started:%Y-%m-%d-%H%M%S}.json"
        about = provenance() | ({"commit": options.commit} if options.commit else {})
        about |= {"device": options.device, "tf32": torch.backends.cudnn.allow_tf32, "smoke": options.smoke}
        about["command"] = join(["python", "benchmarks/gpu.py", *(sys.argv[1:] if arguments is None else arguments)])
        print(f"{name}: {path}", flush=True)
        figures: Figures = {}
        for figures in job_of(name)(options):
            taken = (datetime.now(UTC) - started).total_seconds()
            write(path, {"job": name, "about": about, "seconds": taken, "figures": figures})
        failed |= int(figures.get("failed", 0) > 0)
    return failed


if __name__ == "__main__":
    sys.exit(main())
