"""Writing an exported generator: nothing but a file that was run and gives the images of the original."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganneal.inference.export.formats import FORMATS, Runner
from ganneal.inference.export.program import Program, program_of
from ganneal.inference.generator import TrainedGenerator
from ganneal.registry import lookup
from ganneal.storage.atomic import check_free, write_bytes

# The program is traced at 2 samples: the other sizes show that it holds for any number of them.
BATCHES = (1, 2, 7, 64)
"""Batch sizes of the comparison."""
IMAGE_TOLERANCE = 1e-5
"""Largest absolute difference allowed, where an image's values span 2."""


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    bytes: int
    differences: dict[int, float]
    """Largest absolute difference to `TrainedGenerator.sample`, by batch size."""


def write_export(
    generator: TrainedGenerator,
    path: str | Path,
    *,
    format: str = "onnx",
    overwrite: bool = False,
    batches: Sequence[int] = BATCHES,
) -> Exported:
    """Write ``generator`` to one file that needs no ganneal, after its images were compared with the original's.

    Args:
        format: A name in `FORMATS`.
        overwrite: Whether a file at ``path`` may be replaced.
        batches: Sizes of the batches that are compared.
    Raises:
        ValueError: The format is unknown or something it needs is not installed; ``path`` is taken; the generator's
            samples are no function of its inputs alone; or an image differs by more than `IMAGE_TOLERANCE`. There is no
            new file then.
    """
    chosen, path = lookup("format", FORMATS, format), Path(path)
    check_free(path, overwrite)
    chosen.check()
    program = program_of(generator)
    content = chosen.encoded(program, _inputs(generator, program, 2, seed=0))
    # The bytes that will be written are run, not the module that they came from.
    differences = largest_differences(generator, program, chosen.runner(content), batches)
    batch, largest = max(differences.items(), key=lambda pair: pair[1])  # of all sizes, the worst is named
    # Written so that NaN is refused too.
    if not largest <= IMAGE_TOLERANCE:
        raise ValueError(
            f"the exported generator differs from the original by {largest:.2g} at {batch} images, more than "
            f"{IMAGE_TOLERANCE:g}; nothing was written. Try another format: {', '.join(FORMATS)}."
        )
    write_bytes(path, content)
    return Exported(path, len(content), differences)


def largest_differences(
    generator: TrainedGenerator, program: Program, run: Runner, batches: Sequence[int] = BATCHES
) -> dict[int, float]:
    """The largest absolute difference between what ``run`` gives and `sample`, by batch size, each of its own seed."""
    # Against `sample`, the path that users see, and not against the program's own module: a fault there would hide.
    return {
        count: float((run(_inputs(generator, program, count, seed=count)) - generator.sample(count, count)).abs().max())
        for count in batches
    }


def _inputs(generator: TrainedGenerator, program: Program, count: int, seed: int) -> tuple[Tensor, ...]:
    latents, condition, _ = generator.draw(count, seed)
    return program.made_of(latents, condition)
