"""Starting from another run's weights: what fits is taken, what does not begins anew, and both are told."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.for_each import for_each

import ganneal
from ganneal.cli import main
from ganneal.data import Arrays
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import digits_nats, ring_cfg
from ganneal.models import DCGAN, MLP, R3GAN, SNGAN, BigGAN, Model
from ganneal.normalization import NORMALIZATIONS
from ganneal.schemes import FunctionalGradient
from ganneal.storage.run_directory import RunDirectory
from ganneal.task import Labelled, Unconditional
from ganneal.training.forewarning import forewarnings
from ganneal.training.initial_weights import Taken, take_weights
from ganneal.training.matched_weights import class_dimensions, matched

pytestmark = pytest.mark.usefixtures("empty_pictures")

TINY = DCGAN(width=4, latent_size=8)


def images(folder: Path, *classes: str, size: int = 16) -> Arrays:
    """Images of these classes, a file for each set."""
    path = folder / f"{'-'.join(classes)}-{size}.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (8 * max(len(classes), 1), 3, size, size), dtype=np.uint8)
    if not classes:
        np.savez(path, images=pixels)
        return Arrays(str(path), images="images")
    np.savez(path, images=pixels, labels=np.arange(len(pixels)) % len(classes), class_names=np.array(classes))
    return Arrays(str(path), images="images", labels="labels")


def experiment(data: Arrays, model: Model = TINY, **changes: Any) -> Experiment:
    start = Experiment(
        name="start",
        data=data,
        model=model,
        task=Labelled() if data.labels == "labels" else Unconditional(),
        batch_size=8,
        budget=Budget(d_updates=1),
        records=Records(evaluate_count=0, tensorboard=False, sample_count=4, keep_every=8, checkpoint_seconds=0),
    )
    return replace(start, **changes)


def began(given: Experiment, path: Path | str) -> tuple[Run, Taken]:
    run = Run(given)
    return run, take_weights(run, str(path))


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    """A run on cats and dogs."""
    ganneal.train(experiment(images(tmp_path, "cat", "dog")), tmp_path / "cats")
    return tmp_path / "cats"


@pytest.mark.runs
@for_each(
    "model",
    [
        DCGAN(width=4, latent_size=8),
        SNGAN(g_width=8, d_width=8, latent_size=8),
        BigGAN(width=2, latent_size=8, shared_size=4),
        R3GAN(widths=(8,), latent_size=8),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_class_of_the_same_name_is_drawn_and_judged_as_before_whatever_its_number(
    model: Model, tmp_path: Path
) -> None:
    first = ganneal.train(experiment(images(tmp_path, "cat", "dog", size=32), model), tmp_path / "run")
    run, taken = began(experiment(images(tmp_path, "ape", "dog", "cat", size=32), model, seed=1), tmp_path / "run")
    assert taken.classes == "classes dog, cat taken, ape begun anew" and not any(taken.anew.values())
    latents = first.pair.latent.sample(4, torch.Generator().manual_seed(0))
    for ours, theirs in ((1, 1), (2, 0)):
        labels, before = torch.full((4,), ours), torch.full((4,), theirs)
        drawn, same = run.average.eval()(latents, labels), first.average.eval()(latents, before)
        torch.testing.assert_close(drawn, same, rtol=0, atol=0)
        judged = run.discriminator.eval()(drawn, labels)
        torch.testing.assert_close(judged, first.discriminator.eval()(same, before), rtol=0, atol=0)


def test_dimensions_of_classes_are_found_in_tables_and_beside_other_inputs() -> None:
    assert class_dimensions(TINY, (3, 16, 16), 5) == {
        "generator": {"classes.weight": 0},
        "discriminator": {"classes.weight": 0},
    }
    assert class_dimensions(R3GAN(widths=(8,)), (3, 16, 16), 5)["discriminator"] == {"classes.weight": 1}
    assert class_dimensions(MLP(width=4, depth=1), (2,), 5)["generator"] == {"net.0.weight": 1}
    assert class_dimensions(TINY, (3, 16, 16), 0) == {"generator": {}, "discriminator": {}}


@for_each(("names", "anew"), [(("a", "b"), False), (("b", "a"), True), (("a", "c"), True)])
def test_a_layer_that_shares_its_inputs_with_classes_is_taken_for_the_same_classes_only(
    tmp_path: Path, names: tuple[str, ...], anew: bool
) -> None:
    def points(*names: str) -> Arrays:
        path = tmp_path / f"{'-'.join(names)}.npz"
        samples = np.zeros((16, 2), np.float32)
        np.savez(path, points=samples, labels=np.arange(16) % 2, class_names=np.array(names))
        return Arrays(str(path), images="points", labels="labels")

    model = MLP(width=4, depth=1)
    ganneal.train(experiment(points("a", "b"), model), tmp_path / "run")
    _, taken = began(experiment(points(*names), model), tmp_path / "run")
    assert taken.anew["generator"] == taken.anew["discriminator"] == (["net.0.weight"] if anew else [])


def test_a_run_without_classes_gives_all_but_the_vectors_of_classes(tmp_path: Path) -> None:
    first = ganneal.train(experiment(images(tmp_path)), tmp_path / "run")
    run, taken = began(experiment(images(tmp_path, "cat", "dog"), seed=1), tmp_path / "run")
    assert taken.anew == dict.fromkeys(("generator", "discriminator", "average"), ["classes.weight"])
    assert taken.classes == "classes begin anew, as it has none"
    for name, tensor in first.generator.state_dict().items():
        assert torch.equal(run.generator.state_dict()[name], tensor)


def test_layers_of_another_size_are_counted_from_the_end_that_they_share(tmp_path: Path) -> None:
    first = ganneal.train(experiment(images(tmp_path, size=16)), tmp_path / "run")
    run, taken = began(experiment(images(tmp_path, size=32), seed=1), tmp_path / "run")
    # the discriminator's layers at the image have the same numbers, the generator's stand three places further
    assert "net.0.weight" in taken.taken["discriminator"]
    ours, theirs = run.generator.state_dict(), first.generator.state_dict()
    assert taken.anew["generator"][:1] == ["net.0.weight"] and "net.6.weight" in taken.taken["generator"]
    assert torch.equal(ours["net.6.weight"], theirs["net.3.weight"])
    assert torch.equal(ours["net.9.weight"], theirs["net.6.weight"])
    assert "generator 13 of 20" in taken.line


def test_layers_are_matched_from_the_beginning_where_more_fit_there() -> None:
    own = {"net.0.weight": torch.zeros(4, 3), "net.1.weight": torch.zeros(2, 4), "net.2.weight": torch.zeros(9, 9)}
    theirs = {"net.0.weight": torch.ones(4, 3), "net.1.weight": torch.ones(2, 4)}
    assert {name: other is theirs[name] for name, other in matched(own, theirs).items()} == dict.fromkeys(theirs, True)


@pytest.mark.runs
@for_each("before", ["none", "spectral", "gradient"])
@for_each("now", ["none", "spectral", "gradient"])
def test_another_normalization_has_the_same_weights(tmp_path: Path, before: str, now: str) -> None:
    model = replace(TINY, d_norm="layer")
    data = images(tmp_path)
    first = ganneal.train(experiment(data, model, normalization=NORMALIZATIONS[before]), tmp_path / "run")
    run, taken = began(experiment(data, model, normalization=NORMALIZATIONS[now], seed=1), tmp_path / "run")
    kept = [tensor for name, tensor in first.discriminator.state_dict().items() if not name.endswith(".u")]
    ours = [tensor for name, tensor in run.discriminator.state_dict().items() if not name.endswith(".u")]
    # a weight under spectral normalisation stands behind its layer's others
    pair = (sorted(tensors, key=lambda tensor: (tensor.dim(), tensor.sum().item())) for tensors in (kept, ours))
    assert all(torch.equal(one, other) for one, other in zip(*pair, strict=True))
    assert all(name.endswith(".u") for name in taken.anew["discriminator"])


@pytest.mark.parametrize("place", ["", "final", "snapshots/000000008", "checkpoints", "final/generator.safetensors"])
def test_weights_are_taken_from_every_place_that_keeps_them(cats: Path, tmp_path: Path, place: str) -> None:
    path = next((cats / place).glob("*.pt")) if place == "checkpoints" else cats / place
    run, taken = began(experiment(images(tmp_path, "cat", "dog"), seed=1), path)
    average = ganneal.load(cats).generator.state_dict()
    assert all(torch.equal(run.average.state_dict()[name], tensor) for name, tensor in average.items())
    whole = not place.endswith(".safetensors")
    assert bool(taken.taken["discriminator"]) == whole


def test_a_file_of_the_discriminator_begins_the_discriminator_alone(cats: Path, tmp_path: Path) -> None:
    file = cats / "final" / "discriminator.safetensors"
    _, taken = began(experiment(images(tmp_path, "cat", "dog"), seed=1), file)
    assert taken.taken["discriminator"] and not taken.taken["generator"] and not taken.taken["average"]


def test_a_generator_that_ships_begins_a_run_in_full_precision() -> None:
    own = replace(digits_nats(), model=DCGAN(width=32, latent_size=64))
    run, taken = began(own, "zoo:digits-nats")
    assert (
        taken.line
        == "weights taken from zoo:digits-nats: generator 14 of 14, discriminator begins anew, average 14 of 14"
    )
    assert not taken.anew["generator"] and not taken.taken["discriminator"]
    assert {tensor.dtype for tensor in run.generator.state_dict().values()} == {torch.float32, torch.int64}
    drawn = run.sampler().sample(4, 0)
    torch.testing.assert_close(drawn, ganneal.load("zoo:digits-nats").sample(4, 0))


def test_nothing_that_fits_is_refused_with_the_reason(cats: Path, tmp_path: Path) -> None:
    wider = experiment(images(tmp_path, "cat", "dog"), DCGAN(width=5, latent_size=9), init_from=str(cats))
    with pytest.raises(ValueError, match=r"nothing fits. It has DCGAN for samples of shape \(3, 16, 16\)") as error:
        ganneal.train(wider, tmp_path / "run")
    assert "generator net.0.weight is 8x8x4x4 there, 9x10x4x4 here; discriminator net.0.weight is 4x3x4x4" in str(
        error.value
    )
    with pytest.raises(ValueError, match="no weight of the generator has the name of one there"):
        began(experiment(images(tmp_path, "a", "b", size=32), SNGAN(g_width=8, d_width=8)), cats)


def test_weights_that_are_no_numbers_are_refused(cats: Path, tmp_path: Path) -> None:
    run = Run(experiment(images(tmp_path, "cat", "dog")))
    state = run.state_dict()
    state["average"] = {name: tensor * torch.nan for name, tensor in state["average"].items()}
    kept = RunDirectory(cats)
    path = kept.save_checkpoint(state | {"counters": {"d_updates": 9, "g_updates": 9}}, {})
    with pytest.raises(ValueError, match="has NaN or infinite weights of the average"):
        take_weights(run, str(path))


@for_each("given", ["nowhere", "a.npz", "zoo:nope"])
def test_what_holds_no_weights_is_answered_with_what_may_be_given(tmp_path: Path, given: str) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    place = given if given.startswith("zoo:") else str(tmp_path / given)
    message = "unknown generator of the zoo" if given.startswith("zoo:") else "a .safetensors file, or zoo:NAME, got"
    with pytest.raises(ValueError, match=message):
        began(experiment(images(tmp_path)), place)


def test_one_line_counts_and_a_file_lists(cats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bird = experiment(images(tmp_path, "bird", "cat"), init_from=str(cats))
    ganneal.train(bird, tmp_path / "run", progress=True)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("weights taken from")]
    count = len(json.loads((tmp_path / "run" / "init_from.json").read_text())["taken"]["generator"])
    assert line.startswith(f"weights taken from {cats}: generator {count} of {count}, discriminator")
    assert line.endswith(
        f"; classes cat taken, bird begun anew; which, and which begin anew: {tmp_path}/run/init_from.json"
    )


def test_optimizers_and_clocks_begin_anew(cats: Path, tmp_path: Path) -> None:
    run, _ = began(experiment(images(tmp_path, "cat", "dog"), seed=1), cats)
    assert run.counters.num_real == 0 and not run.g_optimizer.state_dict()["state"]


def test_a_scheme_that_undoes_the_weights_is_warned_of() -> None:
    start = replace(ring_cfg(), init_from="runs/x")
    assert any("--scheme.no-projected-start" in warning for warning in forewarnings(start))
    kept = replace(start, scheme=FunctionalGradient(projected_start=False))
    assert not any("projected-start" in warning for warning in forewarnings(kept) + forewarnings(ring_cfg()))


# Resuming


def test_a_refused_resume_gives_the_command_that_starts_from_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--model.width", "4", "--budget.d-updates", "1", "--records.evaluate-count", "0"]
    assert main(["train", "digits-nats", *small]) in (0, None)
    (tmp_path / "runs" / "digits-nats-2").mkdir()
    changed = [*small, "--batch-size", "16", "--g-optimizer.lr", "3e-4"]
    for dry in ([], ["--dry-run"]):
        status = main(["train", "digits-nats", *changed, *dry])
        told = capsys.readouterr()
        assert dry or status == 2
        [line] = [one for one in (told.err + told.out).splitlines() if one.startswith("To start from its weights")][:1]
        command = line.removeprefix("To start from its weights instead: ")
        expected = ["ganneal", "train", "digits-nats", *changed]
        assert shlex.split(command) == [*expected, "--init-from", "runs/digits-nats", "--out", "runs/digits-nats-3"]
    assert main([*shlex.split(command)[1:], "--dry-run"]) in (0, None)
    assert "weights taken from runs/digits-nats: generator" in capsys.readouterr().out
    assert main(shlex.split(command)[1:]) in (0, None)
    assert main(["train", "digits-nats", "--model", "sn-dcgan"]) == 2
    assert "To start from its weights" not in capsys.readouterr().err  # nothing would fit


def test_a_resumed_run_that_began_from_the_zoo_asks_for_the_same_start(tmp_path: Path) -> None:
    own = replace(
        digits_nats(),
        init_from="zoo:digits-nats",
        budget=Budget(d_updates=1),
        records=Records(evaluate_count=0, tensorboard=False),
    )
    ganneal.train(own, tmp_path / "run")
    longer = replace(own, budget=Budget(d_updates=2))
    assert ganneal.train(longer, tmp_path / "run").counters.d_updates == 2
    for other in ("zoo:mnist-nts", None, str(tmp_path)):
        with pytest.raises(ValueError, match="holds a run of another experiment:\n  init_from: zoo:digits-nats -> "):
            ganneal.train(replace(longer, init_from=other), tmp_path / "run")
