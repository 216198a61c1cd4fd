"""The caller's loop around the engine: log, sample, evaluate, checkpoint, stop. Plain code, on the num_real clock."""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from ganneal.data import Dataset, Source, load_like, reporting
from ganneal.data.classes import class_counts
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.evaluation.run_data import (
    SOURCE_WORDS,
    Compared,
    KnownData,
    SourceField,
    check_apart,
    check_identity,
    found_again,
    recorded_places,
)
from ganneal.experiment import Experiment
from ganneal.ranks import ALONE, Ranks
from ganneal.stop import REMEDY, NonFinite, Row, Stop, TrainingStopped
from ganneal.storage.encoding import encode
from ganneal.storage.pictures import class_rows, picture, save_png, scatter
from ganneal.storage.run_directory import RunDirectory
from ganneal.storage.weight_files import export, players_of
from ganneal.training.course import Course
from ganneal.training.display import Display
from ganneal.training.evaluations import Evaluations
from ganneal.training.followers import Decision, broadcasting, follow, gather_unlogged, initial_state, to_bytes
from ganneal.training.forewarning import about_classes, forewarnings, to_use_classes
from ganneal.training.initial_weights import take_weights
from ganneal.training.interruption import Interrupted, Interruption
from ganneal.training.launch import launched
from ganneal.training.trackers import Trackers, check_installed

GRID_SEED = 0
CHECKPOINTS_KEPT = "Checkpoints before this point are untouched."


def train(
    experiment: Experiment,
    out: str | Path,
    *,
    progress: bool = False,
    command: str | None = None,
    chosen: Mapping[str, Any] | None = None,
    accept_changed_data: bool = False,
) -> Run:
    """Train ``experiment`` in the directory ``out``, or go on where it stopped; blocks until a budget is reached.

    The same call resumes, with a larger budget too, in the middle of a round if need be, with the same bits as a run
    that was never stopped (same machine, same number of threads).

    With ``experiment.devices`` or ``nodes`` above 1 every process comes here; the first writes, all return.

    Args:
        progress: Show a bar and what is written, on standard error.
        command: What a person typed to get here, for the record.
        chosen: What was chosen automatically, as plain values, for the record.
        accept_changed_data: Go on where the data are not those that the run began with, and record it.
    Returns:
        The finished run, its players in memory.
    Raises:
        ValueError: The experiment cannot be run, ``out`` holds a run of another one, or of other data.
        TrainingStopped: It diverged or collapsed; a ValueError too.
        Interrupted: SIGINT or SIGTERM came; the state is saved. A script that does not catch it prints where, and
            ends with status 130 or 143.
        OSError: Something could not be written, or another process of the run is lost; the last checkpoint stands.
    """
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"experiment must be an Experiment, got {experiment!r}; named ones are functions in ganneal.experiments."
        )
    directory = RunDirectory(out)
    check_identity(directory, experiment, command)
    experiment = found_again(experiment, directory)
    check_apart(experiment, directory)
    # Parts that do not go together are refused here, before a process is started or anything is written.
    with launched(experiment) as ranks, ExitStack() as held:
        if not ranks.leads:
            return follow(experiment, ranks)
        display, began = Display(progress), monotonic()
        with broadcasting(ranks) as told:
            # One process writes to a run at a time; the lock goes with the process, however it ends.
            held.enter_context(directory.locked())
            interruption = held.enter_context(Interruption())
            held.enter_context(display)
            session = Session(experiment, directory, display, command, chosen, ranks, accept_changed_data, began)
            held.callback(session.trackers.close)
            told.append(session.initial_state)
        stop = session.loop(interruption)
        # A signal may have come to another rank than this one, and the checkpoint holds the meters of all of them.
        signum = gather_unlogged(session.run, interruption)
        with broadcasting(ranks):
            session.end(stop, signum)
    return session.run


def restore(run: Run, state: dict[str, Any], directory: RunDirectory) -> None:
    """Continue ``run`` from the training state of a checkpoint in ``directory``.

    Raises:
        ValueError: It is whole, and yet no state of this experiment.
    """
    try:
        run.load_state_dict(state)
    except Exception as error:  # as many types as there are parts of a run
        raise ValueError(
            f"the newest checkpoint in {directory.checkpoints} holds no state of this experiment "
            f"({type(error).__name__}: {error}); remove it to go on from the one before."
        ) from error


