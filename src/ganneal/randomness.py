"""A run's random numbers: one seed, and a stream of its own for each use, independent of the others."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

RANDOM_STREAMS = ("latents", "task", "penalty", "augmentation", "players", "pool")
"""Training's named random generators. The data stream has none: it is a function of its position."""

OF_SAMPLES = ("latents", "task", "penalty", "augmentation")
"""Generators whose draws are rows of a batch, which ranks share. The others' draws are the same on every rank."""


def derive_seed(seed: int, name: str) -> int:
    """A seed for the stream ``name``, independent of the other streams under the same ``seed``."""
    # SeedSequence mixes its words: seeds 0 and 1, or two names, give unrelated streams. A CRC of the name, because
    # Python's own hash of text is another one in each process.
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    # 63 bits, which fit a signed integer.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def random_stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for the stream ``name``."""
    return torch.Generator(device).manual_seed(derive_seed(seed, name))


def unnamed(device: torch.device) -> torch.Generator:
    """torch's own generator of ``device``, which draws without a named one come from, as dropout's."""
    if device.type == "cpu":
        return torch.default_generator
    return getattr(torch, device.type).default_generators[device.index or 0]


@contextmanager
def unnamed_draws(random: torch.Generator) -> Iterator[None]:
    """Draws without a named generator on the device of ``random``, as dropout's, come from it meanwhile."""
    # Layers such as dropout take no generator: torch's own is set to the stream, and set back with the place it had.
    shared = unnamed(random.device)
    outside = shared.get_state()
    shared.set_state(random.get_state())
    try:
        yield
    finally:
        random.set_state(shared.get_state())
        shared.set_state(outside)
