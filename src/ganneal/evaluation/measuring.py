"""Applying metrics to features: what can be measured is, and a line says why something cannot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any, NamedTuple

from ganneal.evaluation.suited import fewer_features
from ganneal.metrics.extractors import Extractor
from ganneal.metrics.measures import METRICS, metric_name
from ganneal.metrics.protocol import Evidence, Metric, MetricProtocol, Record, Reference
from ganneal.storage.run_directory import provenance

Say = Callable[[str], None]
"""A function that shows a line to a person."""

CHANGED = "not the run's data"
"""The warning on values against other data."""


class RealEvidence(NamedTuple):
    """Real samples as evidence, with what the record says of them."""

    evidence: Evidence
    reference: Reference


def once(say: Say) -> Say:
    """``say`` that says nothing twice: what holds for one seed holds for the next."""
    # A set, as warnings come in any order where several seeds and checkpoints are measured.
    said: set[str] = set()

    def new(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return new


class Counts(NamedTuple):
    """Samples of each side."""

    real: int
    fake: int


def measurable(
    metrics: Sequence[Metric],
    samples: Callable[[Metric], Counts],
    classes: Mapping[str, Counts],
    shape: Sequence[int],
    extractor: Extractor,
    more: str,
) -> tuple[tuple[Metric, ...], list[str]]:
    """The metrics for which there are samples enough, before any is drawn; and what the others lack, a line each.

    Args:
        samples: Those that a metric is given.
        classes: Samples of each class by its name; empty without classes.
        shape: Shape of one sample.
        more: How to get more generated samples.
    Raises:
        ValueError: There is no metric with enough.
    """
    able, lines = [], []
    for metric in metrics:
        by_class = getattr(metric, "by_class", False)
        # Two of each side for a metric that says nothing: a single sample has no spread.
        needs = Counts(*getattr(metric, "fewest", lambda dimensions: (2, 2))(extractor.dimensions))
        given = classes if by_class else {"": samples(metric)}
        few = {name: have for name, have in given.items() if have.real < needs.real or have.fake < needs.fake}
        if not few:
            able.append(metric)
            continue
        # One class with its numbers is named and the others are counted: a thousand classes would fill the screen.
        (name, have), others = next(iter(few.items())), len(few) - 1
        of = f" of the class {name}" * by_class + f", and of {others:,} more too few" * (others > 0)
        ways = " and ".join(["more real ones"] * (have.real < needs.real) + [more] * (have.fake < needs.fake))
        # A covariance of d features is singular up to d samples, so fewer features are a way out there.
        if needs.real > extractor.dimensions and (fewer := fewer_features(shape, min(have))):
            ways += f", or fewer features ({fewer})"
        if METRICS["kernel"] not in metrics:
            ways += ", or take --metrics kernel, which needs two of each"
        lines.append(
            f"no {metric_name(metric)}: it needs {needs.real:,} real and {needs.fake:,} generated samples"
            f"{' of each class' * by_class} for the {extractor.dimensions:,} features of {extractor.name}, got "
            f"{have.real:,} and {have.fake:,}{of}; give {ways}."
        )
    # Said before anything is drawn, as an error: nothing would be left to measure.
    if lines and not able:
        raise ValueError("\n  ".join(["nothing can be measured:", *lines]))
    return tuple(able), lines


def measured(
    metrics: Sequence[Metric],
    real: RealEvidence,
    fake: Evidence,
    held_out: Evidence | None,
    extractor: Extractor,
    about: dict[str, Any],
    say: Say,
) -> list[Record]:
    """One record for each value of each metric; a line says why a metric has none, and the others go on."""
    records = []
    for metric in metrics:
        started = perf_counter()
        try:
            # Real samples first, as everywhere in this package.
            values = metric(real.evidence, fake, held_out)
        except ValueError as error:  # minutes of drawing are behind it, and other metrics may be measured
            say(f"warning: no {metric_name(metric)}: {error}")
            continue
        if not values:
            say(f"warning: no {metric_name(metric)}, which needs logits, labels or held-out data")
        environment = provenance() | {
            "device": "cpu",
            "dtype": "float64",
            "extractor_precision": extractor.precision,
            "seconds_metric": perf_counter() - started,
            "world_size": 1,
        }
        for value in values:
            protocol = MetricProtocol(
                part=value.part,
                metric=type(metric).__name__,
                parameters=asdict(metric),  # type: ignore[call-overload]
                extractor=extractor.name,
                extractor_sha256=extractor.sha256,
                layer=extractor.layer,
                resize=extractor.resize,
                input_scaling=extractor.input_scaling,
                precision=extractor.precision,
                reference=real.reference,
                n_fake=len(fake.features),
                **about,
            )
            records.append(
                Record(
                    protocol,
                    value.value,
                    value.better,
                    standard_error=value.standard_error,
                    extra=value.extra,
                    environment=environment,
                    # In every record, so that a value against other data is never taken for one of the run.
                    warnings=value.warnings + (CHANGED,) * bool(real.reference.changed),
                )
            )
    return records
