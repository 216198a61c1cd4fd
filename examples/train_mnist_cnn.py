"""Train the digit classifier that ships with ganneal; the file shipped was made by

    OMP_NUM_THREADS=1 python examples/train_mnist_cnn.py --out mnist_cnn.safetensors

It prints the accuracy on the 10,000 test images, which also stands in the file's metadata, beside the seed and the
SHA-256 of the training images. Other machines and thread counts round differently, so their weights differ a little.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from safetensors.torch import save

from ganneal.data import Dataset, Idx
from ganneal.data.identity import content_hash
from ganneal.metrics.extractors.mnist_training import accuracy, train_mnist_cnn
from ganneal.storage.atomic import write_bytes


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
