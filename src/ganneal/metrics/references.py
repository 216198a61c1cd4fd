"""Features of real images, computed once per data set and extractor and kept in the cache.

The key holds the content's hash, the extractor with its weights' hash and resize rule, and which samples were taken: a
change of any of them is another entry; an extractor of your own whose code changes needs another name. An entry holds
a checksum: one that cannot be read, or is not what was written for its key, is made again.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ganneal.data import Dataset
from ganneal.data.identity import content_hash
from ganneal.data.messages import report
from ganneal.metrics.extractors.module import weights_sha256
from ganneal.metrics.extractors.protocol import Extracted, Extractor
from ganneal.storage.atomic import write_bytes
from ganneal.storage.cache import cache_folder

CACHE_FORMAT = 2
CHECKSUM = "sha256"
LARGEST_ENTRY = 1 << 30
"""Bytes; more features than this are computed each time."""


def chosen_samples(dataset: Dataset, count: int | None, seed: int) -> np.ndarray:
    """Indices of ``count`` samples drawn without replacement, in rising order; of all where None or more."""
    if count is None or count >= len(dataset):
        return np.arange(len(dataset))
    # In rising order: memory-mapped images are read front to back.
    return np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count])


def extract(dataset: Dataset, extractor: Extractor, indices: np.ndarray, block: int = 1000) -> Extracted:
    """The extractor's view of the samples at ``indices``, block by block; a listener hears how far it is."""
    parts = []
    for start in range(0, len(indices), block):
        report(f"images through {extractor.name}", start, len(indices))
        # A copy: torch knows no read-only memory, which mapped samples are.
        parts.append(extractor(torch.from_numpy(np.array(dataset.samples[indices[start : start + block]]))))
    logits = [part.logits for part in parts if part.logits is not None]
    return Extracted(torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None)


def reference_features(
    dataset: Dataset, extractor: Extractor, *, count: int | None = None, seed: int = 0, sha256: str | None = None
) -> Extracted:
    """Features (and logits) of ``count`` real samples, from the cache where they are there.

    Args:
        count: None takes every sample.
        seed: Decides which samples; they come in the data set's order.
        sha256: `content_hash` of the data, where it is known already.
    """
    indices = chosen_samples(dataset, count, seed)
    key = _key(extractor, sha256 or content_hash(dataset), len(indices), seed if len(indices) < len(dataset) else None)
    # 128 bits of the key's hash name the file; the checksum inside is over the whole key.
    path = cache_folder() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
    try:
        # A missing, torn or foreign entry of the cache costs time and nothing else: it is made again.
        return _read(path, key)
    except (SafetensorError, OSError, KeyError, ValueError):
        made = extract(dataset, extractor, indices)
    tensors = {"features": made.features} | ({} if made.logits is None else {"logits": made.logits})
    if sum(tensor.nbytes for tensor in tensors.values()) <= LARGEST_ENTRY:
        _write({name: tensor.contiguous() for name, tensor in tensors.items()}, path, key)
    return made


def _key(extractor: Extractor, content: str, count: int, seed: int | None) -> str:
    own = [extractor.name, extractor.sha256, extractor.layer]
    # Everything that defines a feature is in the key; the batch size is not.
    how = [extractor.resize, extractor.input_scaling, extractor.precision]
    return json.dumps({"format": CACHE_FORMAT, "content": content, "extractor": own + how, "samples": [count, seed]})


def _read(path: Path, key: str) -> Extracted:
    kept = load(path.read_bytes())  # into memory: a mapped file could change under what is returned
    if kept.pop(CHECKSUM).tolist() != _checksum(kept, key).tolist():
        raise ValueError(f"{path} is not what was written for this key")
    return Extracted(kept["features"], kept.get("logits"))


def _checksum(tensors: dict[str, Tensor], key: str) -> UInt8[Tensor, "32"]:
    digest = hashlib.sha256((key + weights_sha256(tensors)).encode()).digest()
    return torch.tensor(list(digest), dtype=torch.uint8)


def _write(tensors: dict[str, Tensor], path: Path, key: str) -> None:
    content = save(tensors | {CHECKSUM: _checksum(tensors, key)}, metadata={"key": key})
    try:
        write_bytes(path, content, shared=True)
    except OSError:
        pass  # a full or read-only disk costs the cache, not the evaluation
