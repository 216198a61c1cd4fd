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
    """Weights to measure: last, best, or snapshots by their numbers of real images. Default: last, and best where it
    exists."""
    real: str | None = None
    """Real images: a folder, a .zip, an .npz or an .npy file. Or mean and covariance, written by `ganneal data
    statistics`, pytorch-fid or ADM. With a run, they replace its data and are read like it. Without a run, give --fake
    too."""
    real_count: int | None = None
    """Number of images behind a mean and covariance, where their file does not say it."""
    fake: str | None = None
    """Generated images, in place of a run."""
    size: ImageSize | None = None
    """With --fake: resample all images to this side, or to WIDTHxHEIGHT. Default: their own size, which must be the
    same for all."""
    channels: int | None = None
    """1 for grey, 3 for colour, 4 with transparency. Default: grey if all images of the set are grey."""
    fit: Fit = "crop"
    """Treatment of images of another shape: crop the middle, pad with black, or stretch."""
    on_damaged: OnDamaged = "fail"
    """Stop at images that cannot be read, or skip them. Both name them."""
    levels: Levels | None = None
    """Lowest and highest level of data of more than 8 bits, which become 0 and 255."""
    data_path: Annotated[str | None, Typed(name="data.path", value="PATH")] = None
    """Present place of the run's data. Default: the recorded place, then its place relative to the run."""
    held_out_path: Annotated[str | None, Typed(name="held-out.path", value="PATH")] = None
    """Present place of the run's held-out data, with the same default."""
    accept_changed_data: bool = False
    """Measure although the data has changed since training. Every record then says so."""
    extractor: ExtractorConfig | None = None
    """Feature network, with its file of weights in --extractor.path. Default: the run's own, else the one that suits
    the images."""
    metrics: Annotated[tuple[str, ...], Typed(names=tuple(METRICS))] = tuple(
        name for name, metric in METRICS.items() if metric in DEFAULT_METRICS
    )
    """Metrics to compute."""
    count: int = 10_000
    """Samples drawn from a run."""
    sampler: SamplerName | None = None
    """Source of the samples: the averaged generator, the generator as trained (raw), or the latter followed by its
    pushes. Default: the source that the run's own evaluations used."""
    statistics: Statistics | None = None
    """Statistics for the generator's batch norm. Default: the running statistics, or the run's own setting
    (averaging.statistics)."""
    truncation: float | None = None
    """Truncation of the latents, in standard deviations."""
    truncation_form: TruncationForm = "resample"
    """Redraw the entries beyond the truncation until they are within, or multiply all entries by it."""
    classes: Classes = "data"
    """Share of each class among the samples: as in the data, or uniform."""
    seeds: tuple[int, ...] = EVALUATION_SEEDS
    """Evaluation seeds. Each draws other samples; the interval is over the seeds."""
    out: str | None = None
    """File for the records, one JSON line each. Default for a run: RUN/evaluation.jsonl."""

    @property
    def reading(self) -> Reading:
        """The settings for reading the images of --real and --fake; with a run, those that differ from its data's."""
        return Reading(
            size=self.size, channels=self.channels, fit=self.fit, on_damaged=self.on_damaged, levels=self.levels
        )

    def _check(self) -> None:
        """Refuse options that contradict the kind of measurement."""
        if (self.run is None) == (self.fake is None) or (self.run is None and self.real is None):
            raise ValueError(
                f"give a run (with or without --real), or both --real and --fake, got run={self.run}, "
                f"real={self.real}, fake={self.fake}."
            )
        if self.real is None and (self.reading != Reading() or self.real_count is not None):
            raise ValueError(
                "--size, --channels, --fit, --on-damaged, --levels and --real-count are for --real, not for a run "
                "alone."
            )
        if self.run is None and (self.statistics is not None or self.truncation is not None or self.classes != "data"):
            raise ValueError(
                "--statistics, --truncation and --classes need a run, whose generator draws samples; leave them out "
                "with --real and --fake."
            )
        if self.real is not None and (self.accept_changed_data or self.data_path or self.held_out_path):
            raise ValueError(
                "--data.path, --held-out.path and --accept-changed-data need a run measured against its own data; "
                "leave them out."
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
            print("records of shipped generators are not kept; keep them with --out FILE")
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
