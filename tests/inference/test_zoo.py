"""Every generator that ships loads by its name and says where it comes from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.for_each import for_each

import ganneal
from ganneal.cli import main
from ganneal.evaluation.stored import evaluate_run
from ganneal.inference import zoo
from ganneal.inference.zoo.page import zoo_page

ROOT = Path(__file__).parents[2]
MOST_BYTES = 5_000_000


def test_the_zoo_has_digits_mnist_and_cifar() -> None:
    assert zoo.names() == ["cifar10-nats", "digits-nats", "mnist-nts"]


@for_each("name", zoo.names())
def test_each_loads_and_draws_varied_images_in_range(name: str) -> None:
    generator = ganneal.load(f"zoo:{name}")
    samples = generator.sample(32, seed=1)
    assert samples.dtype == torch.float32 and samples.shape[1:] == tuple(zoo.card(name)["data"]["shape"])
    assert samples.abs().max() <= 1 and samples.std(dim=0).mean() > 0.1  # neither noise around grey nor one image
    torch.testing.assert_close(ganneal.load(f"zoo:{name}").sample(32, seed=1), samples)


@for_each("name", zoo.names())
def test_each_card_states_data_command_and_measured_figures(name: str) -> None:
    card = zoo.card(name)
    assert card["data"]["name"] and card["data"]["count"] > 1_000 and card["data"]["licence"]
    assert card["command"].startswith(f"ganneal train {name} ") and "10,000 samples" in card["measured_how"]
    distance = next(value for key, value in card["measured"].items() if key.startswith("FD-"))
    assert 0 < distance < 50 and card["counters"]["num_real"] > 10_000 and card["cpu_seconds"] > 10
    assert card["provenance"]["torch"] and card["licence"]


@for_each("name", zoo.names())
def test_only_vectors_keep_full_precision(name: str) -> None:
    weights = load_file(zoo.place(name) / "final" / "generator.safetensors")
    assert {t.dtype for t in weights.values() if t.dim() > 1} == {torch.float16}
    assert (
        sum(np.prod(t.shape) for k, t in weights.items() if k.endswith(("weight", "bias")))
        == (zoo.card(name)["parameters"]["generator"])
    )


def test_all_of_it_is_small() -> None:
    assert sum(zoo.size(name) for name in zoo.names()) < MOST_BYTES


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown generator of the zoo 'digit-nats'. Did you mean 'digits-nats'"):
        ganneal.load("zoo:digit-nats")


def test_what_ships_is_measured_against_the_data_it_was_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--count", "300", "--seeds", "0", "--metrics", "frechet"]
    before = sorted(zoo.FOLDER.rglob("*.jsonl"))
    assert main(["evaluate", "zoo:digits-nats", *few]) == 0
    said = capsys.readouterr().out
    assert "FD-pixels4@300" in said and "records of shipped generators are not kept; keep them with --out FILE" in said
    assert sorted(zoo.FOLDER.rglob("*.jsonl")) == before
    assert main(["evaluate", "zoo:digits-nats", *few, "--out", str(tmp_path / "kept.jsonl")]) == 0
    assert (tmp_path / "kept.jsonl").exists()


def test_other_data_than_it_was_made_of_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((3, 28, 28), np.uint8), y_train=np.zeros(3, np.int64))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="60,000 images when the run began, 3 now"):
        evaluate_run("zoo:mnist-nts", data_path="mnist.npz")


@for_each(
    "arguments",
    [
        ["report", "zoo:digits-nats"],
        ["report", "runs/x", "zoo:digits-nats", "--out", "page.html"],
        ["train", "zoo:digits-nats"],
        ["compare", "zoo:digits-nats", "--d-updates", "2"],
        ["compare", "a=zoo:digits-nats", "digits-cts", "--d-updates", "2"],
        ["compare", "digits-cts", "--baseline", "zoo:digits-nats", "--d-updates", "2"],
        ["evaluate", "--real", "zoo:digits-nats", "--fake", "x"],
        ["evaluate", "--real", "x", "--fake", "zoo:digits-nats"],
    ],
)
def test_commands_that_cannot_take_it_say_which_do(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "zoo:digits-nats is the weights of a trained generator alone: `ganneal sample`, `evaluate`, `export`" in said
    assert "`train` and `compare` start from its weights (--init-from zoo:digits-nats)" in said


def test_what_does_not_ship_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="no best weights"):
        ganneal.load("zoo:digits-nats", checkpoint="best")
    with pytest.raises(ValueError, match="needs stored discriminators"):
        ganneal.load("zoo:digits-nats", sampler="pushed")


def test_the_page_is_that_of_the_cards() -> None:
    assert (ROOT / "docs" / "zoo.md").read_text() == zoo_page(), "run examples/make_zoo.py"


def test_the_command_line_lists_and_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["zoo"]) == 0
    out = capsys.readouterr().out
    assert all(f"zoo:{name} " in out and zoo.card(name)["command"] in out for name in zoo.names())
    assert main(["sample", "zoo:digits-nats", "--count", "4", "--out", "four.png"]) == 0
    assert (tmp_path / "four.png").exists()
    assert main(["zoo", "digits"]) == 2
