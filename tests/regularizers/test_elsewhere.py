"""Gradient penalties compiled, and on two processes; each in interpreters of its own, without the shape checker."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

SETUP = """
import json, torch
from torch import nn
from ganneal.regularizers import r1, wgan_gp

torch.manual_seed(0)
discriminator = nn.Sequential(
    nn.Conv2d(1, 4, 3, 2), nn.LeakyReLU(0.2), nn.Flatten(),
    nn.Linear(36, 4), nn.Softplus(), nn.Linear(4, 1), nn.Flatten(0),
).double()
parameters = list(discriminator.parameters())
real, fake = torch.rand(2, 8, 1, 8, 8, dtype=torch.float64)
share = torch.rand(8, dtype=torch.float64)

def gradients(loss):
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters)]
"""


def run(script: str) -> Any:
    result = subprocess.run([sys.executable, "-c", SETUP + script], capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(params=["aot_eager", "inductor"])
def backend(request: pytest.FixtureRequest) -> str:
    """aot_eager traces and differentiates as inductor, the default, does, without generating code."""
    if request.param == "inductor" and not shutil.which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["r1(discriminator, x, y)", "wgan_gp(discriminator, x, y, share=share)"])
def test_a_compiled_penalty_has_the_eager_value_and_gradients(penalty: str, backend: str) -> None:
    worst = run(f"""
def loss(x, y):
    return nn.functional.softplus(-discriminator(x)).mean() + {penalty}.mean()

compiled = torch.compile(loss, backend={backend!r}, fullgraph=True)
one, other = loss(real, fake), compiled(real, fake)
pairs = [(one, other), *zip(gradients(one), gradients(other))]
print(json.dumps(max((a - b).abs().max().item() for a, b in pairs)))
""")
    assert worst < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient", "gran"])
def test_a_compiled_normalised_discriminator_has_the_eager_gradients(name: str, backend: str) -> None:
    worst = run(f"""
from ganneal.normalization import NORMALIZATIONS
normalized = NORMALIZATIONS[{name!r}].apply(discriminator)
compiled = torch.compile(normalized, backend={backend!r}, fullgraph=True)
one, other = normalized(real).square().sum(), compiled(real).square().sum()
pairs = [(one, other), *zip(gradients(one), gradients(other))]
print(json.dumps(max((a - b).abs().max().item() for a, b in pairs)))
""")
    assert worst < 1e-12


@pytest.mark.slow
def test_two_processes_with_half_the_batch_each_have_the_gradients_of_the_whole(tmp_path: Any) -> None:
    worst = run(f"""
import os, torch.distributed as distributed
rank = os.fork() == 0
distributed.init_process_group("gloo", init_method="file://{tmp_path}/store", rank=int(rank), world_size=2)
mine = slice(4, 8) if rank else slice(0, 4)
found = gradients(wgan_gp(discriminator, real[mine], fake[mine], share=share[mine]).mean())
for gradient in found:  # shares are drawn for the whole batch and sliced, then one average of the gradients
    distributed.all_reduce(gradient)
    gradient /= 2
whole = gradients(wgan_gp(discriminator, real, fake, share=share).mean())
worst = max((a - b).abs().max().item() for a, b in zip(found, whole))
distributed.destroy_process_group()
if rank:
    os._exit(int(worst > 1e-12))
print(json.dumps(worst if os.wait()[1] == 0 else 1.0))
""")
    assert worst < 1e-12
