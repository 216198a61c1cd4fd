"""`ganneal compare`: experiments side by side, over seeds, under one clock."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

from ganneal.cli.automatic import automatic_choices, named_model, reasons, values
from ganneal.cli.configure import configure, resolve, take_flag, take_option
from ganneal.clocks import CLOCKS, BudgetClock
from ganneal.comparison import Arm, Executor, LocalProcesses, Study, compare
from ganneal.comparison.executors import cores
from ganneal.comparison.schedule import stored_choices
from ganneal.comparison.study import first_control, with_controls
from ganneal.experiments import EXPERIMENTS, Choice, run_name
from ganneal.inference.zoo import refuse
from ganneal.models import Model
from ganneal.registry import nearest
from ganneal.storage.encoding import encode
from ganneal.training.interruption import Interrupted

DEFAULT_SEEDS = 3
Chosen = dict[str, dict[str, Choice]]
"""Automatic choices by option, for each path of images."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return f"""usage: ganneal compare ARM... --CLOCK AMOUNT [options]

Train every arm under every seed, equal in one clock, and print means with intervals, last and best, and a verdict
only where the paired interval excludes 0, corrected for the number of arms. A run that diverged is worse than every
finite value. The same command goes on where it was stopped; a run that fails is a row.

An ARM is an experiment, with a label and changes of its own if need be:
  digits-nats                                          as `ganneal train` takes it; a path of images too
  hinge=digits-nats,loss=hinge,scheme.levels=3         LABEL=EXPERIMENT,OPTION=VALUE,...
  mirrored=digits-nats,flip                            a switch has no value: flip, no-flip

equal in, one of:
  --num-real N    real images        --d-updates N   discriminator updates
  --seconds S     training time      --g-updates N   generator updates

options:
  --seeds N             seeds 0..N-1 (default {DEFAULT_SEEDS}), or a list as 0,3,7
  --controls            beside the one nested annealed arm: CTS at equal updates and at equal seconds, NTS, and the
                        control of equal total generator step (a matched learning rate under Adam and RMSProp, a
                        constant weight under SGD and conjugate gradients); beside annealed functional gradients:
                        without annealing (cfg), constant (cfg-matched) and reversed (cfg-reversed)
  --baseline ARM        what the others are compared with (default: the first arm; with --controls CTS, or cfg)
  --jobs N              runs at once on this machine (default: the cores)
  --cluster ADDRESS     run on a Ray cluster instead ("auto", or "local" for one of this machine); needs the extra
                        ganneal[cluster] and a directory that all machines share
  --out DIR             directory (default runs/compare-FIRST ARM)
  any other option changes every arm, as in `ganneal train`: --precision bf16 --records.evaluate-every 5000

experiments: {", ".join(EXPERIMENTS)}"""


def _refuse_what_the_study_sets(arguments: Sequence[str]) -> None:
    for argument in arguments:
        option = argument.partition("=")[0]
        if option == "--seed":
            raise ValueError("--seed is the study's to set; give --seeds 3, or a list as --seeds 0,3,7.")
        if option.startswith("--budget."):
            clock = option.removeprefix("--budget.").replace("_", "-")
            raise ValueError(f"{option} is the study's to set, the same for every arm; give --{clock} AMOUNT.")


def _named(text: str) -> tuple[str | None, str]:
    """Label and experiment of an arm."""
    label, equals, name = text.partition(",")[0].partition("=")
    return (label, name) if equals else (None, label)


def _folder(first: str) -> str:
    """The study's directory where none is given; named by the first arm."""
    label, name = _named(first)
    if label is None:
        label = name if name in EXPERIMENTS else run_name(name)
    return f"runs/compare-{label}"


def _chosen(named: Sequence[str], shared: Sequence[str], folder: str) -> Chosen:
    """One set of choices for each path of images, whatever the number of arms: as the study in ``folder`` has it.

    The size is one that the networks of all its arms make.
    """
    stored = stored_choices(folder)
    models: dict[str, list[Model]] = {}
    for text in named:
        own = [f"--{change}" for change in text.split(",")[1:]]
        models.setdefault(_named(text)[1], []).append(named_model([*own, *shared]))
    found = {name: automatic_choices(name, stored.get(name), used) for name, used in models.items()}
    return {name: chosen for name, chosen in found.items() if chosen is not None}


