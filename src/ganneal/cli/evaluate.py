"""`ganneal evaluate`: measure a trained run, or any two sets of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ganneal.cli.command import Command, say
from ganneal.cli.fields import ARGUMENT, Typed
from ganneal.data import Reading
from ganneal.data.classes import Classes
from ganneal.data.decode.images import Fit, ImageSize, Levels, OnDamaged
from ganneal.data.messages import OWN, spelled
from ganneal.evaluation.records import keep_records, records_as_text
from ganneal.evaluation.stored import LINE_ON_FID, Settings, evaluate_images, evaluate_run
from ganneal.evaluation.suited import EVALUATION_SEEDS
from ganneal.inference.generator import SamplerName, Truncation, TruncationForm
from ganneal.inference.zoo import is_named, refuse
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig
from ganneal.metrics.measures import DEFAULT_METRICS, METRICS
from ganneal.metrics.protocol import Record
from ganneal.models.parts.batch_norm import Statistics
from ganneal.registry import lookup


@dataclass(frozen=True)
class EvaluateCommand(Command):
    """Measure the last and the best weights of a run against its data, or one set of images against another. Every
    value comes with its protocol; RUN/evaluation.jsonl keeps them.

    Values are called FID, KID or IS with the 2015 Inception weights only (--extractor inception); else by their
    extractor. No weights are ever downloaded here: `ganneal fetch inception` does it once, on request."""

    parts = {"extractor": ("extractor", EXTRACTORS)}
    usage = ("RUN [options]", "RUN --real PATH [options]", "--real PATH --fake PATH [options]")

    run: Annotated[str | None, ARGUMENT] = None
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: tuple[str, ...] = ()
    """last | best | snapshots by their numbers of real images; left out, last and, where there are any, best."""
    real: str | None = None
    """Real images: a folder, a .zip, an .npz or an .npy file; or mean and covariance, as `ganneal data statistics`,
    pytorch-fid and ADM write them. With a run, in place of its data and read as its data; else with --fake."""
    real_count: int | None = None
    """Images behind a mean and covariance that do not say it."""
    fake: str | None = None
    """Generated images, in place of a run."""
    size: ImageSize | None = None
    """With --fake, resample all images to this side, or to WIDTHxHEIGHT; left out, they must be of one size."""
    channels: int | None = None
    """1 reads them as grey, 3 in colours, 4 with transparency; left out, a set is grey where all of its images are."""
    fit: Fit = "crop"
    """Images of another shape are cropped in the middle, padded with black, or stretched."""
    on_damaged: OnDamaged = "fail"
    """What to do about images that cannot be read: name them and stop, or name them and go on without."""
    levels: Levels | None = None
    """Of data of more than 8 bits, the lowest and the highest level, which become 0 and 255."""
    data_path: Annotated[str | None, Typed(name="data.path", value="PATH")] = None
    """Where the data of the run lies now; left out, it is looked for where it was, and where it lay from the run."""
    held_out_path: Annotated[str | None, Typed(name="held-out.path", value="PATH")] = None
    """The same of its held-out data."""
    accept_changed_data: bool = False
    """Measure against data that is not what the run was trained on, which every record then says."""
    extractor: ExtractorConfig | None = None
    """Feature network, with a file of weights by --extractor.path; left
    out, the one that the run names, or the one that suits the images."""
    metrics: Annotated[tuple[str, ...], Typed(names=tuple(METRICS))] = tuple(
        name for name, metric in METRICS.items() if metric in DEFAULT_METRICS
    )
    """Names of metrics."""
    count: int = 10_000
    """Samples drawn from a run."""
    sampler: SamplerName | None = None
    """What they are drawn from: the averaged generator, the generator as trained (raw), or that one with its pushes;
    left out, what the run was followed by."""
    statistics: Statistics | None = None
    """What the generator's batch norm runs on; left out, the running statistics, or what the run's averaging says."""
    truncation: float | None = None
    """Truncation of the latents."""
    truncation_form: TruncationForm = "resample"
    """Entries beyond it are redrawn until within, or all are multiplied by it."""
    classes: Classes = "data"
    """How often each class is drawn: as often as the data has it, or all alike."""
    seeds: tuple[int, ...] = EVALUATION_SEEDS
    """Evaluation seeds; each draws other samples, and the interval is over them."""
    out: str | None = None
    """File for the records, a JSON line each; of a run it is RUN/evaluation.jsonl if left out."""

    @property
    def reading(self) -> Reading:
        """How the images of --real and --fake are read; with a run, where it is not as its data."""
        return Reading(
            size=self.size, channels=self.channels, fit=self.fit, on_damaged=self.on_damaged, levels=self.levels
        )

    def _check(self) -> None:
        """Refuse options that do not go with what is measured."""
        if (self.run is None) == (self.fake is None) or (self.run is None and self.real is None):
            raise ValueError(
                f"give a run, with --real or without, or both --real and --fake, got run={self.run}, "
                f"real={self.real}, fake={self.fake}."
            )
        if self.real is None and (self.reading != Reading() or self.real_count is not None):
            raise ValueError(
                "--size, --channels, --fit, --on-damaged, --levels and --real-count are for --real, not for a run "
                "alone."
            )
        if self.run is None and (self.statistics is not None or self.truncation is not None or self.classes != "data"):
            raise ValueError(
                "--statistics, --truncation and --classes are for a run, whose generator draws; leave them out with "
                "--real and --fake."
            )
        if self.real is not None and (self.accept_changed_data or self.data_path or self.held_out_path):
            raise ValueError(
                "--data.path, --held-out.path and --accept-changed-data are for a run against its own data: leave "
                "them out."
            )
        for side in (self.real, self.fake):
            refuse(side or "", "--real and --fake take files of images")

    def __call__(self, typed: str) -> None:
        """Measure, write and print."""
        self._check()
        # Every name is looked up before anything is loaded: a misspelt one must not cost a measurement.
        metrics = tuple(lookup("metric", METRICS, name) for name in self.metrics)
        records = self._measured(Settings(metrics, self.count, self.seeds, self.classes))
        if not records:
            raise ValueError(f"nothing could be measured with {', '.join(self.metrics)}; the lines above say why.")
        print(records_as_text(records))
        # what ships lies among the installed files, which are no place for records
        own = None if self.run is None or is_named(self.run) else f"{self.run}/evaluation.jsonl"
        if out := self.out or own:
            keep_records(records, Path(out))
            print(f"records: {Path(out)}")
        elif self.run is not None:
            print("records are not kept of what ships: --out FILE keeps them")
        # Values of other networks are no FID, and their reader is told how to get one.
        if not any(record.name.startswith("FID") for record in records):
            print(LINE_ON_FID)

    def _measured(self, settings: Settings) -> list[Record]:
        how: dict[str, Any] = {
            "settings": settings,
            "extractor": self.extractor,
            "reading": self.reading,
            "real_count": self.real_count,
            "say": say,
        }
        # Messages advise options of reading images only where this command takes them: with --real.
        with spelled(None if self.real is None else OWN):
            if self.run is None:
                assert self.real is not None and self.fake is not None
                return evaluate_images(self.real, self.fake, **how)
            return evaluate_run(
                self.run,
                checkpoints=self.checkpoint or None,
                sampler=self.sampler,
                statistics=self.statistics,
                truncation=None if self.truncation is None else Truncation(self.truncation, self.truncation_form),
                data_path=self.data_path,
                held_out_path=self.held_out_path,
                accept_changed_data=self.accept_changed_data,
                real=self.real,
                **how,
            )
