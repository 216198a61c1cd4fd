"""`ganneal train`: train a named experiment, or your own images."""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import getdoc
from typing import Annotated, Any

from ganneal.cli.command import Command, say
from ganneal.cli.configure import EXPERIMENT_PARTS, asked_by, configure
from ganneal.cli.fields import ARGUMENT, REST, Typed
from ganneal.cli.help import aligned_table, paragraph
from ganneal.cli.options import Parts, peek
from ganneal.data.messages import TRAINING
from ganneal.experiment import Budget, Experiment
from ganneal.experiments import EXPERIMENTS, RECIPES, Choice, run_name
from ganneal.experiments.named import automatic_choices, choices_as_text, resolve
from ganneal.storage.encoding import encode
from ganneal.storage.run_directory import RunDirectory
from ganneal.training.launch import leads
from ganneal.wording import seconds_of

COMMON = {
    "--seed N": "Number that fixes every random draw.",
    "--scheme.levels N": "Levels of a nested scheme (N_d).",
    "--budget.num-real N": "Stop after this many real images; also .d-updates, .g-updates, .seconds.",
    "--precision bf16": "bfloat16 mixed precision: twice as fast on CPUs that compute in it, slower on others.",
    "--threads N": "CPU threads.",
    "--device NAME": "cpu, cuda, ...",
    "--devices N": "Processes that share each batch, one for a GPU; also --nodes. Batch norm sees one's part.",
}


@dataclass(frozen=True)
class TrainCommand(Command):
    """Train an experiment or your own images. The same command continues a stopped run."""

    usage = ("EXPERIMENT [options]", "PATH [options]        a folder of images, a .zip, an .npz or an .npy file")
    opens = "experiment"
    prefix = TRAINING

    experiment: Annotated[str, ARGUMENT]
    recipe: Annotated[str | None, Typed(value="NAME", names=tuple(RECIPES))] = None
    """Network with all its settings."""
    out: str | None = None
    """Run directory. Default: runs/EXPERIMENT."""
    time: Annotated[str | None, Typed(name="for", value="TIME")] = None
    """Time of the whole run, as 45s, 30min, 2h, overnight (8 h); for your own images it decides the width too."""
    dry_run: bool = False
    """Print the resolved experiment and its first round; train nothing."""
    accept_changed_data: bool = False
    """Continue although the data has changed since the run began, and record the change."""
    changes: Annotated[tuple[str, ...], REST] = ()
    """Options of the experiment."""

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The experiments, and the parts."""
        outer = {path: " | ".join(names) for path, (_, names) in EXPERIMENT_PARTS.items() if "." not in path}
        switches = {f"--{path.replace('_', '-')}": names for path, names in outer.items()}
        return {"experiments": _listed(), "put another part in place": aligned_table(switches)}

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """The options of an experiment that most people need."""
        return COMMON

    def everything(self) -> tuple[Any, Parts]:
        """The experiment."""
        return self._configured, EXPERIMENT_PARTS

    @cached_property
    def chosen(self) -> dict[str, Choice] | None:
        """The automatic choices: those stored in the run, else new ones."""
        # What was chosen lies in the run's directory, whose name depends on the seed: it is needed before the rest.
        # A seed that is no number is refused where it is parsed.
        seed = peek(self.changes, "--seed") or ""
        name = run_name(self.experiment) + (f"-{self.recipe}" if self.recipe else "")
        stored = RunDirectory(self.out or _directory(name, int(seed) if seed.isdecimal() else 0))
        limits = None if self.time is None else {"seconds": seconds_of(self.time, "--for")}
        found = automatic_choices(self.experiment, stored.automatic_choices(), asked_by(self._given, limits=limits))
        if found is None or self.recipe is None:
            return found
        found.pop("augmentation", None)  # the recipe's own
        return found | {"recipe": Choice(self.recipe, "as given")}

    @property
    def _given(self) -> list[str]:
        """The options that make the experiment."""
        return [*(() if self.recipe is None else ("--recipe", self.recipe)), *self.changes]

    @cached_property
    def _configured(self) -> Experiment:
        """The experiment with everything that was typed."""
        experiment = configure(resolve(self.experiment, self.chosen), self._given, self.experiment, self.chosen)
        names = [word.partition("=")[0].replace("_", "-") for word in self.changes]
        typed = [name for name in names if name.startswith("--budget.") or name == "--time-limit"]
        if self.time is not None:
            if typed:
                raise ValueError(f"--for sets the budget, and {typed[0]} another; leave one of them out.")
            experiment = replace(experiment, budget=Budget(), time_limit=seconds_of(self.time, "--for"))
        if (typed or self.time is not None) and "--records.patience" not in names:  # whoever says how long means it
            experiment = replace(experiment, records=replace(experiment.records, patience=None))
        return experiment

    @cached_property
    def width(self) -> Choice | None:
        """The width of the networks for own images, by the time they are given; None where nothing changes it."""
        experiment, chosen = self._configured, self.chosen
        if chosen is None or any(word.startswith("--model") for word in self.changes):
            return None
        if "model.width" in chosen:  # as the run began
            return chosen["model.width"]
        if experiment.time_limit is None or self.time is None or experiment.ranks > 1:
            return None
        if not hasattr(experiment.model, "width"):
            return None
        from ganneal.training.width import width_for

        say(f"measuring how fast this machine trains, for --for {self.time}")
        return Choice(*width_for(experiment, experiment.time_limit))

    @cached_property
    def resolved(self) -> Experiment:
        """The experiment as it is trained."""
        if self.width is None:
            return self._configured
        model = replace(self._configured.model, width=self.width.value)  # type: ignore[type-var]
        return replace(self._configured, model=model)

    def __call__(self, typed: str) -> int:
        """Train, or print what would be done."""
        experiment, directory = self.resolved, self.out or _directory(self.resolved.name, self.resolved.seed)
        chosen = self.chosen
        if chosen is not None and self.width is not None:
            chosen = chosen | {"model.width": self.width}
        # Of several processes one speaks. The output of a dry run is the answer; a training has only its messages.
        if chosen is not None and leads(experiment):
            print(choices_as_text(chosen, experiment), file=sys.stdout if self.dry_run else sys.stderr)
        if self.dry_run:
            # Here and below, lest --help wait for the engine.
            from ganneal.training.dry_run import dry_run

            starts, text = dry_run(
                experiment,
                RunDirectory(directory),
                shlex.join(word for word in shlex.split(typed) if word != "--dry-run"),
                accept_changed_data=self.accept_changed_data,
                own_images=chosen is not None,
            )
            print(text)
            return 0 if starts else 2
        from ganneal.training.session import train

        record = None if chosen is None else encode(chosen)
        accept = self.accept_changed_data
        train(experiment, directory, progress=True, command=typed, chosen=record, accept_changed_data=accept)
        return 0


def _listed() -> str:
    """The experiments on each data set, which a description names before its first comma or bracket."""
    groups: dict[str, list[str]] = {}
    for name, make in EXPERIMENTS.items():
        # "MNIST" of "MNIST (28 px), nested annealed training."
        groups.setdefault(re.split(r",| \(", getdoc(make) or "")[0], []).append(name)
    return "\n".join(paragraph(f"{title}: {', '.join(names)}") for title, names in groups.items())


def _directory(name: str, seed: int) -> str:
    return f"runs/{name}" + (f"-seed{seed}" if seed else "")