def _arm(text: str, shared: Sequence[str], chosen: Chosen) -> Arm:
    """An arm from ``[LABEL=]EXPERIMENT[,OPTION=VALUE | ,SWITCH]...`` and the options that all arms share."""
    _, *changes = text.split(",")
    label, name = _named(text)
    if not all(change and not change.startswith("-") for change in changes):
        raise ValueError(f"changes of an arm are OPTION=VALUE, or a SWITCH as flip, without dashes, got {text!r}.")
    own = [f"--{change}" for change in changes]
    experiment = resolve(name, values(chosen.get(name)))
    arguments = [*shared, *own]
    _refuse_what_the_study_sets(arguments)
    return Arm(
        experiment.name if label is None else label,
        configure(experiment, arguments, prog="ganneal compare"),
    )


def _clock(rest: list[str]) -> tuple[BudgetClock, float]:
    given: list[tuple[BudgetClock, str]] = [
        (clock, value) for clock in CLOCKS if (value := take_option(rest, f"--{clock.replace('_', '-')}")) is not None
    ]
    if len(given) != 1:
        options = ", ".join(f"--{clock.replace('_', '-')}" for clock in CLOCKS)
        raise ValueError(f"one of {options} must say what the arms are equal in, got {len(given)} of them.")
    clock, value = given[0]
    try:
        return clock, float(value)
    except ValueError:
        raise ValueError(f"--{clock.replace('_', '-')} must be a number, got {value!r}.") from None


def seeds_of(text: str | None) -> tuple[int, ...]:
    """Seeds from a number of them or a list, as 3 or 0,3,7; the default where there is no text."""
    if text is None:
        return tuple(range(DEFAULT_SEEDS))
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    least = 1 if len(numbers) == 1 else 0
    if not numbers or min(numbers) < least:
        raise ValueError(f"--seeds must be a number of seeds of at least 1, or a list as 0,3,7, got {text!r}.")
    return tuple(numbers) if len(numbers) > 1 else tuple(range(numbers[0]))


def _executor(jobs: str | None, cluster: str | None) -> Executor:
    if cluster is not None:
        if jobs is not None:
            raise ValueError("--jobs is for this machine alone; leave it out with --cluster, whose processors count.")
        from ganneal.comparison.cluster import RayCluster

        return RayCluster(cluster)
    if jobs is not None and not jobs.isdecimal():
        raise ValueError(f"--jobs must be a whole number, got {jobs!r}.")
    return LocalProcesses(int(jobs) if jobs is not None else cores())


def _with_threads(arm: Arm, threads: int) -> Arm:
    """The arm with its share of the cores, where its experiment does not say: oversubscribed threads cost a lot."""
    if arm.experiment.threads is not None:
        return arm
    return replace(arm, experiment=replace(arm.experiment, threads=threads))


def main(arguments: Sequence[str]) -> None:
    """Parse, run and print the table."""
    rest = list(arguments)
    count = next((index for index, argument in enumerate(rest) if argument.startswith("-")), len(rest))
    named, rest = rest[:count], rest[count:]
    if not named:
        raise ValueError("the arms come first: ganneal compare ARM... --seconds 60 [options].")
    out, baseline, seeds = (
        take_option(rest, "--out"),
        take_option(rest, "--baseline"),
        seeds_of(take_option(rest, "--seeds")),
    )
    jobs, cluster, controlled = (
        take_option(rest, "--jobs"),
        take_option(rest, "--cluster"),
        take_flag(rest, "--controls"),
    )
    clock, amount = _clock(rest)
    folder = out or _folder(named[0])
    chosen = _chosen(named, rest, folder)
    arms = tuple(_arm(text, rest, chosen) for text in named)
    if controlled:
        arms = with_controls(arms, clock)
    executor = _executor(jobs, cluster)
    arms = tuple(_with_threads(arm, executor.threads) for arm in arms)
    first = baseline or (first_control(arms) if controlled else arms[0].name)
    refuse(first, "--baseline names an arm, which is trained as the others are")
    if first not in [arm.name for arm in arms]:
        raise ValueError(f"--baseline must name an arm, got {first!r}. {nearest(first, {a.name: a for a in arms})}")
    study = Study(arms[0].name, arms, seeds, clock, amount, first)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    for name, settings in chosen.items():
        say(f"{name}: {reasons(settings)}")
    command = shlex.join(["ganneal", "compare", *arguments])
    try:
        results = compare(study, folder, executor, say=say, command=command, chosen=encode(chosen))
    except Interrupted as stop:
        kept = f"stopped; finished runs are kept in {folder}. The same command goes on."
        raise Interrupted(stop.signum, kept) from None
    print(results.table())
    print(f"{folder}/table.md, {folder}/results.json")
