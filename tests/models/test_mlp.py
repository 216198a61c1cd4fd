"""Perceptrons for points: sizes by hand, the forward pass by hand, labels as one-hot inputs."""

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.models import MLP


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def by_hand(network: nn.Module, x: Tensor) -> Tensor:
    """Alternating weights and biases, leaky ReLU 0.2 between them."""
    *inner, weight, bias = network.parameters()
    for w, b in zip(inner[::2], inner[1::2], strict=True):
        x = x @ w.T + b
        x = torch.where(x > 0, x, 0.2 * x)
    return x @ weight.T + bias


@for_each(
    ("model", "dim", "num_classes", "generator", "discriminator"),
    [
        (MLP(), 2, 0, 33_666, 33_537),  # 2*128+128, twice 128*128+128, then 128*2+2 or 128+1
        (MLP(), 2, 8, 34_690, 34_561),  # eight more inputs to 128 units
        (MLP(width=3, depth=1, latent_size=5), 4, 0, 5 * 3 + 3 + 3 * 4 + 4, 4 * 3 + 3 + 3 + 1),
        (MLP(width=3, depth=2, latent_size=1), 1, 0, 6 + 12 + 4, 6 + 12 + 4),
    ],
)
def test_parameter_counts(model: MLP, dim: int, num_classes: int, generator: int, discriminator: int) -> None:
    pair = model.build((dim,), num_classes)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)


@pytest.mark.parametrize("depth", [1, 3])
def test_players_are_plain_perceptrons(depth: int) -> None:
    torch.manual_seed(0)
    pair = MLP(width=7, depth=depth, latent_size=3).build((2,))
    pair.generator.double()
    pair.discriminator.double()
    latents, points = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    torch.testing.assert_close(pair.generator(latents), by_hand(pair.generator, latents))
    torch.testing.assert_close(pair.discriminator(points), by_hand(pair.discriminator, points).squeeze(1))


def test_a_label_is_a_one_hot_input_after_the_others() -> None:
    torch.manual_seed(0)
    pair = MLP(width=7, latent_size=3).build((2,), num_classes=4)
    latents, points, labels = torch.randn(5, 3), torch.randn(5, 2), torch.tensor([0, 3, 1, 1, 2])
    hot = F.one_hot(labels, 4).float()
    # float32 rounding of a sum in another order
    torch.testing.assert_close(pair.generator(latents, labels), by_hand(pair.generator, torch.cat([latents, hot], 1)))
    torch.testing.assert_close(
        pair.discriminator(points, labels), by_hand(pair.discriminator, torch.cat([points, hot], 1)).squeeze(1)
    )


def test_every_pair_of_classes_is_told_apart() -> None:
    torch.manual_seed(0)
    pair = MLP().build((2,), num_classes=8)
    latents, points, labels = torch.randn(1, 2).expand(8, 2), torch.randn(1, 2).expand(8, 2), torch.arange(8)
    assert pair.discriminator(points, labels).unique().numel() == 8
    assert pair.generator(latents, labels).unique(dim=0).shape == (8, 2)


@for_each("dim", [1, 2, 5])
@for_each("batch", [1, 4])
def test_points_of_any_dimension(dim: int, batch: int) -> None:
    pair = MLP(width=4, latent_size=3).build((dim,))
    points = pair.generator(torch.randn(batch, 3))
    assert points.shape == (batch, dim)
    assert pair.discriminator(points).shape == (batch,)


def test_points_are_not_bounded() -> None:
    torch.manual_seed(0)
    pair = MLP().build((2,))
    assert pair.generator(1e6 * torch.randn(16, 2)).abs().max() > 1


def test_forgotten_labels_are_refused() -> None:
    pair = MLP().build((2,), num_classes=8)
    for player in (pair.generator, pair.discriminator):
        with pytest.raises(ValueError, match="labels must be given: these players have 8 classes"):
            player(torch.zeros(3, 2))


@for_each("shape", [(1, 28, 28), (2, 2), ()], ids=str)
def test_shapes_other_than_points_are_refused_naming_the_model_for_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as error:
        MLP().build(shape)
    assert str(error.value).startswith(f"shape must be (D,) for an MLP, got {shape}; for images use")
    assert "'dcgan'" in str(error.value)


@for_each("field", ["width", "depth", "latent_size"])
@for_each("value", [0, -2])
def test_empty_networks_are_refused(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got {value}"):
        MLP(**{field: value})
