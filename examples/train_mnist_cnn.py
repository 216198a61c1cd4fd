"""Train the digit classifier that ships with ganneal; the file shipped was made by

    OMP_NUM_THREADS=1 python examples/train_mnist_cnn.py --out mnist_cnn.safetensors

It prints the accuracy on the 10,000 test images, which also stands in the file's metadata, beside the seed and the
SHA-256 of the training images. Other machines and thread counts round differently, so their weights differ a little.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from math import cos, pi
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save
from torch import Tensor

from ganneal.data import Dataset, Idx
from ganneal.data.identity import content_hash
from ganneal.metrics.extractors.mnist_cnn import DigitNetwork
from ganneal.storage.atomic import write_bytes

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


def tensors(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(np.array(data.samples)), torch.from_numpy(data.labels)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the digit classifier that ships with ganneal.")
    parser.add_argument(
        "--data", default="mnist", help="folder of MNIST's files, or an .npz with x_train, y_train, x_test, y_test"
    )
    parser.add_argument("--out", default="mnist_cnn.safetensors", help="file to write")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    train, test = Idx(options.data).load(), Idx(options.data, split="test").load()
    started = perf_counter()
    network = train_mnist_cnn(*tensors(train), epochs=options.epochs, seed=options.seed, progress=print)
    seconds = perf_counter() - started
    right = accuracy(network, *tensors(test))
    print(f"test accuracy {right:.4f} after {seconds:.0f} s of training on {torch.get_num_threads()} threads")
    card = {
        "test_accuracy": f"{right:.4f}",
        "command": f"python examples/train_mnist_cnn.py --epochs {options.epochs} --seed {options.seed}",
        "seed": str(options.seed),
        "epochs": str(options.epochs),
        "threads": str(torch.get_num_threads()),
        "data": "MNIST, 60,000 training images",
        "data_sha256": content_hash(train),
    }
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes(Path(options.out), save(state, metadata=card))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
