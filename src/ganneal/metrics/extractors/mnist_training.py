"""Training the digit classifier that ships with ganneal, from the 60,000 MNIST images."""

from collections.abc import Callable, Iterator
from math import cos, pi

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ganneal.metrics.extractors.mnist_cnn import DigitNetwork

Images = UInt8[Tensor, "n 1 28 28"]
Labels = Int[Tensor, " n"]


def shifted(images: Float[Tensor, "n 1 h w"], generator: torch.Generator, most: int = 2) -> Float[Tensor, "n 1 h w"]:
    """Each image moved by up to ``most`` pixels each way; the border's background value comes in."""
    n, _, height, width = images.shape
    top, left = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
    padded = F.pad(images, (most,) * 4, value=-1.0)
    rows = (top[:, None] + torch.arange(height))[:, :, None]
    columns = (left[:, None] + torch.arange(width))[:, None, :]
    return padded[torch.arange(n)[:, None, None], 0, rows, columns][:, None]


def _batches(count: int, size: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.randperm(count, generator=generator).split(size)[: count // size]


def train_mnist_cnn(
    images: Images,
    labels: Labels,
    *,
    epochs: int = 8,
    batch_size: int = 128,
    lr: float = 4e-3,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> DigitNetwork:
    """A trained classifier, in eval mode; the same seed and thread count give the same weights.

    AdamW with weight decay 0.05, warm-up and cosine decay, label smoothing 0.1, shifts by up to two pixels; the
    arithmetic of the convolutions is bf16.

    Raises:
        ValueError: There are fewer images than one batch takes, or not one label each.
    """
    if len(images) < batch_size or len(labels) != len(images):
        raise ValueError(
            f"images must be at least batch_size={batch_size} with a label each, got {len(images)} images and "
            f"{len(labels)} labels."
        )
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitNetwork().train()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: the stub lacks this form
    steps, warm_up = epochs * (len(images) // batch_size), 200
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * cos(pi * step / steps))
    )
    for step, index in enumerate(_batches(len(images), batch_size, epochs, random)):
        inputs = shifted(images[index].float() / 127.5 - 1, random).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            _, logits = network(inputs)
        loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            progress(f"step {step} of {steps}, loss {loss.item():.4f}")
    return network.eval()


def accuracy(network: DigitNetwork, images: Images, labels: Labels) -> float:
    """The share of ``images`` that ``network`` labels right."""
    right = 0
    with torch.inference_mode():
        for batch, truth in zip(images.split(500), labels.split(500), strict=True):
            right += int((network(batch.float() / 127.5 - 1)[1].argmax(dim=1) == truth).sum())
    return right / len(images)
