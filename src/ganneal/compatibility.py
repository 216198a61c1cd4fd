"""Combinations of parts that cannot be right, refused with the reason before anything is trained."""

from torch import nn

from ganneal.experiment import Experiment


def check_combination(experiment: Experiment, discriminator: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse parts of ``experiment`` that contradict each other for this ``discriminator`` and samples of ``shape``.

    Raises:
        ValueError: They do; the message says why and what to use.
    """
    regularizer, normalization = experiment.regularizer, experiment.normalization
    batch_norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules())
    for name, part in (("regularizer", regularizer), ("normalization", normalization)):
        if part.per_sample_gradients and batch_norms:
            raise ValueError(
                f"{name} takes the discriminator's gradient sample by sample, and batch norm in it mixes the samples; "
                f"use another norm there, with DCGAN model.d_norm='layer', 'instance' or 'none'."
            )
    if regularizer.per_sample_gradients and normalization.per_sample_gradients:
        raise ValueError(
            "regularizer penalises the discriminator's input gradient, and normalization divides by it: its slope is "
            "bounded already, and the penalty would need third derivatives; use one of the two."
        )
    experiment.augmentation.check(shape)