class Session:
    """One process's part of a run: the run in memory, its directory, and what was last written when."""

    def __init__(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        display: Display,
        command: str | None = None,
        chosen: Mapping[str, Any] | None = None,
        ranks: Ranks = ALONE,
        accept_changed_data: bool = False,
        began: float | None = None,  # by time.monotonic, for the time limit
    ):
        self.experiment, self.directory, self.display = experiment, directory, display
        self.command, self.chosen = command, chosen
        self.records = experiment.records
        display.say(f"reading {experiment.data}")
        self.known = KnownData(directory, command=command)
        self.compared: dict[SourceField, Compared] = {}
        """The data beside what the run began with."""
        # Before the data are read, which may take minutes.
        self.known.check_extractor(experiment.records.extractor)
        check_installed(experiment.records)
        with reporting(display.reading):
            dataset, held_out = self._read(accept_changed_data)
            self.run = Run(experiment, dataset, ranks)
        classes = self.run.pair.num_classes if dataset.is_images else 0
        self.labels, self.columns = class_rows(classes, self.records.sample_count) if classes else (None, None)
        """Labels and columns of the pictures of samples: a row for each class where there are any."""
        if self.labels is not None:
            # The grid of real images has the classes of the grid of samples, row by row.
            self.real = self.run.data.examples(self.labels)
        else:
            self.real = self.run.data.batch(0, min(self.records.sample_count, len(dataset))).samples.cpu()
        self.evaluations = self._evaluations(held_out) if self.records.evaluate_count else None
        content = directory.load_checkpoint(experiment.changes_from)
        self.course = Course(self.run, self.evaluations, display, began)
        self.trackers = Trackers(self.records, directory.path, display.say)
        self._begin() if content is None else self._resume(content)
        # After `_begin` or `_resume`, so that weights taken from another run are part of it.
        state = self.run.state_dict() if content is None else content["state"]
        self.initial_state = (
            initial_state(experiment, self.compared["data"].identity, state) if ranks.count > 1 else None
        )
        """The state that every other rank begins with."""
        self._say_disk_use()
        self.saved_at = monotonic()
        self.course.begin(directory.rows())

    def _read(self, accept: bool) -> tuple[Dataset, Dataset | None]:
        """The data and the held-out data, both compared with what the run began with."""
        dataset = self._compared("data", self.experiment.data, self.experiment.data.load(), accept)
        self.known.check_classes(dataset)
        source = self.records.held_out
        if source is None or not self.records.evaluate_count:  # nobody looks at them
            return dataset, None
        return dataset, self._compared("held_out", source, load_like(source, dataset), accept)

    def _compared(self, key: SourceField, source: Source, dataset: Dataset, accept: bool) -> Dataset:
        self.compared[key] = self.known.compared(key, source, dataset, accept=accept)
        for change in self.compared[key].changes:
            self.display.say(f"warning: going on with other {SOURCE_WORDS[key]} than before: {change}")
        return dataset

    def _evaluations(self, held_out: Dataset | None) -> Evaluations:
        with reporting(self.display.reading):
            return Evaluations(self.run, self.directory, self.display, held_out, self.known.suited_extractor())

    def _describe(self) -> None:
        """Write everything resolved, with the shape and identity of the data and the command that does it."""
        experiment, dataset, num_classes = self.experiment, self.run.data.dataset, self.run.pair.num_classes
        identities = {
            key: self.known.record(key, self.compared.get(key), self.run.counters.num_real) for key in SOURCE_WORDS
        }
        data = {
            "shape": list(dataset.shape),
            "num_classes": num_classes,
            "class_counts": class_counts(dataset.labels, num_classes),
            **dataset.description,
            **(identities["data"] or {}),
        }
        content = {
            "command": self.command,
            "experiment": encode(experiment),
            "sampler": experiment.sampler,
            "chosen": dict(self.chosen or {}),
            "class_rows": list((self.labels or ())[:: self.columns]),
            "data": data,
            "held_out": identities["held_out"],
            "suited_extractor": self._suited_extractor(),
            "places": recorded_places(experiment, self.directory),
        }
        # At each start anew: a resumption may change the budget, the records and the device.
        self.directory.describe(content)

    def _suited_extractor(self) -> dict[str, Any] | None:
        """The extractor that was chosen for the data where nobody named one, so that the run goes on with it."""
        if self.evaluations is None:
            return (self.known.content or {}).get("suited_extractor")  # without evaluations for once: it stays known
        return encode(self.evaluations.evaluator.chosen) if self.records.extractor is None else None

    def _begin(self) -> None:
        if self.experiment.init_from is not None:
            taken = take_weights(self.run, self.experiment.init_from)
            self.display.say(f"{taken.line}; which, and which begin anew: {taken.write(self.directory)}")
        # A run that was killed before its first checkpoint may have left rows.
        self.directory.truncate_metrics(0)
        self._describe()
        how_to = None if self.chosen is None or self.command is None else to_use_classes(self.command, self.directory)
        if classes := about_classes(self.run.data.dataset, bool(self.run.pair.num_classes), how_to):
            self.display.say(classes)
        for warning in forewarnings(self.experiment):
            self.display.say(f"warning: {warning}")
        self.trackers.begin(0, encode(self.experiment))
        real = picture(self.real, self.columns) if self.real.dim() == 4 else scatter(self.real[:, :2])
        save_png(real, self.directory.samples / "real.png")
        self.trackers.picture("real", real, 0)
        self._draw()
        if self.evaluations is not None:
            row = self.run.counters.as_dict() | self.evaluations.measure()
            self.directory.append(row)
            self.trackers.row(row)
            self.evaluations.watch(row)

    def _resume(self, content: dict[str, Any]) -> None:
        state, now = content["state"], torch.get_num_threads()
        if (before := state["threads"]) != now:
            warnings.warn(
                f"this run was made with {before} threads and goes on with {now}; the bits will differ. "
                f"Use --threads {before} to repeat them.",
                stacklevel=4,
            )
        restore(self.run, state, self.directory)
        # Rows that were written after the checkpoint belong to steps that are about to be made again.
        self.directory.truncate_metrics(content["metrics_bytes"])
        if self.evaluations is not None:
            self.evaluations.recall(self.directory.rows(), content["best_state"])
        self._describe()
        self.trackers.begin(self.run.counters.num_real, encode(self.experiment))
        self.display.say(f"resuming {self.directory.path} at {self.run.counters.num_real:,} real images")

    def loop(self, interruption: Interruption) -> Stop | None:
        """Drain the engine until its budget, a stop rule or a signal ends it."""
        # NaN first: a gap of NaN is beyond no limit.
        rules = (NonFinite(), self.experiment.losing_touch)
        for row in engine.training_rows(self.run, interruption, self.course.enough):
            with broadcasting(self.run.ranks) as told:
                if self.course.picture_due():
                    self._draw()
                # Before the row is written, as evaluations and rollbacks add to it.
                self.course.begin_row(row)
                collapse, rolled_back = self._follow(row)
                self.course.follow(row)
                self._record(row)
                stop = next((found for rule in rules if (found := rule(row))), collapse)
                skip_fit = stop is None and self._go_on(row)
                if stop is None and self.course.snapshot_due():
                    self._keep()
                if stop is None and monotonic() - self.saved_at >= self.records.checkpoint_seconds:
                    self.save()
                self.course.show(row)
                # The other ranks step on only when they know what the first one decided: they must make the same moves.
                told.append(Decision(stop is not None, skip_fit, rolled_back))
            if stop is not None:
                return stop
        return None

    def _follow(self, row: Row) -> tuple[Stop | None, bytes | None]:
        """Decide if a collapse ends the run; return this and, for other ranks, the state it was rolled back to."""
        if self.evaluations is None:
            return None, None
        before = self.evaluations.rollbacks
        collapse = self.evaluations.follow(row)
        if self.evaluations.rollbacks == before or self.run.ranks.count == 1:
            return collapse, None
        assert self.evaluations.best_state is not None
        return collapse, to_bytes(self.evaluations.best_state)

    def _go_on(self, row: Row) -> bool:
        """Say so where the players have lost touch and the run goes on all the same; whether it skips the fit."""
        reason = self.experiment.losing_touch.reason(row)
        skip = reason is not None and self.experiment.divergence.on_diverge == "skip"
        if skip:
            self.run.skip_fit()
        if reason is not None:
            after = "; the generator is not fitted to this round's pool" if skip else ""
            self.display.say(f"warning: {reason}{after}")
        return skip

    def _record(self, row: Row) -> None:
        self.directory.append(row)
        self.trackers.row(row)

    def _picture(self, samples: torch.Tensor) -> Any:
        return picture(samples, self.columns) if samples.dim() == 4 else scatter(self.real[:, :2], samples[:, :2])

    def _draw(self) -> Path:
        path = self.directory.samples / f"{self.run.counters.num_real:09d}.png"
        count = self.records.sample_count if self.labels is None else len(self.labels)
        # The same latents in every picture, so that the samples can be followed through training.
        with self.course.timing("picture"):
            drawn = self._picture(self.run.sampler().sample(count, GRID_SEED, labels=self.labels))
            save_png(drawn, path)
            self.trackers.picture("samples", drawn, self.run.counters.num_real)
        return path

    def save(self) -> Path:
        """A checkpoint now.

        Raises:
            ValueError: A weight is NaN or infinite; the checkpoints before stand.
        """
        # Asked once a checkpoint: NaN weights would push out the last state that can be gone on from.
        self._check_finite()
        best_state = None if self.evaluations is None else self.evaluations.best_state
        with self.course.timing("save"):
            path = self.directory.save_checkpoint(self.run.state_dict(), self.experiment.identity(), best_state)
        self.saved_at = monotonic()
        return path

    def _check_finite(self) -> None:
        if not self.run.is_finite():
            raise TrainingStopped(f"training stopped: a weight is NaN or infinite; {REMEDY}. {CHECKPOINTS_KEPT}")

    def _keep(self) -> None:
        """A snapshot of the weights now, which no later one replaces."""
        self._check_finite()
        folder = self.directory.snapshots / f"{self.run.counters.num_real:09d}"
        export(folder, self.directory, self.run.state_dict(), self.run.pair.parameters)
        size = sum(file.stat().st_size for file in folder.iterdir())
        drawn = f"ganneal sample {self.directory.path} --checkpoint {self.run.counters.num_real}"
        self.display.say(f"kept {folder}, {size / 1e6:.2f} MB; {drawn}")

    def _say_disk_use(self) -> None:
        """Announce the disk space that the run's snapshots will take, before the first is kept."""
        every, budget = self.records.keep_every, self.experiment.budget
        if not every:
            return
        players = players_of(self.run.state_dict()).values()
        size = sum(tensor.nbytes for weights in players for tensor in weights.values())
        updates = None if budget.d_updates is None else budget.d_updates * self.experiment.batch_size
        ends = [end for end in (budget.num_real, updates) if end is not None]
        # A snapshot is kept where a row is logged.
        most = min(ends, default=0) // max(every, self.records.log_every)
        total = f", at most {most:,} of them, {most * size / 1e6:,.1f} MB" if ends else ""
        self.display.say(f"snapshots every {every:,} real images: {size / 1e6:,.2f} MB each{total}")

    def end(self, stop: Stop | None, signum: int | None) -> None:
        """Save for the next time where a signal came, else `finish`."""
        if signum is not None and stop is None:
            path = self.save()
            same = "call" if self.command is None else "command"
            raise Interrupted(signum, f"stopped by a signal; saved {path}. The same {same} resumes.")
        self.finish(stop)

    def finish(self, stop: Stop | None) -> None:
        """The last checkpoint, grid and weights; or what went wrong."""
        if stop is not None and not stop.save:
            raise TrainingStopped(f"training stopped: {stop.reason}. {CHECKPOINTS_KEPT}")
        # The checkpoint first: if drawing or exporting fails, the same call has nothing to train again.
        self.save()
        grid = self._draw()
        if stop is not None:
            raise TrainingStopped(f"training stopped: {stop.reason}. The state is saved, its samples are {grid}.")
        final = export(self.directory.path / "final", self.directory, self.run.state_dict(), self.run.pair.parameters)
        counters = self.run.counters
        self.display.say(self.course.last_words(self.directory.path))
        self.display.say(
            f"{counters.num_real:,} real images, {counters.d_updates:,} D updates, {counters.g_updates:,} G updates, "
            f"{counters.seconds:.1f} s of training"
        )
        self.display.say(f"samples: {grid}\nweights: {final}")
