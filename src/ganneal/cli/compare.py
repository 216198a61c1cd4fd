"""`ganneal compare`: experiments side by side, over seeds, under one clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from ganneal.cli.command import Command, say
from ganneal.cli.configure import EXPERIMENT_PARTS, asked_by, configure
from ganneal.cli.fields import ARGUMENT, REST, Typed
from ganneal.cli.help import aligned_table, paragraph
from ganneal.cli.options import Parts
from ganneal.clocks import CLOCKS, BudgetClock
from ganneal.comparison import Arm, Executor, LocalProcesses, Study, compare
from ganneal.comparison.schedule import stored_choices
from ganneal.comparison.study import first_control, seeds_of, with_controls
from ganneal.data.messages import TRAINING
from ganneal.experiments import EXPERIMENTS, Choice, run_name
from ganneal.experiments.named import automatic_choices, choices_as_text, resolve
from ganneal.inference.zoo import refuse
from ganneal.registry import nearest
from ganneal.storage.encoding import encode
from ganneal.training.interruption import Interrupted


@dataclass(frozen=True)
class CompareCommand(Command):
    """Train every arm under every seed and compare the arms at equal amounts of one clock. The table has means with
    intervals, last and best. A verdict is given only where the paired interval, corrected for the number of arms,
    excludes 0. A diverged run counts as worse than every finite value. A failed run is a row of its own. The same
    command continues a stopped comparison."""

    usage = ("ARM... --CLOCK AMOUNT [options]",)
    opens = "arms"
    prefix = TRAINING

    arms: Annotated[tuple[str, ...], ARGUMENT]
    num_real: Annotated[float | None, Typed(value="N")] = None
    """Clock: real images of each run."""
    d_updates: Annotated[float | None, Typed(value="N")] = None
    """Clock: discriminator updates."""
    g_updates: Annotated[float | None, Typed(value="N")] = None
    """Clock: generator updates."""
    seconds: Annotated[float | None, Typed(value="S")] = None
    """Clock: training time."""
    cpu_seconds: Annotated[float | None, Typed(value="S")] = None
    """Clock: processor time of training, for a machine that does other work too. Give exactly one of these five
    clocks."""
    seeds: Annotated[str, Typed(value="N")] = "3"
    """Number of seeds, which are 0 to N-1, or a list such as 0,3,7."""
    controls: bool = False
    """Add the controls that a claim for annealing needs. Beside one nested annealed arm: CTS at equal updates, CTS at
    equal seconds, NTS, and a control of equal total generator step. That last control has a matched learning rate under
    Adam and RMSProp, a constant weight under SGD and conjugate gradients. Beside annealed functional gradients: without
    annealing (cfg), constant (cfg-matched) and reversed (cfg-reversed)."""
    baseline: Annotated[str | None, Typed(value="ARM")] = None
    """Arm that the others are compared with. Default: the first; with --controls, CTS or cfg."""
    jobs: int | None = None
    """Parallel runs on this machine. Default: the number of its cores."""
    cluster: Annotated[str | None, Typed(value="ADDRESS")] = None
    """Run on a Ray cluster: its address, "auto", or "local" for a cluster on this machine. Needs the extra
    ganneal[cluster] and a directory that all machines share."""
    out: Annotated[str | None, Typed(value="DIR")] = None
    """Directory of the study. Default: runs/compare-FIRST_ARM."""
    changes: Annotated[tuple[str, ...], REST] = ()
    """Options that change every arm."""

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The section that explains arms."""
        forms = {
            "digits-nats": "An experiment of `ganneal train`, or a path of images.",
            "hinge=digits-nats,loss=hinge,scheme.levels=3": "LABEL=EXPERIMENT,OPTION=VALUE,...",
            "mirrored=digits-nats,flip": "A switch has no value: flip or no-flip.",
        }
        return {
            "an ARM is an experiment, with a label and changes of its own where you need them": aligned_table(forms),
            "experiments": paragraph(", ".join(EXPERIMENTS)),
        }

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Options of all arms."""
        return {"--OPTION VALUE": "Any other option of `ganneal train` changes every arm, such as --precision bf16."}

    def everything(self) -> tuple[Any, Parts]:
        """The experiment of the first arm."""
        return self._arm(self.arms[0]).experiment, EXPERIMENT_PARTS

    @cached_property
    def folder(self) -> str:
        """The study's directory; named by the first arm where none is given."""
        # A path of images is no name of a folder; the name of its run is.
        label, name = _named(self.arms[0])
        if label is None:
            label = name if name in EXPERIMENTS else run_name(name)
        return self.out or f"runs/compare-{label}"

    @cached_property
    def chosen(self) -> dict[str, dict[str, Choice]]:
        """One set of choices for each path of images, whatever the number of arms: as the study in the folder has it.

        The size is one that the networks of all its arms make.
        """
        stored = stored_choices(self.folder)
        arms: dict[str, list[list[str]]] = {}
        for text in self.arms:
            # Arms are measured alike only at one size of images, so all on one path share what is chosen for it.
            arms.setdefault(_named(text)[1], []).append([*self.changes, *_own(text)])

        limits = {clock: amount for clock in CLOCKS if (amount := getattr(self, clock)) is not None}
        found = {
            name: automatic_choices(name, stored.get(name), asked_by(*given, limits=limits))
            for name, given in arms.items()
        }
        return {name: chosen for name, chosen in found.items() if chosen is not None}

    def _arm(self, text: str) -> Arm:
        """An arm from ``[LABEL=]EXPERIMENT[,OPTION=VALUE | ,SWITCH]...`` and the options that all arms share."""
        label, name = _named(text)
        chosen = self.chosen.get(name)
        experiment = resolve(name, chosen)
        # An arm's own changes come last, so that they win.
        arguments = [*self.changes, *_own(text)]
        _refuse_what_the_study_sets(arguments)
        configured = configure(experiment, arguments, name, chosen)
        return Arm(configured.name if label is None else label, configured)

    def _clock(self) -> tuple[BudgetClock, float]:
        given: list[BudgetClock] = [clock for clock in CLOCKS if getattr(self, clock) is not None]
        if len(given) != 1:
            options = ", ".join(f"--{clock.replace('_', '-')}" for clock in CLOCKS)
            raise ValueError(f"give exactly one clock of {options}, in which the arms are equal, got {len(given)}.")
        return given[0], getattr(self, given[0])

    def _executor(self) -> Executor:
        if self.cluster is None:
            return LocalProcesses(self.jobs)
        if self.jobs is not None:
            raise ValueError(
                "--jobs is for this machine alone; leave it out with --cluster, which uses the cluster's processors."
            )
        from ganneal.comparison.cluster import RayCluster

        return RayCluster(self.cluster)

    def _study(self, executor: Executor) -> Study:
        clock, amount = self._clock()
        arms = tuple(self._arm(text) for text in self.arms)
        if self.controls:
            arms = with_controls(arms, clock)
        # After the controls, which are copies of the annealed arm's experiment.
        arms = tuple(arm.with_threads(executor.threads) for arm in arms)
        first = self.baseline or (first_control(arms) if self.controls else arms[0].name)
        start = f"LABEL=EXPERIMENT,init-from={first}"
        refuse(first, f"--baseline names an arm, which is trained as the others are (one that starts there is {start})")
        if first not in [arm.name for arm in arms]:
            raise ValueError(f"--baseline must name an arm, got {first!r}. {nearest(first, {a.name: a for a in arms})}")
        return Study(arms[0].name, arms, seeds_of(self.seeds), clock, amount, first)

    def __call__(self, typed: str) -> None:
        """Run and print the table."""
        # First, since the arms share the threads that it has for each run.
        executor = self._executor()
        study = self._study(executor)
        # Before anything runs, as each choice can still be given otherwise.
        for name, settings in self.chosen.items():
            say(f"{name}: {choices_as_text(settings)}")
        try:
            results = compare(study, self.folder, executor, say=say, command=typed, chosen=encode(self.chosen))
        except Interrupted as stop:
            kept = f"stopped; finished runs are kept in {self.folder}. The same command goes on."
            raise Interrupted(stop.signum, kept) from None
        print(results.table())
        print(f"{self.folder}/table.md, {self.folder}/results.json")


def _named(text: str) -> tuple[str | None, str]:
    """Label and experiment of an arm."""
    label, equals, name = text.partition(",")[0].partition("=")
    return (label, name) if equals else (None, label)


def _own(text: str) -> list[str]:
    """The changes of an arm as options."""
    # A comma ends a change, so no value here can hold one; give such an option for all arms.
    changes = text.split(",")[1:]
    if not all(change and not change.startswith("-") for change in changes):
        raise ValueError(f"changes of an arm are OPTION=VALUE, or a SWITCH such as flip, without dashes, got {text!r}.")
    return [f"--{change}" for change in changes]


def _refuse_what_the_study_sets(arguments: Sequence[str]) -> None:
    for argument in arguments:
        option = argument.partition("=")[0]
        if option == "--seed":
            raise ValueError("--seed is the study's to set; give --seeds 3, or a list as --seeds 0,3,7.")
        if option.startswith("--budget."):
            clock = option.removeprefix("--budget.").replace("_", "-")
            raise ValueError(f"{option} is the study's to set, the same for every arm; give --{clock} AMOUNT.")
