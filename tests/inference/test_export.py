"""An exported generator gives the images of the original, says what it is, and is written whole or not at all."""

import io
import json
import runpy
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tests.for_each import for_each
from torch import Tensor

from ganneal.augment import AUGMENTATIONS
from ganneal.chain import Chain
from ganneal.cli import main
from ganneal.clocks import Counters
from ganneal.inference.export import FORMATS, IMAGE_TOLERANCE, program_of, write_export
from ganneal.inference.export.formats import Runner
from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.pushing import ChainPushes
from ganneal.losses import LOSSES
from ganneal.models import (
    DCGAN,
    DDGAN,
    FC2,
    MLP,
    MODELS,
    R3GAN,
    SNDCGAN,
    SNGAN,
    BigGAN,
    DCGANExt,
    DenoisingMLP,
    FastGAN,
    Model,
    Pair,
    Projected,
    Relation,
    ResNet4,
)
from ganneal.push import Push
from ganneal.task import Denoising, Labelled, Unconditional

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "sample_onnx.py"
CARD = {"data": {"name": "toy images", "classes": ["red", "green", "blue"]}, "counters": {"num_real": 5}}


def trained(model: Model, shape: tuple[int, ...], num_classes: int = 0) -> TrainedGenerator:
    """A generator whose every weight matters, as after training."""
    torch.manual_seed(0)
    pair = model.build(shape, num_classes)
    with torch.no_grad():
        for parameter in pair.generator.parameters():
            if parameter.abs().max() < 1e-3:
                parameter.copy_(0.1 * torch.randn_like(parameter))
    task = Denoising(steps=2) if pair.denoises else Labelled() if num_classes else Unconditional()
    card = CARD if num_classes == 3 else CARD | {"data": {"name": "toy images"}}
    return TrainedGenerator(pair.generator, pair, task, card)


SMALL = DCGAN(width=4, latent_size=8)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    done = write_export(trained(SMALL, (1, 8, 8)), path)
    assert done.path == path and done.bytes == path.stat().st_size
    assert set(done.differences) == {1, 2, 7, 64} and max(done.differences.values()) <= IMAGE_TOLERANCE
    return path


def card_of(path: Path) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(path)
    return json.loads(session.get_modelmeta().custom_metadata_map["ganneal"])


@pytest.mark.runs
@for_each("count", [1, 3, 50])
def test_onnx_runtime_draws_the_samples_of_the_original_at_any_batch_size(count: int, onnx_file: Path) -> None:
    original = trained(SMALL, (1, 8, 8))
    session = onnxruntime.InferenceSession(onnx_file)
    latents, _, _ = original.draw(count, seed=9)
    images = np.asarray(session.run(["images"], {"latents": latents.numpy()})[0])
    assert images.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(images), original.sample(count, seed=9), rtol=0, atol=1e-5)


@pytest.mark.runs
def test_the_file_names_its_inputs_and_what_was_trained_and_no_folder_of_this_machine(onnx_file: Path) -> None:
    session = onnxruntime.InferenceSession(onnx_file)
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [("latents", ["n", 8], "tensor(float)")]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("images", ["n", 1, 8, 8])]
    card = card_of(onnx_file)
    assert card["inputs"][0]["distribution"] == "independent standard normal"
    assert card["data"] == {"name": "toy images"} and card["counters"] == {"num_real": 5}
    assert card["classes"] == [] and card["licence"] and card["statistics"] == "running"
    assert str(ROOT / "src").encode() not in onnx_file.read_bytes()


