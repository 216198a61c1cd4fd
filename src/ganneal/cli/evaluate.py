"""`ganneal evaluate`: measure a trained run, or any two sets of images."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ganneal.cli.help import help_of
from ganneal.cli.options import Parts, PlaceOption, parse, switch_parts
from ganneal.data import Reading
from ganneal.data.classes import Classes
from ganneal.data.decode.images import Fit, Levels, OnDamaged
from ganneal.data.messages import OWN, spelled
from ganneal.evaluation.stored import LINE_ON_FID, Settings, evaluate_images, evaluate_run
from ganneal.evaluation.suited import EVALUATION_SEEDS
from ganneal.inference.generator import Truncation, TruncationForm
from ganneal.inference.zoo import is_named, refuse
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig
from ganneal.metrics.measures import DEFAULT_METRICS, METRICS
from ganneal.metrics.protocol import MetricProtocol, Record
from ganneal.models.parts.batch_norm import Statistics
from ganneal.registry import lookup
from ganneal.storage.atomic import write_bytes

EVALUATE_PARTS: Parts = {"extractor": ("extractor", EXTRACTORS)}
USAGE = ["RUN [options]", "--real PATH --fake PATH [options]"]


@dataclass(frozen=True)
class EvaluateOptions:
    """Measure the last and the best weights of a run against its data, or one set of images against another. Every
    value comes with its protocol; RUN/evaluation.jsonl keeps them.

    Values are called FID, KID or IS with the 2015 Inception weights only (--extractor inception); else by their
    extractor. No weights are ever downloaded here: `ganneal fetch inception` does it once, on request."""

    run: Annotated[str | None, tyro.conf.Positional] = None
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: tuple[str, ...] = ()
    """last | best | snapshots by their numbers of real images; left out, last and, where there are any, best."""
    real: str | None = None
    """Real images: a folder, a .zip, an .npz or an .npy file; with --fake, in place of a run."""
    fake: str | None = None
    """Generated images, in the same forms."""
    size: int | None = None
    """Resample all images of --real and --fake to this side; left out, images not all of one size are refused."""
    channels: int | None = None
    """1 reads them as grey, 3 in colours; left out, a set is grey where all of its images are."""
    fit: Fit = "crop"
    """Images that are not square are cropped in the middle, padded with black, or stretched."""
    on_damaged: OnDamaged = "fail"
    """What to do about images that cannot be read: name them and stop, or name them and go on without."""
    levels: Levels | None = None
    """Of data of more than 8 bits, the lowest and the highest level, which become 0 and 255."""
    data: PlaceOption = PlaceOption()
    """Where the data of the run lies now; left out, it is looked for where it was, and where it lay from the run."""
    held_out: PlaceOption = PlaceOption()
    """The same of its held-out data."""
    accept_changed_data: bool = False
    """Measure against data that is not what the run was trained on, which every record then says."""
    extractor: ExtractorConfig | None = None
    """Feature network, with a file of weights by --extractor.path; left
    out, the one that the run was followed with, or pixels."""
    metrics: tuple[str, ...] = tuple(name for name, metric in METRICS.items() if metric in DEFAULT_METRICS)
    """Names of metrics."""
    count: int = 10_000
    """Samples drawn from a run."""
    sampler: Literal["generator", "pushed"] | None = None
    """What they are drawn from; left out, what the run was followed by."""
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


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return help_of(EvaluateOptions, "evaluate", usage=USAGE, parts={**EVALUATE_PARTS, "metrics": ("metric", METRICS)})


def records_as_text(records: Sequence[Record]) -> str:
    """The records as aligned text, one checkpoint after the other."""
    width = max(len(record.name) for record in records)
    lines = []
    for checkpoint in dict.fromkeys(record.place.checkpoint for record in records):
        own = [record for record in records if record.place.checkpoint == checkpoint]
        if checkpoint is not None:
            how = _how(own[0].protocol)
            called = checkpoint if checkpoint in ("last", "best") else "snapshot's"
            lines.append(f"{called} weights{how}, {own[0].place.num_real or 0:,} real images seen")
        lines += [f"  {record.name:<{width}}  {_value(record)}" for record in own]
    return "\n".join(lines)


def _how(protocol: MetricProtocol) -> str:
    """How samples were drawn, where it is not the usual way."""
    pushed = ", pushed" if protocol.sampler == "pushed" else ""
    statistics = f", {protocol.statistics} statistics" if protocol.statistics not in (None, "running") else ""
    cut = "" if protocol.truncation is None else f", truncation {protocol.truncation:g} ({protocol.truncation_form})"
    classes = ", uniform classes" if protocol.classes == "uniform" else ""
    return pushed + statistics + cut + classes


def _value(record: Record) -> str:
    spread = ""
    if record.interval is not None:
        spread = f"  [{record.interval[0]:.4g}, {record.interval[1]:.4g}] over {len(record.values)} evaluation seeds"
    elif record.standard_error is not None:
        spread = f"  (standard error {record.standard_error:.2g})"
    floor = record.extra.get("between_halves_of_real")
    expected = record.extra.get("expected")
    spread += "" if expected is None else f"  ({expected:.3g} expected of a perfect generator)"
    spread += "" if floor is None else f"  ({floor:.3g} between halves of the real samples)"
    said = f"  {', '.join(record.warnings)}" if record.warnings else ""
    return f"{record.value:<9.4g} {record.better} is better{spread}{said}"


def _write(records: Sequence[Record], path: Path) -> None:
    """Add the records to those of the file, in place of earlier ones of the same name, checkpoint and way to sample."""
    new = {_key(record.as_dict()): record.line() for record in records}
    kept = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            old = _key(json.loads(line.decode()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({error}); move it away to write a new one.") from error
        if old not in new:
            kept.append(line.decode())
    write_bytes(path, "".join(f"{line}\n" for line in (*kept, *new.values())).encode())


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    """What a value was measured of; lines of before samples could be drawn in several ways say less."""
    how = (line.get("sampler", "generator"), line.get("statistics") or "running", line.get("classes"))
    how += (tuple((line.get("reference") or {}).get("changed", ())),)
    return line["name"], line["checkpoint"], *how, line.get("truncation"), line.get("truncation_form")


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, write and print."""
    options, rest = switch_parts(EvaluateOptions(), list(arguments), EVALUATE_PARTS)
    given = parse(options, rest, prog="ganneal evaluate")
    if (given.run is None) == (given.real is None) or (given.real is None) != (given.fake is None):
        raise ValueError(
            f"give a run, or both --real and --fake, got run={given.run}, real={given.real}, fake={given.fake}."
        )
    reading = Reading(
        size=given.size, channels=given.channels, fit=given.fit, on_damaged=given.on_damaged, levels=given.levels
    )
    if given.run is not None and reading != Reading():
        raise ValueError(
            "--size, --channels, --fit, --on-damaged and --levels are for --real and --fake, not for a run."
        )
    if given.run is None and (given.statistics is not None or given.truncation is not None or given.classes != "data"):
        raise ValueError(
            "statistics, truncation and classes are of a generator that draws; leave them out with --real and --fake."
        )
    if given.run is None and (given.accept_changed_data or (given.data, given.held_out) != (PlaceOption(),) * 2):
        raise ValueError("--data.path, --held-out.path and --accept-changed-data are for a run: leave them out.")
    for side in (given.real, given.fake):
        refuse(side or "", "--real and --fake take files of images")
    metrics = tuple(lookup("metric", METRICS, name) for name in given.metrics)
    settings = Settings(metrics, given.count, given.seeds, given.classes)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if given.run is not None:
        records = evaluate_run(
            given.run,
            checkpoints=given.checkpoint or None,
            settings=settings,
            extractor=given.extractor,
            sampler=given.sampler,
            statistics=given.statistics,
            truncation=None if given.truncation is None else Truncation(given.truncation, given.truncation_form),
            data_path=given.data.path,
            held_out_path=given.held_out.path,
            accept_changed_data=given.accept_changed_data,
            say=say,
        )
        # what ships lies among the installed files, which are no place for records
        own = None if is_named(given.run) else Path(given.run) / "evaluation.jsonl"
        path = Path(given.out) if given.out else own
    else:
        assert given.real is not None and given.fake is not None
        with spelled(OWN):
            records = evaluate_images(
                given.real, given.fake, settings=settings, extractor=given.extractor, reading=reading, say=say
            )
        path = Path(given.out) if given.out else None
    if not records:
        raise ValueError(
            f"nothing to measure with {', '.join(given.metrics)} here: no logits, labels or held-out data."
        )
    measured = {record.protocol.metric for record in records}
    missing = [name for name in given.metrics if type(METRICS[name]).__name__ not in measured]
    if missing:
        say(f"warning: not measured: {', '.join(missing)}, for want of logits, labels or held-out data")
    print(records_as_text(records))
    if path is not None:
        _write(records, path)
        print(f"records: {path}")
    elif given.run is not None:
        print("records are not kept of what ships: --out FILE keeps them")
    if not any(record.name.startswith("FID") for record in records):
        print(LINE_ON_FID)
