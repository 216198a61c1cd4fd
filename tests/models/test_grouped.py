"""Grouped convolutions in mixed precision: no bf16 on a CPU, forwards, backwards and in penalties."""

from functools import partial
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ganneal.data import Digits
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment
from ganneal.models import DDGAN, R3GAN
from ganneal.models.parts.fir import Resample, Smooth, convolve_grouped
from ganneal.regularizers import GradientPenalty, Reals
from ganneal.task import TASKS


class GroupedConvolutions(TorchDispatchMode):
    """The precisions of those that are made within, gradients too."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        groups = {torch.ops.aten.convolution.default: 8, torch.ops.aten.convolution_backward.default: 9}
        if func in groups and args[groups[func]] > 1:
            self.dtypes.update(each.dtype for each in args if isinstance(each, Tensor))
        return func(*args, **(kwargs or {}))


@pytest.mark.runs
@for_each(
    "changes",
    [
        {"model": R3GAN(widths=(32,), latent_size=4), "regularizer": GradientPenalty(center=0.0, points=Reals())},
        {"model": DDGAN(width=8, latent_size=4, style_size=8, d_width=8), "task": TASKS["denoising"]},
    ],
    ids=["r3gan", "ddgan"],
)
@for_each("precision", ["bf16", "float32"])
def test_networks_make_theirs_in_float32(changes: dict[str, Any], precision: Any) -> None:
    run = Run(Experiment(name="digits", data=Digits(), batch_size=4, precision=precision, **changes))
    with GroupedConvolutions() as made:
        for _ in range(2):
            engine.apply(run.cursor.step, run)
            run.cursor.advance()
    assert run.counters.d_updates == run.counters.g_updates == 1
    assert made.dtypes == {torch.float32}


grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
up, down, smooth = Resample(up=True), Resample(up=False), Smooth()
LAYERS: list[Any] = [
    pytest.param(up, up._resampled, id="up"),
    pytest.param(down, down._resampled, id="down"),
    pytest.param(smooth, smooth._smoothed, id="smooth"),
    pytest.param(partial(convolve_grouped, grouped), grouped, id="grouped"),
]
"""Each with the convolution alone."""


@for_each(("layer", "plain"), LAYERS)
def test_values_are_rounded_once(layer: Any, plain: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 8, 8, requires_grad=True)
    exact = plain(x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x)
    assert rounded.dtype == torch.bfloat16 and torch.equal(rounded, exact.bfloat16())
    weights = torch.randn_like(rounded)
    found, expected = (torch.autograd.grad(y, x, weights.to(y.dtype))[0] for y in (rounded, exact))
    assert torch.equal(found, expected)


@for_each(("layer", "plain"), LAYERS)
def test_nothing_is_changed_outside_mixed_precision(layer: Any, plain: Any) -> None:
    x = torch.randn(2, 8, 8, 8)
    assert torch.equal(layer(x), plain(x))