def run_example(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The example in a Python that has neither torch nor ganneal."""
    script = (
        f"import runpy, sys; sys.modules.update(torch=None, ganneal=None); sys.argv[1:] = {arguments!r}; "
        f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)


@pytest.mark.runs
def test_the_example_draws_without_torch_and_ganneal(onnx_file: Path, tmp_path: Path) -> None:
    done = run_example(str(onnx_file), "--count", "5", "--seed", "1", "--out", str(tmp_path / "five.png"))
    assert done.returncode == 0, done.stderr
    assert "5 images of toy images" in done.stdout
    with Image.open(tmp_path / "five.png") as picture:
        assert picture.size == (3 * 48, 2 * 48) and picture.mode == "L"  # 8 pixels enlarged to 48, 3 columns, 2 rows
        pixels = np.asarray(picture)
    latents = np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)
    images = np.asarray(onnxruntime.InferenceSession(onnx_file).run(None, {"latents": latents})[0])
    np.testing.assert_array_equal(pixels[:48:6, :48:6], np.clip(images[0, 0] * 127.5 + 128, 0, 255).astype(np.uint8))


@pytest.mark.runs
def test_the_example_writes_one_image_as_it_is(onnx_file: Path, tmp_path: Path) -> None:
    done = run_example(str(onnx_file), "--count", "1", "--out", str(tmp_path / "one.png"))
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (8, 8)


def test_the_example_draws_classes_as_often_as_the_data_has_them() -> None:
    drawn_inputs = runpy.run_path(str(EXAMPLE))["drawn_inputs"]
    card = {"classes": ["a", "b", "c"], "data": {"class_counts": [90, 0, 10]}, "inputs": [{"name": "labels"}]}
    labels = drawn_inputs(card, 1000, np.random.default_rng(0), [], np.inf)["labels"]
    counts = np.bincount(labels, minlength=3)
    assert counts[1] == 0 and abs(counts[0] - 900) < 4 * 9.5  # four standard deviations


def test_a_program_of_torch_takes_labels_and_holds_its_card(tmp_path: Path) -> None:
    original = trained(MLP(width=8, depth=2, latent_size=8), (2,), num_classes=3)
    path = write_export(original, tmp_path / "x.pt2", format="torch", batches=(1, 7)).path
    extra = {"ganneal.json": ""}
    module = torch.export.load(path, extra_files=extra).module()
    latents, (labels,), _ = original.draw(5, seed=4, labels=[0, 2, 1, 1, 0])
    with torch.no_grad():
        images = module(latents, labels)
    torch.testing.assert_close(images, original.sample(5, seed=4, labels=[0, 2, 1, 1, 0]), rtol=0, atol=1e-5)
    card = json.loads(extra["ganneal.json"])
    assert card["classes"] == ["red", "green", "blue"] and [i["name"] for i in card["inputs"]] == ["latents", "labels"]
    assert card["inputs"][1]["shape"] == ["n"] and card["inputs"][1]["distribution"] == "classes 0..2"
    assert str(ROOT / "src").encode() not in path.read_bytes()


def test_all_passes_of_a_denoising_chain_are_one_function_of_latents_and_noise() -> None:
    original = trained(DenoisingMLP(width=16, depth=2, latent_size=3), (2,))
    program = program_of(original)
    assert {i.name: i.shape for i in program.inputs} == {"latents": (2, 3), "noise": (2, 2)}
    latents, condition, _ = original.draw(5, seed=3)
    inputs = program.made_of(latents, condition)
    with torch.no_grad():
        assert torch.equal(program.module(*inputs), original.sample(5, seed=3))
        latents, noise = inputs
        for each, given in (("latents", (latents.flip(1), noise)), ("noise", (latents, noise.flip(1)))):
            assert not torch.allclose(program.module(*given), original.sample(5, seed=3)), f"{each} in another order"


def test_samples_that_are_no_function_of_the_inputs_are_refused(tmp_path: Path) -> None:
    generator = trained(SMALL, (1, 8, 8))
    with pytest.raises(ValueError, match="statistics must be 'running' or 'standing' for an export, got 'batch'"):
        write_export(generator.with_statistics("batch", 4), tmp_path / "x.onnx")
    chain = Chain(Push(), LOSSES["nonsaturating"], chunk=4)
    for level in range(1, 4):
        chain.store(level, SMALL.build((1, 8, 8)).discriminator, 1.0)
    generator.pushes = ChainPushes(chain, AUGMENTATIONS["none"], {}, Counters())
    with pytest.raises(ValueError, match="takes 3 pushes by stored discriminators.*--sampler generator"):
        write_export(generator, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Off:
    """A format whose programs are wrong by ``by`` in one pixel."""

    by: float
    suffix = ".off"

    def check(self) -> None:
        pass

    def encoded(self, program: Any, examples: tuple[Tensor, ...]) -> bytes:
        buffer = io.BytesIO()
        torch.save(program.module, buffer)
        return buffer.getvalue()

    def runner(self, content: bytes) -> Runner:
        module = torch.load(io.BytesIO(content), weights_only=False)

        def run(inputs: tuple[Tensor, ...]) -> Tensor:
            images = module(*inputs)
            images[-1, 0, 0, 0] += self.by
            return images

        return run


@for_each(("by", "written"), [(5e-6, True), (3e-5, False), (float("nan"), False)])
def test_a_file_that_differs_is_not_written(
    by: float, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "off", Off(by))
    generator = trained(SMALL, (1, 8, 8))
    if written:
        assert write_export(generator, tmp_path / "x.off", format="off").differences[64] == pytest.approx(by, abs=1e-6)
    else:
        with pytest.raises(ValueError, match="differs from the original by .*nothing was written"):
            write_export(generator, tmp_path / "x.off", format="off")
    assert [path.name for path in tmp_path.iterdir()] == ["x.off"] * written


def test_what_is_there_already_is_kept_unless_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "off", Off(0.0))
    generator, path = trained(SMALL, (1, 8, 8)), tmp_path / "x.off"
    path.write_text("mine")
    with pytest.raises(ValueError, match="out must be a new file, got .*x.off', which is there"):
        write_export(generator, path, format="off")
    with pytest.raises(ValueError, match="out must be a file, got the folder"):
        write_export(generator, tmp_path, format="off", overwrite=True)
    assert path.read_text() == "mine"
    write_export(generator, path, format="off", overwrite=True)
    assert path.stat().st_size > 1_000


@for_each("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ValueError, match=rf"needs {missing}, .*pip install 'ganneal\[export\]'"):
        write_export(trained(SMALL, (1, 8, 8)), tmp_path / "x.onnx")


def test_the_command_line_exports_and_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "zoo:digits-nats", "--format", "torch"]) == 0
    out = capsys.readouterr().out
    assert "largest difference to the original at 1, 2, 7, 64 images: " in out and "digits-nats.pt2" in out
    images = torch.export.load("digits-nats.pt2").module()(torch.zeros(2, 64))
    assert images.shape == (2, 1, 16, 16)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for arguments, status, said in (
        (["zoo:digits-nats", "--format", "torch"], 2, "digits-nats.pt2', which is there"),
        (["zoo:digits-nats", "--format", "onxx"], 2, "unknown format 'onxx'. Did you mean 'onnx'"),
        (["empty"], 2, "no trained run at"),
        (["zoo:digits-nats", "--checkpoint", "best"], 2, "no best weights"),
        (["zoo:digits-nats", "--sampler", "pushed"], 2, "needs stored discriminators"),
        (["zoo:digits-nats", "--format", "torch", "--out", "file/x.pt2"], 1, "file"),
    ):
        assert main(["export", *arguments]) == status
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits-nats.pt2", "empty", "file"]


TINY_DDGAN = DDGAN(width=8, latent_size=8, style_size=16, d_width=2, d_time_size=8)
CHUNKED = BigGAN(width=8, latent_size=11, shared_size=4, hierarchical=True, attention=32, layout="studio")
KINDS: dict[str, list[tuple[Model, tuple[int, ...], int]]] = {
    "mlp": [(MLP(width=16, depth=2), (2,), 3)],
    "dcgan": [(SMALL, (3, 32, 32), 0), (replace(SMALL, g_norm="layer"), (1, 28, 28), 0)],
    "dcgan-ext": [(DCGANExt(width=4, latent_size=8), (1, 28, 28), 0)],
    "resnet-4": [(ResNet4(width=4, latent_size=8), (3, 32, 32), 0)],
    "fc-2": [(FC2(hidden=16, width=4, latent_size=8), (1, 28, 28), 0)],
    "sn-dcgan": [(SNDCGAN(width=4, latent_size=8), (3, 32, 32), 0)],
    "sngan": [(SNGAN(g_width=16, d_width=16, latent_size=8, upsampling="bilinear"), (3, 64, 64), 3)],
    "biggan": [(BigGAN(width=2, latent_size=8), (3, 32, 32), 0), (CHUNKED, (3, 64, 64), 3)],
    "r3gan": [(R3GAN(widths=(16, 8), group_size=8, blocks=2, latent_size=8), (3, 16, 16), 3)],
    "fastgan": [
        (FastGAN(width=4, latent_size=8), (3, 32, 32), 0),
        (FastGAN(width=4, latent_size=8, layout="sauer"), (3, 48, 64), 0),
    ],
    "projected": [(Projected(FastGAN(width=4, latent_size=8), side=64), (3, 32, 32), 0)],
    "pair": [(Pair(SMALL, FastGAN(width=4)), (3, 32, 32), 0)],
    "relation": [(Relation(width=4, latent_size=8, hidden=4), (3, 32, 32), 0)],
    "ddgan": [(TINY_DDGAN, (3, 16, 16), 0)],
    "denoising-mlp": [(DenoisingMLP(width=16, depth=2, latent_size=3), (2,), 0)],
}
"""Small members of each family; a family registered without any fails below."""


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_every_network_family_is_exported(name: str, format: str, tmp_path: Path) -> None:
    for index, (model, shape, num_classes) in enumerate(KINDS[name]):
        done = write_export(trained(model, shape, num_classes), tmp_path / str(index), format=format, batches=(1, 2, 7))
        assert max(done.differences.values()) <= IMAGE_TOLERANCE


@pytest.mark.slow
def test_the_example_draws_classes_and_truncated_latents(tmp_path: Path) -> None:
    original = trained(SNGAN(g_width=8, d_width=8, latent_size=8), (1, 32, 32), num_classes=3)
    write_export(original, tmp_path / "x.onnx", batches=(2,))
    drawn = str(tmp_path / "drawn.npy")
    arguments = (str(tmp_path / "x.onnx"), "--count", "4", "--out", drawn, "--truncation", "0.5")
    done = run_example(*arguments, "--class", "blue", "1")
    assert done.returncode == 0, done.stderr
    images = np.load(drawn)
    assert images.shape == (4, 1, 32, 32)
    random = np.random.default_rng(0)
    latents = random.standard_normal((4, 8))
    while (beyond := np.abs(latents) > 0.5).any():
        latents[beyond] = random.standard_normal(beyond.sum())
    expected = original.finish(torch.from_numpy(latents).float(), (torch.tensor([2, 1, 2, 1]),), torch.Generator())
    np.testing.assert_allclose(images, expected.numpy(), rtol=0, atol=1e-5)
    assert "class must be one of red, green, blue, got 'pink'" in run_example(*arguments, "--class", "pink").stderr
