"""The same numbers as torch-fidelity from the same features, by its functions of arrays.

It imports torchvision, which fails beside a torch of another build, for images only. So its functions run in a
process of their own, where an empty stand-in takes torchvision's place, and no other test sees that. They lie in a
folder of their own, ``build/parity``, because their wheel also brings a package named ``tests``. To run these:
``make build/parity/.ready``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganneal.metrics import frechet_distance
from ganneal.metrics.inception_score import inception_score
from ganneal.metrics.kernel import kernel_distance
from ganneal.metrics.neighbours import precision_recall

BESIDE = Path(__file__).parents[2] / "build" / "parity"

pytestmark = pytest.mark.skipif(
    not (BESIDE / ".ready").exists(), reason="needs torch-fidelity in build/parity; run `make build/parity/.ready`"
)

SUBSETS, SUBSET_SIZE, SEED = 10, 60, 2020
THEIRS = f"""
import json, sys
from types import ModuleType

names = "", ".datasets", ".transforms", ".transforms.functional", ".models"
modules = {{"torchvision" + name: ModuleType("torchvision" + name) for name in names}}
for name, module in modules.items():
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(modules[parent], child, module)
for dataset in ("CIFAR10", "CIFAR100", "STL10"):
    setattr(modules["torchvision.datasets"], dataset, type(dataset, (), {{}}))
sys.modules.update(modules)

import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

arrays = np.load(sys.argv[1])
real, fake, logits = (torch.from_numpy(arrays[name]) for name in ("real", "fake", "logits"))
options = dict(kid_subsets={SUBSETS}, kid_subset_size={SUBSET_SIZE}, rng_seed={SEED}, verbose=False)
found = {{}}
found |= fid_statistics_to_metric(fid_features_to_statistics(real), fid_features_to_statistics(fake), False)
found |= kid_features_to_metric(real, fake, **options)
found |= prc_features_to_metric(fake, real, verbose=False)  # the generated ones first
found |= {{"shuffled_" + name: value for name, value in isc_features_to_metric(logits).items()}}
found |= isc_features_to_metric(logits, shuffle=False)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((16, 16))
    real, fake = generator.standard_normal((300, 16)) @ mixing, generator.standard_normal((250, 16)) @ mixing
    return {"real": real, "fake": 0.8 * fake + 0.5, "logits": 3 * generator.standard_normal((503, 12))}


@pytest.fixture(scope="module")
def theirs(arrays, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    path: Path = tmp_path_factory.mktemp("parity") / "arrays.npz"
    np.savez(path, **arrays)
    places = os.pathsep.join([str(BESIDE), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", THEIRS, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_frechet_distance(arrays, theirs):
    # its eigenvalues are those of the unsymmetric product of the covariances
    ours = frechet_distance(arrays["real"], arrays["fake"])
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-9)


def test_kernel_distance_over_its_subsets(arrays, theirs):
    legacy, values = np.random.RandomState(SEED), []
    for _ in range(SUBSETS):
        real = arrays["real"][legacy.choice(300, SUBSET_SIZE, replace=False)]
        fake = arrays["fake"][legacy.choice(250, SUBSET_SIZE, replace=False)]
        values.append(kernel_distance(real, fake).value)
    assert np.mean(values) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert np.std(values) == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-10)


def test_kernel_distance_of_all_samples_is_within_the_spread_of_its_subsets(arrays, theirs):
    ours = kernel_distance(arrays["real"], arrays["fake"]).value
    spread = theirs["kernel_inception_distance_std"] / np.sqrt(SUBSETS)
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], abs=float(4 * spread))


def test_precision_and_recall(arrays, theirs):
    ours = precision_recall(arrays["real"], arrays["fake"])
    assert 0.1 < ours.recall < ours.precision  # so that an exchange of both would show
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-6)  # its means are float32
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-6)


def test_inception_score_in_order_and_over_its_shuffle(arrays, theirs):
    ordered = inception_score(arrays["logits"], seed=None)
    assert ordered.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
    assert ordered.std == pytest.approx(theirs["inception_score_std"], rel=1e-8)
    order = np.random.RandomState(SEED).permutation(503)
    shuffled = inception_score(arrays["logits"][order], seed=None)
    assert shuffled.mean == pytest.approx(theirs["shuffled_inception_score_mean"], rel=1e-10)
