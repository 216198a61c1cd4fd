"""An experiment names one of each part, plus budget and seed; it is its own configuration.

Two kinds of fields: *identity*, what is trained, which a resumed run may not change; and *operation* (budget, records,
device, threads), which it may.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, Literal

from ganneal.augment import Augmentation, Unchanged
from ganneal.clocks import Counters
from ganneal.data import Source
from ganneal.data.classes import Classes
from ganneal.data.moves import Moves
from ganneal.data.places import without_places
from ganneal.losses import Loss, NonSaturating, output_of
from ganneal.metrics.extractors import ExtractorConfig
from ganneal.models import Model
from ganneal.normalization import Normalization, Unnormalized
from ganneal.optim import Adam, Averaging, OptimizerConfig
from ganneal.push import Push
from ganneal.registry import check_at_least_one, check_choices
from ganneal.regularizers import Regularizer, Sum
from ganneal.schemes import Alternating, Scheme
from ganneal.steps import Step, StoreDiscriminator
from ganneal.stop import Divergence
from ganneal.storage.encoding import difference, encode
from ganneal.task import Task, Unconditional

# Some change bits all the same (device, devices, threads): they are recorded, and other threads are warned of.
OPERATION = frozenset(
    {"budget", "records", "divergence", "device", "devices", "nodes", "threads", "capture", "time_limit"}
)
"""The fields a resumed run may change."""


MOST_THREADS = 1_024

KINDS: dict[str, type] = {
    "data": Source,
    "model": Model,
    "scheme": Scheme,
    "loss": Loss,
    "regularizer": Regularizer,
    "normalization": Normalization,
    "augmentation": Augmentation,
    "task": Task,
    "d_optimizer": OptimizerConfig,
    "g_optimizer": OptimizerConfig,
}
"""Protocol of each part of an experiment."""


@dataclass(frozen=True)
class Budget:
    """The run ends at the first of these that is reached; None leaves a clock unlimited."""

    num_real: int | None = None
    """Real images used to update the discriminator."""
    d_updates: int | None = None
    g_updates: int | None = None
    seconds: float | None = None
    """Training time. This budget and ``cpu_seconds`` make the result depend on the machine's speed."""
    cpu_seconds: float | None = None
    """Processor time of training, of the process with the most where there are several."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:  # written so that NaN is refused too
                raise ValueError(f"budget.{field.name} must be above 0, got {value}; use None for no limit.")

    def reached(self, counters: Counters) -> str | None:
        """The first clock at or past its limit, in words with the overshoot, or None."""
        for field in fields(self):
            limit, value = getattr(self, field.name), getattr(counters, field.name)
            if limit is not None and value >= limit:
                # Asked after whole steps, so that a run may end up to a batch past its limit: said, not hidden.
                over = value - limit
                shown = f"{over:,}" if isinstance(over, int) else f"{over:.3g}"
                return f"{field.name} reached {limit:,}" + (f" ({shown} over)" if over else "")
        return None


@dataclass(frozen=True)
class Records:
    """Records of a run and their intervals."""

    log_every: int = 1_000
    """Real images between log rows."""
    sample_every: int = 50_000
    """Real images between sample grids."""
    sample_count: int = 64
    evaluate_every: int = 25_000
    """Real images between evaluations; 0 evaluates at the start and the end only."""
    evaluate_count: int = 2_000
    """Samples per evaluation; 0 never evaluates."""
    evaluate_share: float = 0.1
    """Largest part of the time that evaluations may take; those that would take more are put off."""
    early_seconds: tuple[float, ...] = ()
    """Seconds of training after which a picture and an evaluation come beside those by images; these may take a quarter
    of the time. None of them makes the log the same on every machine."""
    patience: float | None = None
    """Part of the budget: a run whose distance has not fallen for so long stops, and keeps its best weights. None never
    stops it."""
    extractor: ExtractorConfig | None = None
    """Network whose features are compared; None takes the one that suits the data (`evaluation.suited`)."""
    held_out: Source | None = None
    """Data never trained on, for the discriminator's accuracy; None takes the training data."""
    classes: Classes = "data"
    """Draw the classes of an evaluation's samples as often as the data has them, or all alike."""
    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    """Reaction to an alarm of mode loss or duplicates. Rollback restores the weights of the best evaluation and goes
    on."""
    sampler: Literal["generator", "pushed"] | None = None
    """Source of samples: the averaged generator, or the generator as trained followed by the stored discriminators'
    pushes. None takes the pushes where the scheme stores discriminators."""
    checkpoint_seconds: float = 60.0
    """Checkpoints are made at the first log row after so many seconds, on a signal, and at the end."""
    keep_every: int = 0
    """Real images between snapshots, weights that are kept in snapshots/ from then on; 0 keeps none."""
    tensorboard: bool = True
    """Write log rows and sample grids for TensorBoard into the run's folder tensorboard/, where it is installed."""
    wandb: str | None = None
    """W&B project that is sent log rows and sample grids too; None sends nothing."""

    def __post_init__(self) -> None:
        for name in ("log_every", "sample_every", "sample_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"records.{name} must be at least 1, got {getattr(self, name)}.")
        for name, none in (
            ("evaluate_every", "start and end only"),
            ("evaluate_count", "never"),
            ("keep_every", "keeps none"),
            ("checkpoint_seconds", "always"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"records.{name} must be at least 0 ({none}), got {getattr(self, name)}.")
        if any(not 0 < seconds < inf for seconds in self.early_seconds):
            raise ValueError(
                f"records.early_seconds must be finite and above 0, got {self.early_seconds}; leave it out for none."
            )
        if not 0 < self.evaluate_share <= 1:
            raise ValueError(
                f"records.evaluate_share must be above 0, at most 1, got {self.evaluate_share}; 0.1 is a tenth of the "
                f"time. --records.evaluate-count 0 never evaluates."
            )
        if self.patience is not None and not 0 < self.patience <= 1:
            raise ValueError(
                f"records.patience must be above 0, at most 1, got {self.patience}; 0.33 is a third of the "
                f"budget, None never stops a run."
            )
        if self.wandb is not None and not self.wandb.strip():
            raise ValueError(f"records.wandb must name a W&B project, got {self.wandb!r}; leave it out for none.")
        check_choices(self, "records.")

    def is_early(self, before: float, now: float) -> bool:
        """True if one of ``early_seconds`` passed while the training time went from ``before`` to ``now``."""
        return any(before < seconds <= now for seconds in self.early_seconds)


@dataclass(frozen=True)
class Experiment:
    """Everything needed to repeat a run."""

    name: str
    data: Source
    model: Model
    scheme: Scheme = Alternating()
    loss: Loss = NonSaturating()
    regularizer: Regularizer = Sum()
    normalization: Normalization = Unnormalized()
    """Normalization of the discriminator, beside its model's own."""
    augmentation: Augmentation = Unchanged()
    """Random changes of everything that enters the discriminator."""
    task: Task = Unconditional()
    push: Push = Push()
    """Rule for moving samples, in schemes of functional gradients."""
    d_optimizer: OptimizerConfig = Adam()
    g_optimizer: OptimizerConfig = Adam()
    """Optimizer of the generator's updates. A fit to a pool begins with a fresh one of the same settings."""
    averaging: Averaging = Averaging()
    batch_size: int = 64
    """Real images, and as many fakes, of one discriminator update."""
    g_batch_size: int | None = None
    """Fakes of one generator update; None takes batch_size."""
    accumulate: int = 1
    """Micro-batches per update, whose gradients are averaged."""
    flip: bool = False
    """Mirror each image with probability 1/2."""
    flip_vertical: bool = False
    """Mirror each image top and bottom with probability 1/2."""
    translate: int = 0
    """Shift each image by up to so many pixels each way, its reflection coming in; as flips, the samples learn it."""
    precision: Literal["float32", "bf16"] = "float32"
    keep_d_buffers: bool = True
    """Leave the discriminator's buffers as they were in the generator's moves; False follows codes that do not."""
    seed: int = 0
    init_from: str | None = None
    """Weights that start this run, every one that fits: a run directory, final, best or a snapshot in one, a file of
    weights, or zoo:NAME."""

    budget: Budget = Budget(num_real=1_000_000)
    time_limit: float | None = None
    """Seconds that the whole run may take, beside its budget: reading, evaluations, pictures and saving count too."""
    records: Records = Records()
    divergence: Divergence = Divergence()
    device: str = "cpu"
    devices: int = 1
    """Processes on each machine, one for each GPU or each group of CPU threads; a batch is dealt to all of them. Batch
    norm sees the part of one process."""
    nodes: int = 1
    """Machines, each with so many devices."""
    capture: Literal["none", "compile", "graph"] = "none"
    """Record the players' passes and replay them: compiled, or as a CUDA graph. The same up to rounding."""
    threads: int | None = None
    """CPU threads; None leaves torch's choice. Another number gives other bits."""

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            # A protocol can be asked for its members only; a class in the place of an instance has them too, and fails
            # when it is used.
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"{name} must be a {kind.__name__}, got {getattr(self, name)!r}; use a registered part, such as "
                    "LOSSES['hinge'] for a loss, or one of your own."
                )
        check_at_least_one(
            batch_size=self.batch_size,
            g_batch_size=self.generator_batch,
            accumulate=self.accumulate,
            devices=self.devices,
            nodes=self.nodes,
        )
        check_choices(self)
        Moves(self.flip, self.flip_vertical, self.translate)  # says what is wrong with them
        if self.time_limit is not None and not 0 < self.time_limit < inf:
            raise ValueError(f"time_limit must be finite and above 0, got {self.time_limit}; leave it out for none.")
        # torch starts as many threads as it is told to.
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}.")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise ValueError(
                f"threads must be at least 1, at most {MOST_THREADS}, got {self.threads}; leave it out for torch's own."
            )

    @property
    def ranks(self) -> int:
        """Processes that train together."""
        return self.devices * self.nodes

    @property
    def generator_batch(self) -> int:
        """Fakes of one generator update."""
        return self.batch_size if self.g_batch_size is None else self.g_batch_size

    @property
    def generator_reals(self) -> int:
        """Real images of one generator update; 0 where neither the loss nor the task looks at any."""
        return self.generator_batch if self.loss.needs_real or self.task.needs_real else 0

    def makes(self, *kinds: type[Step]) -> bool:
        """True if the scheme's second round, where everything is under way, has steps of one of the ``kinds``."""
        # Steps are made as they are asked for: a round of thousands ends at the first of the kind.
        return any(isinstance(step, kinds) for step in self.scheme(1))

    @property
    def losing_touch(self) -> Divergence:
        """`divergence`, with the limit of the loss where none is given."""
        return self.divergence.with_limit(output_of(self.loss).largest_gap)

    @property
    def sampler(self) -> Literal["generator", "pushed"]:
        """Source of samples: `Records.sampler`, or the one that follows from the scheme."""
        # A round of functional gradients ends with the generator followed by its pushes; an average of generators lies
        # elsewhere, where no discriminator was trained to push from.
        return self.records.sampler or ("pushed" if self.makes(StoreDiscriminator) else "generator")

    def identity(self) -> dict[str, Any]:
        """The identity fields as JSON types: without the name, and without the places of the data.

        Which data lie there is another matter: a run keeps an identity of them (`data.identity`).
        """
        return self.trained(encode(self))

    def trained(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """The identity fields among those of an encoded experiment like this one."""
        kept = {key: value for key, value in encoded.items() if key not in OPERATION and key != "name"}
        # A folder of images that was moved holds the same images: a place is no part of what is trained.
        kept["data"] = without_places(encoded.get("data"), self.data)
        if kept.get("init_from") is not None and (start := Path(kept["init_from"]).expanduser()).exists():
            kept["init_from"] = str(start.resolve())  # the same weights, called from another folder
        return kept

    def changes_from(self, stored: Mapping[str, Any]) -> list[str]:
        """Differences between the identity of an encoded experiment and this one's, a line each."""
        before = self.trained(stored)
        # Through JSON, as the stored one went: tuples are lists there.
        now = json.loads(json.dumps(self.identity()))
        if before.get("init_from") is not None and now["init_from"] is not None:
            # A run may have moved: `run_data.check_identity` asks which it is.
            del before["init_from"], now["init_from"]
        return difference(before, now)
