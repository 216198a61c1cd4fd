"""Measurements beside training that leave it untouched: distance, coverage, duplicates, the accuracy of D."""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.data import Batch, Dataset, Sampler, load_like
from ganneal.data.classes import Classes, with_classes_of
from ganneal.engine.run import Run
from ganneal.evaluation.suited import REAL_COUNT, SELECTION_SEED, as_stored, suited_extractor
from ganneal.evaluation.variety import MOST_COMPARED, Variety
from ganneal.experiment import Records
from ganneal.inference.loading import TrainedGenerator
from ganneal.metrics import Moments, density_coverage, frechet_distance, kernel_distance, precision_recall
from ganneal.metrics.extractors import ExtractorConfig
from ganneal.metrics.measures import DensityCoverage, PrecisionRecall
from ganneal.metrics.references import reference_features
from ganneal.models.parts.freezing import frozen
from ganneal.randomness import random_stream, unnamed_draws
from ganneal.stop import Row

JUDGED_COUNT = 500
JUDGED_BATCH = 100


class Evaluator:
    """Measures a run's averaged generator against its data, on samples of the same latents each time.

    They are of `SELECTION_SEED`, so that other seeds give samples that did not choose the best weights.

    Not comparable between extractors, nor with FID; the name of the distance says which extractor it is, and whether
    classes were drawn uniformly instead of as often as the data has them (`Records.classes`).

    Args:
        held_out: The data of `Records.held_out`, where they have been read already.
        before: The extractor that the run began with, where nobody chose one.
        flattered: As `suited_extractor` takes it.
    """

    def __init__(
        self,
        dataset: Dataset,
        records: Records,
        seed: int = 0,
        *,
        num_classes: int = 0,
        held_out: Dataset | None = None,
        before: ExtractorConfig | None = None,
        flattered: bool = False,
    ):
        self.count, self.seed = records.evaluate_count, seed
        self.classes: Classes = records.classes
        self.chosen = records.extractor or suited_extractor(dataset, self.count, before, flattered=flattered)
        self.extractor = self.chosen.build(dataset.shape)
        # Once a run: real features [n, d] and their moments do not change. Covariances are summed in float64.
        real = reference_features(dataset, self.extractor, count=REAL_COUNT).features.double()
        self.moments = Moments.of(real)
        self.few = real if min(self.count, len(real)) <= self.extractor.dimensions else None
        """The features of real samples where those of one side are too few for a covariance."""
        distance = "FD" if self.few is None else "KD"
        self.name = f"{distance}-{self.extractor.name}" + ("-uniform-classes" if self.classes == "uniform" else "")
        self.variety = Variety.of(real, self.count, seed)
        if held_out is None and records.held_out is not None:
            held_out = load_like(records.held_out, dataset)
        unseen = dataset if held_out is None else held_out
        if unseen.shape != dataset.shape:
            raise ValueError(
                f"records.held_out must hold samples of shape {dataset.shape}, as the data, got {unseen.shape}; give "
                f"a held-out part of the same data."
            )
        self.held_out_paired: str | None = None
        """Pairing of the classes of the data and of held-out data; None without either."""
        if num_classes and held_out is not None:  # the discriminator judges samples under the data's numbers of classes
            called = ("the data", "records.held_out")
            unseen, self.held_out_paired = with_classes_of(dataset.class_names, held_out, called=called)
        # A stream of its own: position and seed of the training data stay as they are.
        self.judged = Sampler(unseen, seed)

    @property
    def possible(self) -> bool:
        """True if there are two samples and two images, without which there is no distance."""
        return min(self.count, self.moments.n) > 1

    def __call__(self, run: Run) -> Row:
        """Columns for a log row; the distance is left out where it is not possible, all where a sample is no number."""
        # The same latents at every evaluation: differences are the generator's, not the draw's.
        samples = run.sampler().sample(self.count, SELECTION_SEED, classes=self.classes)
        if not samples.isfinite().all():
            return {}
        # As 8-bit images, as files of samples hold them: rounding to 256 values is part of what is measured.
        fake = self.extractor(as_stored(samples)).features.double()
        varied = {} if self.variety is None else self.variety(fake[:MOST_COMPARED])
        # A discriminator of pairs gives no sample a rank of its own.
        ranked = {} if run.pair.compares_pairs else {"d_accuracy": self.accuracy(run)}
        return self._distance(fake) | varied | ranked

    def distance(self, generator: TrainedGenerator, seed: int) -> float | None:
        """The distance on other samples, of ``seed``, than those it is followed by in training."""
        samples = generator.sample(self.count, seed, classes=self.classes)
        if not self.possible or not samples.isfinite().all():
            return None
        # The best of many evaluations on one draw flatters the generator; a fresh draw does not.
        return self._distance(self.extractor(as_stored(samples)).features.double())[self.name]

    def _distance(self, fake: Float[Tensor, "n d"]) -> Row:
        """The Fréchet distance; of too few samples the kernel distance, and precision, recall and density beside it."""
        if not self.possible:
            return {}
        if self.few is not None:
            # Fewer samples than dimensions give a singular covariance, and a Fréchet distance that says little.
            return {self.name: kernel_distance(self.few, fake).value} | _near(self.few, fake)
        # It warns below five samples a dimension: the best that was to be had.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return {self.name: frechet_distance(self.moments, Moments.of(fake))}

    @torch.no_grad()
    def accuracy(self, run: Run) -> float:
        """Share of pairs of a real and a generated sample that the discriminator ranks rightly, ties half.

        0.5 is chance, 1 a discriminator that knows every sample. It works on ranks, so that any loss's outputs do. The
        real ones are `Records.held_out`'s, or of the training data where there are none. Batch norm runs on batch
        statistics, as in training; every buffer stays as it was.
        """
        random, task = random_stream(self.seed, "evaluation", run.device), run.experiment.task
        real_logits, fake_logits = [], []
        generator = run.sampler()
        players = random_stream(self.seed, "players", run.device)
        # Buffers and random streams are put back: an evaluation never moves training's bits.
        with frozen(run.discriminator, keep_buffers=True), unnamed_draws(players), run.autocast():
            for start in range(0, min(JUDGED_COUNT, len(self.judged.dataset)), JUDGED_BATCH):
                batch = self.judged.batch(start, JUDGED_BATCH)
                labels = None if batch.labels is None else batch.labels.to(run.device)
                real = task.real_view(Batch(batch.samples.to(run.device), labels), random)
                latents = run.pair.latent.sample(JUDGED_BATCH, random)
                given = real.condition  # of the fakes too: their classes are as often as the data has them
                fake = generator.pushed(task.fake(generator.generator, latents, given, random), given, random)
                # Plain samples, without the augmentation that it is trained under.
                real_logits.append(run.discriminator(real.samples, *given).float().cpu())
                fake_logits.append(run.discriminator(fake, *given).float().cpu())
        return ranking_accuracy(torch.cat(real_logits), torch.cat(fake_logits))


def _near(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> Row:
    """Precision, recall and density at their published numbers of neighbours, where there are samples enough."""
    # A k-th neighbour needs more than k samples on each side; neighbours are of float64 features, [n, d] and [m, d].
    sides, found = (real[:MOST_COMPARED], fake[:MOST_COMPARED]), {}
    if min(map(len, sides)) > PrecisionRecall.k:
        near = precision_recall(*sides, k=PrecisionRecall.k)
        found = {"precision": near.precision, "recall": near.recall}
    if min(map(len, sides)) > DensityCoverage.k:
        found["density"] = density_coverage(*sides, k=DensityCoverage.k).density
    return found


def ranking_accuracy(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> float:
    """Share of the n m pairs in which the real output is the larger, ties half: the area under the ROC curve.

    >>> ranking_accuracy(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]))
    0.625
    """
    # All pairs: 500 x 500 differences are two megabytes.
    difference = real.double()[:, None] - fake.double()[None, :]
    return float(((difference > 0).double() + 0.5 * (difference == 0).double()).mean())
