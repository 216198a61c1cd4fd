"""Samples and weights that several tests of extractors share."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from ganneal.data import Dataset, Zip
from ganneal.metrics.extractors.inception_network import InceptionNetwork


@pytest.fixture
def no_shape_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def cifar_train(data_root: Path) -> Dataset:
    """50,000 images; decoding them takes 10 to 20 seconds."""
    return Zip(str(data_root / "cifar10-train.zip")).load()


@pytest.fixture(scope="session")
def inception_state() -> dict[str, Tensor]:
    """Weights of the 2015 network drawn from one generator in the order of their names."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in InceptionNetwork().state_dict().items()}
    random = np.random.default_rng(7)
    state = {}
    for name in sorted(name for name, shape in shapes.items() if shape):
        z, shape = random.standard_normal(shapes[name]), shapes[name]
        if name.endswith("conv.weight"):
            z *= np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("bn.weight"):
            z = 1 + 0.1 * z
        elif name.endswith("running_var"):
            z = np.exp(0.2 * z)
        elif name == "fc.weight":
            z /= np.sqrt(2048)
        else:
            z *= 0.1
        state[name] = torch.from_numpy(z.astype(np.float32))
    return state
