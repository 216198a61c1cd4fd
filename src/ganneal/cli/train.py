"""`ganneal train`: train a named experiment, or somebody's own images."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from inspect import getdoc
from typing import Any

from ganneal.cli.automatic import automatic_choices, named_model, reasons, values
from ganneal.cli.configure import EXPERIMENT_PARTS, configure, resolve, take_flag, take_option
from ganneal.cli.plan import plan_as_text
from ganneal.evaluation.run_data import ACCEPT, KnownData, check_apart, check_identity, found_again
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS, run_name
from ganneal.storage.encoding import encode
from ganneal.storage.run_directory import RunDirectory
from ganneal.training.forewarning import about_classes, forewarnings
from ganneal.training.launch import leads


def _listed() -> str:
    """A line for each data set and kind of networks, which a description names before its last comma."""
    groups: dict[str, list[str]] = {}
    for name, make in EXPERIMENTS.items():
        described = (getdoc(make) or "").splitlines()[0].partition(";")[0]
        groups.setdefault(described.rpartition(", ")[0], []).append(name)
    return "\n".join(f"  {title}: {', '.join(names)}" for title, names in groups.items())


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    switches = "\n".join(
        f"  --{path.replace('_', '-'):<17} {' | '.join(registry)}"
        for path, (_, registry) in EXPERIMENT_PARTS.items()
        if "." not in path
    )
    return f"""usage: ganneal train EXPERIMENT [options]
       ganneal train PATH [options]        a folder of images, a .zip, an .npz or an .npy file

Train, or go on where the same command was stopped.

experiments:
{_listed()}

put another part in place:
{switches}

common options:
  --out DIR             run directory (default runs/EXPERIMENT)
  --dry-run             print the resolved experiment and its first round, train nothing
  --seed N              fixes everything
  --accept-changed-data go on although the data is not what the run began with, and record it
  --scheme.levels N     levels of a nested scheme (N_d)
  --budget.num-real N   stop after so many real images; also .d-updates, .g-updates, .seconds
  --precision bf16      bfloat16 mixed precision: twice as fast on CPUs that compute in it, slower on others
  --threads N           CPU threads
  --device NAME         cpu, cuda, ...
  --devices N           processes that share each batch, one for a GPU; also --nodes; batch norm sees one's part
  --help-all            every field of the experiment as it stands"""


def describe(value: Any, name: str = "", indent: int = 0) -> str:
    """A configuration as an indented outline."""
    label = "  " * indent + (f"{name}: " if name else "")
    if not is_dataclass(value) or isinstance(value, type):
        return f"{label}{value}"
    inner = [describe(getattr(value, field.name), field.name, indent + 1) for field in fields(value)]
    return "\n".join([f"{label}{type(value).__name__}", *inner])


def _check(experiment: Experiment, directory: RunDirectory, accept: bool) -> tuple[bool, str]:
    """Whether the experiment can start, found out by reading its data and building its players; and what was found."""
    from ganneal.engine.run import Run

    try:
        check_identity(directory, experiment)
        experiment = found_again(experiment, directory)
        check_apart(experiment, directory)
        run = Run(experiment)
        KnownData(directory).compared("data", experiment.data, run.data.dataset, accept=accept)
    except (ValueError, FileNotFoundError) as error:
        return False, f"it would be refused: {error}"
    generator, discriminator = (
        sum(p.numel() for p in player.parameters()) for player in (run.generator, run.discriminator)
    )
    dataset = run.data.dataset
    classes = about_classes(dataset, bool(run.pair.num_classes))
    said = "" if classes is None else f"{classes}\n"
    return True, (
        f"data: {len(dataset):,} samples of shape {dataset.shape}\n{said}"
        f"parameters: generator {generator:,}, discriminator {discriminator:,}"
    )


def _directory(name: str, seed: int) -> str:
    return f"runs/{name}" + (f"-seed{seed}" if seed else "")


def _seed(arguments: list[str]) -> int:
    """The seed among ``arguments``, before they are parsed; parsing says what is wrong with it."""
    given = take_option(list(arguments), "--seed")
    return int(given) if given is not None and given.isdecimal() else 0


def main(arguments: Sequence[str]) -> None:
    """Parse and train."""
    rest = list(arguments)
    if rest[0].startswith("-"):
        raise ValueError(f"the experiment comes first, got {rest[0]!r}: ganneal train EXPERIMENT [options].")
    name = rest.pop(0)
    out = take_option(rest, "--out")
    dry_run, accept = (take_flag(rest, option) for option in ("--dry-run", ACCEPT))
    rest = ["--help" if argument == "--help-all" else argument for argument in rest]
    stored = RunDirectory(out or _directory(run_name(name), _seed(rest))).automatic_choices()
    chosen = automatic_choices(name, stored, [named_model(rest)])
    begun = resolve(name, values(chosen))
    experiment = configure(begun, rest, prog=f"ganneal train {shlex.quote(name)}")
    directory = out or _directory(experiment.name, experiment.seed)
    if chosen is not None and leads(experiment):
        print(reasons(chosen, experiment), file=sys.stdout if dry_run else sys.stderr)
    if dry_run:
        starts, found = _check(experiment, RunDirectory(directory), accept)
        if not starts:  # before two pages of settings
            print(f"{found}\n")
        print(describe(experiment))
        first = plan_as_text(
            experiment.scheme,
            batch_size=experiment.batch_size,
            g_reals=experiment.generator_reals,
            moments=getattr(experiment.g_optimizer, "moments", None),
        )
        print(f"\nrun directory: {directory}\n\nfirst round:\n{first}\n\n{found}")
        for warning in forewarnings(experiment):
            print(f"warning: {warning}")
        return
    from ganneal.training.session import train

    record = None if chosen is None else encode(chosen)
    command = shlex.join(["ganneal", "train", *arguments])
    train(experiment, directory, progress=True, command=command, chosen=record, accept_changed_data=accept)
