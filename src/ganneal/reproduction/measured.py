"""Measurement of a finished run: distance and score of its last and best weights."""

from collections.abc import Mapping, Set
from math import isfinite
from pathlib import Path
from typing import Any

from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.evaluation.suited import FRESH_SEED
from ganneal.metrics.extractors import ExtractorConfig
from ganneal.metrics.measures import Frechet, Score
from ganneal.metrics.protocol import Metric, Record
from ganneal.storage.run_directory import RunDirectory

# The part is the formula, whatever network it is computed with; the column of the table is named after the paper's.
SCORES = {"FD": "FID", "exp-mean-KL": "IS"}
"""Reported scores, by the part of the protocol that measures them."""
# One split is the default of the tool that the paper names, where other papers average over ten.
TABLE_METRICS: dict[str, Metric] = {"FID": Frechet(allow_singular=True), "IS": Score(splits=1)}
"""Fréchet distances are computed of fewer samples than features too, the score in one split."""


def measure(run: Path, samples: int, reported: Set[str], score: ExtractorConfig | None = None) -> dict[str, Any]:
    """Values of the run at ``run`` by checkpoint and score, with their protocol.

    Args:
        reported: Scores that are asked for; the others are measured too where the same network gives them.
        score: Network of the Inception Score; None takes that of the run's features.
    Raises:
        ValueError: The weights make no numbers.
    """
    # Both scores come of one pass through the run's own network, unless the scale has another for the second.
    records = _records(run, TABLE_METRICS if score is None else {"FID": TABLE_METRICS["FID"]}, samples)
    protocol = _protocol(records[0])
    if score is not None and "IS" in reported:
        more = _records(run, {"IS": TABLE_METRICS["IS"]}, samples, score)
        protocol["score"] = {key: _protocol(more[0])[key] for key in ("extractor", "extractor_sha256", "resize")}
        records += more
    return {
        "names": {SCORES[record.protocol.part]: record.name for record in records},
        "protocol": protocol,
        "last": _values(records, "last"),
        "best": _values(records, "best"),
    }


def _records(
    run: Path, metrics: Mapping[str, Metric], samples: int, extractor: ExtractorConfig | None = None
) -> list[Record]:
    # On latents that chose no weights: the best of twenty evaluations on one draw is partly the luck of that draw.
    settings = Settings(metrics=tuple(metrics.values()), count=samples, seeds=(FRESH_SEED,))
    return evaluate_run(run, settings=settings, extractor=extractor)


def _values(records: list[Record], checkpoint: str) -> dict[str, float]:
    """Finite values by score; a score without one is missing, and its run then counts as diverged."""
    found = [record for record in records if record.place.checkpoint == checkpoint and isfinite(record.value)]
    return {SCORES[record.protocol.part]: record.value for record in found}


def _protocol(record: Record) -> dict[str, Any]:
    """Settings that values of several runs must share to stand in one column."""
    protocol = record.protocol
    return {
        "extractor": protocol.extractor,
        "extractor_sha256": protocol.extractor_sha256,
        "layer": protocol.layer,
        "resize": protocol.resize,
        "samples": protocol.n_fake,
        "real_samples": protocol.reference.n_real,
        "reference": protocol.reference.dataset,
        "reference_sha256": protocol.reference.sha256,
        "splits_of_score": 1,
        "evaluation_seed": FRESH_SEED,
        "sampler": protocol.sampler,
        "classes": protocol.classes,
    }


def curve(run: Path, metric: str | None) -> list[dict[str, float | None]]:
    """Each evaluation during training: clocks, distance and coverage, on samples of the same latents each time.

    Args:
        metric: The distance by the name that the run's outcome has for it; None for a run that logged none.
    """
    clocks = ("num_real", "g_updates", "seconds", "cpu_seconds")
    return [
        {clock: row[clock] for clock in clocks} | {"distance": row[metric], "coverage": row.get("coverage")}
        for row in RunDirectory(run).rows()
        # Most rows of the log hold no evaluation.
        if metric in row
    ]
