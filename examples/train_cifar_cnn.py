"""Train the CIFAR-10 classifier that ships with ganneal; the file shipped was made by

    OMP_NUM_THREADS=1 python examples/train_cifar_cnn.py

with CIFAR-10 where `ganneal data fetch cifar10` writes it; ``--test`` names other labelled images with its classes in
order. The script prints the accuracy on them, which also stands in the metadata, beside the seed and the SHA-256 of the
images. It saves its state after each epoch; the same command goes on. Other machines and thread counts round
differently, so their weights differ a little.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save
from torch import Tensor

from ganneal.data import Cifar10, Dataset, find_data, source_at
from ganneal.data.identity import content_hash
from ganneal.metrics.extractors.cifar_cnn import PhotoNetwork
from ganneal.storage.atomic import write_bytes

Images = UInt8[Tensor, "n 3 32 32"]
Labels = Int[Tensor, " n"]
BATCH = 256


def augmented(images: Images, generator: torch.Generator, most: int = 3, hole: int = 10) -> Float[Tensor, "n 3 32 32"]:
    """Mirrored, shifted by up to ``most`` pixels each way with reflected borders, and a grey square cut out."""
    n, _, height, width = images.shape
    x = F.pad(images.float() / 127.5 - 1, (most,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
    rows, columns = top[:, None] + torch.arange(height), left[:, None] + torch.arange(width)
    mirror = torch.rand(n, generator=generator) < 0.5
    columns = torch.where(mirror[:, None], columns.flip(1), columns)
    x = x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    row, column = torch.randint(0, height, (2, n, 1), generator=generator)
    kept_rows = (torch.arange(height) - row).abs() * 2 > hole
    kept_columns = (torch.arange(width) - column).abs() * 2 > hole
    return x * (kept_rows[:, None, :, None] | kept_columns[:, None, None, :])


def one_cycle(step: int, steps: int, warm_up: float = 0.2) -> float:
    """The rate's factor: linearly up for the share ``warm_up`` of the steps, then linearly down to 0."""
    done = step / steps
    return done / warm_up if done < warm_up else (1 - done) / (1 - warm_up)


def optimizer_of(network: PhotoNetwork, decay: float = 5e-4) -> torch.optim.SGD:
    """Nesterov's momentum; only matrices and filters decay."""
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


def batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.randperm(count, generator=generator).split(BATCH)[: count // BATCH]


def train_epoch(
    network: PhotoNetwork,
    optimizer: torch.optim.SGD,
    images: Images,
    labels: Labels,
    random: torch.Generator,
    epoch: int,
    epochs: int,
    lr: float,
) -> float:
    """One pass over the images in bf16 convolutions; returns the mean loss."""
    per_epoch, losses = len(images) // BATCH, []
    for number, index in enumerate(batches(len(images), random)):
        for group in optimizer.param_groups:
            group["lr"] = lr * one_cycle(epoch * per_epoch + number, epochs * per_epoch)
        inputs = augmented(images[index], random).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            _, logits = network(inputs)
        loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def accuracy(network: PhotoNetwork, images: Images, labels: Labels) -> float:
    """The share of ``images`` that ``network`` labels right, in float32."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for batch, truth in zip(images.split(500), labels.split(500), strict=True):
            right += int((network(batch.float() / 127.5 - 1)[1].argmax(dim=1) == truth).sum())
    network.train()
    return right / len(images)


def read(path: str, split: Literal["train", "test"]) -> Dataset:
    """The part of CIFAR-10 at ``path``, or all of another set of images with classes."""
    source = source_at(find_data(path))
    data = (replace(source, split=split) if isinstance(source, Cifar10) else source).load()
    if data.labels is None:
        raise ValueError(f"{path} has no labels; give CIFAR-10 as a zip of class folders, or its original archive.")
    return data


def tensors(data: Dataset) -> tuple[Images, Labels]:
    return torch.from_numpy(np.array(data.samples)), torch.from_numpy(data.labels).long()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the CIFAR-10 classifier that ships with ganneal.")
    parser.add_argument("--data", default="cifar10", help="the 50,000 training images")
    parser.add_argument("--test", default="cifar10", help="held-out images")
    parser.add_argument("--out", default="cifar_cnn.safetensors", help="file to write")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=0.2, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    random = torch.Generator().manual_seed(options.seed)
    torch.manual_seed(options.seed)
    network = PhotoNetwork().train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: stub
    optimizer, epoch, seconds = optimizer_of(network), 0, 0.0
    place = Path(options.out).with_suffix(".state.pt")
    if place.exists():
        saved = torch.load(place, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        random.set_state(saved["random"])
        epoch, seconds = saved["epoch"], saved["seconds"]
    train_set, test_set = read(options.data, "train"), read(options.test, "test")
    images, labels = tensors(train_set)
    test = tensors(test_set)
    while epoch < options.epochs:
        started = process_time()
        loss = train_epoch(network, optimizer, images, labels, random, epoch, options.epochs, options.lr)
        epoch, seconds = epoch + 1, seconds + process_time() - started
        print(f"epoch {epoch}: loss {loss:.4f}, held-out {accuracy(network, *test):.4f}, {seconds:.0f} s", flush=True)
        parts = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "random": random.get_state()}
        torch.save(parts | {"epoch": epoch, "seconds": seconds}, place.with_suffix(".new"))
        place.with_suffix(".new").replace(place)

    half = {
        name: value.half().contiguous() for name, value in network.state_dict().items() if value.dtype.is_floating_point
    }
    network.load_state_dict({name: value.float() for name, value in half.items()}, strict=False)  # what is shipped
    right = accuracy(network, *test)
    print(f"held-out accuracy {right:.4f} after {seconds:.0f} processor seconds on {torch.get_num_threads()} threads")
    card = {
        "test_accuracy": f"{right:.4f}",
        "test_images": str(len(test[0])),
        "command": "python examples/train_cifar_cnn.py "
        f"--epochs {options.epochs} --lr {options.lr} --seed {options.seed}",
        "seed": str(options.seed),
        "threads": str(torch.get_num_threads()),
        "data": "CIFAR-10, 50,000 training images",
        "data_sha256": content_hash(train_set),
        "test_sha256": content_hash(test_set),
    }
    write_bytes(Path(options.out), save(half, metadata=card))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
