"""Drawing from a trained generator: truncation, statistics of batch norm, classes by number and by name."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import erf, exp, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.for_each import for_each
from torch import Tensor, nn

import ganneal
from ganneal.cli import main
from ganneal.data import Digits
from ganneal.data.classes import drawn_classes
from ganneal.engine.run import Run
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import TrainedGenerator, Truncation
from ganneal.metrics.measures import METRICS
from ganneal.models import BigGAN, Normal
from ganneal.models.parts.batch_norm import batch_norms, keep_standing_statistics, on_the_batch
from ganneal.models.parts.spectral import SpectralWeight
from ganneal.optim import Averaging
from ganneal.report.records import read_run
from ganneal.report.run_page import GeneratorSections, run_page
from ganneal.task import Labelled, Unconditional
from ganneal.training.session import train

pytestmark = pytest.mark.usefixtures("empty_pictures")

MODEL = BigGAN(width=2, latent_size=8)


def digits(**fields: Any) -> Experiment:
    given: dict[str, Any] = {
        "task": Labelled(),
        "batch_size": 8,
        "averaging": Averaging(statistics="copy"),
        "budget": Budget(g_updates=2),
        "records": Records(evaluate_count=0, sample_count=20, tensorboard=False),
        "threads": 1,
    }
    return Experiment("digits", Digits(size=32), MODEL, **(given | fields))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with classes, whose digits have names."""
    path = tmp_path_factory.mktemp("runs") / "labelled"
    train(digits(), path)
    for file in (path / "experiment.json", path / "final" / "card.json"):
        file.write_text(file.read_text().replace('"num_classes": 10,', f'"num_classes": 10, "classes": {NAMES},'))
    return path


NAMES = '["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]'


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "unlabelled"
    train(digits(task=Unconditional()), path)
    return path


# Truncation


@for_each("bound", [0.1, 0.5, 2.0])
def test_truncated_latents_are_normal_ones_within_the_bound(bound: float) -> None:
    random = torch.Generator().manual_seed(0)
    latents = Normal(50).sample(2_000, random)
    cut = Truncation(bound)(latents, random)
    within = latents.abs() <= bound
    assert torch.equal(cut[within], latents[within]) and cut.abs().max() <= bound
    inside = erf(bound / sqrt(2))
    deviation = sqrt(1 - 2 * bound * exp(-(bound**2) / 2) / sqrt(2 * pi) / inside)
    redrawn = cut[~within]
    # five standard errors; the bound of the standard deviation's is that of a flat distribution
    assert abs(redrawn.mean()) < 5 * deviation / sqrt(len(redrawn))
    assert redrawn.std().item() == pytest.approx(deviation, rel=5 / sqrt(2 * len(redrawn)))


def test_the_other_form_scales() -> None:
    latents = Normal(5).sample(10, torch.Generator().manual_seed(0))
    assert torch.equal(Truncation(0.25, "scale")(latents, torch.Generator()), 0.25 * latents)


class Latents(nn.Module):
    """Shows the latents as points, and the labels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([self.weight * latents, labels[:, None]], 1)


def showing(latent: Any = None) -> TrainedGenerator:
    pair = ganneal.models.ModelPair(nn.Identity(), nn.Identity(), latent or Normal(6), (7,), 3)
    return TrainedGenerator(Latents(), pair, Labelled())


def test_samples_are_of_truncated_latents_with_the_same_classes() -> None:
    plain, cut, narrow, scaled = (
        showing().sample(50, seed=3, truncation=t) for t in (None, 1.0, Truncation(0.5), Truncation(0.5, "scale"))
    )
    for other in (cut, narrow, scaled):
        assert torch.equal(plain[:, -1], other[:, -1])
    assert cut[:, :-1].abs().max() <= 1 and narrow[:, :-1].abs().max() <= 0.5 < cut[:, :-1].abs().max()
    assert torch.equal(scaled[:, :-1], 0.5 * plain[:, :-1])
    assert torch.equal(showing().sample(50, seed=3, truncation=1), cut)


@for_each("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_a_truncation_that_leaves_nothing_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match=f"truncation must be a finite number above 0, got {bound}; leave it out"):
        showing().sample(2, truncation=bound)


def test_only_normal_latents_are_truncated() -> None:
    @dataclass(frozen=True)
    class Uniform:
        def sample(self, count: int, generator: torch.Generator) -> Tensor:
            return torch.rand(count, 6, generator=generator)

    assert showing(Uniform()).sample(2).shape == (2, 7)
    with pytest.raises(ValueError, match=r"truncation needs standard normal latents, got .*Uniform.*; leave it out"):
        showing(Uniform()).sample(2, truncation=1.0)


# Statistics of batch norm


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2), nn.BatchNorm1d(2)).eval()


def test_standing_statistics_are_the_averages_of_the_passes() -> None:
    net, batches = network().double(), torch.randn(5, 6, 3, dtype=torch.float64)
    queue: Iterator[Tensor] = iter(batches)
    keep_standing_statistics(net, lambda random: net(next(queue)), passes=5)
    hidden = net[0](batches)
    normed = (hidden - hidden.mean(1, keepdim=True)) / (hidden.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    outputs = net[3](normed.relu())  # what the second norm saw: the first was on its batches
    for norm, seen in ((net[1], hidden), (net[4], outputs)):
        assert isinstance(norm, nn.BatchNorm1d)
        torch.testing.assert_close(norm.running_mean, seen.mean(1).mean(0))
        torch.testing.assert_close(norm.running_var, seen.var(1, correction=0).mean(0))
        assert norm.num_batches_tracked == 5 and not norm.training


def test_standing_statistics_forget_the_running_ones_and_change_nothing_else() -> None:
    nets = network(), network()
    with torch.no_grad():
        for buffer in nets[1].buffers():
            buffer.add_(3)
    for net in nets:
        before = {name: parameter.clone() for name, parameter in net.named_parameters()}
        keep_standing_statistics(net, lambda random, net=net: net(torch.randn(4, 3, generator=random)))
        assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())
    assert all(torch.equal(a, b) for a, b in zip(nets[0].buffers(), nets[1].buffers(), strict=True))


def test_on_the_batch_samples_have_its_statistics_and_nothing_changes() -> None:
    net, x = network(), torch.randn(16, 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with on_the_batch(net):
        on_batch = net(x)
    torch.testing.assert_close(on_batch.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    assert not torch.allclose(net(x), on_batch)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_each_kind_of_statistics_is_loaded_by_name(run: Path) -> None:
    kept = {kind: ganneal.load(run, statistics=kind) for kind in ("running", "standing", "batch")}
    default = ganneal.load(run)
    images = {kind: generator.sample(12, seed=1) for kind, generator in kept.items()}
    assert torch.equal(default.sample(12, seed=1), images["running"]) and default.statistics == "running"
    assert [generator.statistics for generator in kept.values()] == list(kept)
    for one, other in (("running", "standing"), ("running", "batch"), ("standing", "batch")):
        assert not torch.allclose(images[one], images[other])
    again = ganneal.load(run, statistics="standing")
    assert torch.equal(again.sample(12, seed=1), images["standing"])
    vectors = [[m.u for m in kept[kind].generator.modules() if isinstance(m, SpectralWeight)] for kind in kept]
    assert vectors[0] and all(torch.equal(u, v) for own in vectors[1:] for u, v in zip(vectors[0], own, strict=True))


def test_standing_statistics_of_a_run_are_over_batches_of_its_size(run: Path) -> None:
    plain, standing = ganneal.load(run).generator, ganneal.load(run, statistics="standing").generator
    random, means = torch.Generator().manual_seed(0), []
    counts = np.bincount(Digits(size=32).load().labels).tolist()  # pyright: ignore[reportArgumentType]
    first = batch_norms(plain)[0]
    first.register_forward_pre_hook(lambda _, given: means.append(given[0].double().mean((0, 2, 3))))
    for _ in range(32):
        latents = torch.randn(8, 8, generator=random)
        with on_the_batch(plain):
            plain(latents, drawn_classes(counts, 8, "data", random))
    torch.testing.assert_close(batch_norms(standing)[0].running_mean, torch.stack(means).mean(0).float())


def test_statistics_of_a_generator_without_batch_norm_are_refused() -> None:
    with pytest.raises(ValueError, match="statistics must be left out for a generator without batch norm, got 'batch'"):
        showing().with_statistics("batch", 4)
    assert showing().statistics is None


@pytest.mark.runs
@for_each("rule", ["average", "copy", "recompute"])
def test_the_average_keeps_the_statistics_that_its_rule_says(rule: Any, tmp_path: Path) -> None:
    averaging = Averaging(half_life=8, rampup=None, statistics=rule)
    run = train(digits(averaging=averaging), tmp_path / "run")
    averages, currents = (batch_norms(player) for player in (run.average, run.generator))
    same = [torch.equal(a.running_var, c.running_var) for a, c in zip(averages, currents, strict=True)]  # type: ignore[arg-type]
    assert not any(same) if rule == "average" else all(same)
    before = run.digest()
    sampler, loaded = run.sampler(), ganneal.load(tmp_path / "run")
    assert sampler.statistics == loaded.statistics == ("standing" if rule == "recompute" else "running")
    torch.testing.assert_close(sampler.sample(4, seed=1), loaded.sample(4, seed=1), atol=1e-5, rtol=1e-4)
    assert run.digest() == before


def test_recomputed_statistics_of_a_generator_without_batch_norm_are_no_matter() -> None:
    experiment = ganneal.experiments.EXPERIMENTS["ring-cts"]()
    run = Run(replace(experiment, averaging=Averaging(statistics="recompute")))
    assert run.sampler().statistics is None


# Classes


def test_a_class_is_found_by_its_name_in_either_form_of_unicode(run: Path) -> None:
    generator = ganneal.load(run)
    names = ["gr\u00f6\u00dfe", *map(str, range(10, 19))]
    generator.card["data"]["classes"] = names
    assert [generator.class_of(given) for given in ("gr\u00f6\u00dfe", "gro\u0308\u00dfe", "11")] == [0, 0, 2]


@pytest.mark.runs
def test_a_class_is_found_by_its_name_and_by_number_where_it_has_none(run: Path, unlabelled: Path) -> None:
    generator = ganneal.load(run)
    assert [generator.class_of(given) for given in ("zero", "nine", "three")] == [0, 9, 3]
    with pytest.raises(ValueError, match=r"class must be a name of a class, got '3'\. Known: zero, one"):
        generator.class_of("3")
    with pytest.raises(ValueError, match=r"class must be .*got 'thre'\. Did you mean 'three'"):
        generator.class_of("thre")
    assert [showing().class_of(given) for given in ("0", "2")] == [0, 2]
    assert torch.equal(generator.sample(2, labels=["three", 9]), generator.sample(2, labels=[3, 9]))
    with pytest.raises(ValueError, match="class must be left out: this generator was trained without classes, got '3'"):
        ganneal.load(unlabelled).class_of("3")
    assert ganneal.load(unlabelled).class_names == []
    assert showing().class_names == ["0", "1", "2"]
    with pytest.raises(ValueError, match=r"class must be a number in 0\.\.2, got '-1'$"):
        showing().class_of("-1")


def sample(*arguments: str) -> None:
    assert main(["sample", *arguments]) in (None, 0)


def saved(path: Path) -> np.ndarray:
    return np.load(path)["images"]


def test_samples_of_a_class_from_the_command_line(run: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "some.npz"
    sample(str(run), "--count", "3", "--class", "three", "seven", "--truncation", "0.5", "--out", str(out))
    expected = ganneal.load(run).sample(3, labels=[3, 7, 3], truncation=0.5)
    assert np.array_equal(saved(out), ganneal.storage.pictures.to_uint8(expected))
    sample(str(run), "--per-class", "2", "--statistics", "standing", "--out", str(out), "--overwrite")
    labels = torch.arange(10).repeat_interleave(2)
    expected = ganneal.load(run, statistics="standing").sample(20, labels=labels)
    assert np.array_equal(saved(out), ganneal.storage.pictures.to_uint8(expected))
    assert np.array_equal(np.load(out)["labels"], labels) and np.load(out)["class_names"][3] == "three"
    picture = tmp_path / "rows.png"
    sample(str(run), "--per-class", "2", "--class", "one", "nine", "five", "--out", str(picture))
    with Image.open(picture) as image:
        assert image.size == (2 * 66 + 2, 3 * 66 + 2)
    assert "a row for each class: one, nine, five" in capsys.readouterr().out


@for_each(
    ("arguments", "message"),
    [
        (("--class", "10"), "class must be a name of a class, got '10'"),
        (("--truncation", "0"), "truncation must be a finite number above 0, got 0.0"),
        (("--per-class", "0"), "per_class must be at least 1, got 0"),
        (("--per-class", "1", "--classes", "uniform"), "leave it out where --class or --per-class chooses them"),
    ],
)
def test_what_cannot_be_drawn_is_explained(
    arguments: tuple[str, ...], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_classes_of_a_run_without_any_are_refused(unlabelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("--class", "3"), ("--per-class", "2")):
        assert main(["sample", str(unlabelled), *arguments]) == 2
        assert "must be left out: this generator was trained without classes" in capsys.readouterr().err


def test_pictures_of_a_run_with_classes_have_a_row_for_each(
    run: Path, unlabelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, size in ((run, (2, 10)), (unlabelled, (5, 4))):
        with Image.open(sorted((path / "samples").glob("0*.png"))[-1]) as image:
            assert image.size == tuple(n * 66 + 2 for n in size)
    labels = torch.arange(10).repeat_interleave(2)
    expected = ganneal.storage.pictures.image_grid(ganneal.load(run).sample(20, labels=labels), 2)
    with Image.open(sorted((run / "samples").glob("0*.png"))[-1]) as image:
        assert np.abs(np.asarray(image).astype(int) - np.asarray(expected)).max() <= 1  # the last bit of a pixel
    monkeypatch.setattr(
        ganneal.report.run_page, "draw_sections", lambda *given: GeneratorSections()
    )  # weights take seconds
    assert "A row for each class, from above: zero, one, two, three" in run_page(run)
    assert read_run(unlabelled).class_rows == []


# Scores


def test_a_score_says_how_its_samples_were_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings((METRICS["precision-recall"], METRICS["per-class-frechet"]), count=210, seeds=(0,))
    cut = Truncation(0.5, "scale")
    precision, _, by_class = evaluate_run(
        run, checkpoints=("last",), settings=settings, statistics="standing", truncation=cut
    )
    for record in (precision, by_class):
        told = record.as_dict()
        assert (told["statistics"], told["truncation"], told["truncation_form"]) == ("standing", 0.5, "scale")
    assert (precision.protocol.classes, by_class.protocol.classes) == ("data", "equal shares")
    assert by_class.name == "class-FD-pixels4@210" and set(by_class.extra["distances"]) == set(json.loads(NAMES))


def test_values_of_other_ways_to_draw_stand_beside_each_other(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["evaluate", str(run), "--metrics", "precision-recall", "--count", "40", "--seeds", "0"]
    ways = [
        [],
        ["--truncation", "0.5"],
        ["--truncation", "0.5", "--truncation-form", "scale"],
        ["--statistics", "batch"],
    ]
    for way in (*ways, []):
        assert main([*common, *way]) in (None, 0)
    said = capsys.readouterr().out
    assert "last weights, truncation 0.5 (scale), 16 real images" in said
    assert "last weights, batch statistics, 16 real" in said
    assert len((run / "evaluation.jsonl").read_text().splitlines()) == 2 * len(ways)


def test_best_weights_that_are_the_last_are_measured_once(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(run, other)
    shutil.rmtree(other / "best", ignore_errors=True)
    shutil.copytree(other / "final", other / "best")
    settings = Settings((METRICS["precision-recall"],), count=40, seeds=(0, 1))
    said: list[str] = []
    records = evaluate_run(other, settings=settings, say=said.append)
    assert [record.place.checkpoint for record in records] == ["last", "last", "best", "best"]
    last, best = ([(record.name, record.values) for record in half] for half in (records[:2], records[2:]))
    assert last == best and len(records[0].values) == 2
    assert said[0].startswith("classes of the run and of the data are paired by index, as only one side has names")
    assert said[2:] == ["last: 40 samples of seed 0", "last: 40 samples of seed 1", "best: the same weights as last"]


def test_generators_are_the_same_where_every_weight_and_buffer_is(run: Path) -> None:
    first, second = ganneal.load(run), ganneal.load(run)
    assert first.has_weights_of(second)
    for name, value in second.generator.state_dict().items():
        if value.numel():
            kept = value.clone()
            value.view(-1)[-1] += 1
            assert not first.has_weights_of(second), name
            value.copy_(kept)
    assert first.has_weights_of(second)


def test_too_few_samples_for_single_classes_are_refused(run: Path) -> None:
    settings = Settings((METRICS["per-class-frechet"],), count=9, seeds=(0,))
    with pytest.raises(ValueError, match="no per-class-frechet: it needs .* generated samples of each class"):
        evaluate_run(run, checkpoints=("last",), settings=settings)


def test_images_of_files_are_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--real", "a", "--fake", "b", "--truncation", "1"]) == 2
    assert "leave them out with --real and --fake" in capsys.readouterr().err


def test_the_raw_generator_is_the_one_as_trained_and_its_values_say_so(run: Path, tmp_path: Path) -> None:
    raw, averaged = ganneal.load(run, sampler="raw"), ganneal.load(run)
    stored = load_file(run / "final" / "generator-raw.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in raw.generator.state_dict().items())
    assert (raw.sampler, averaged.sampler) == ("raw", "generator") and not torch.equal(
        raw.sample(2), averaged.sample(2)
    )
    settings = Settings((METRICS["kernel"],), count=4, seeds=(0,))
    (record,) = evaluate_run(run, checkpoints=("last",), settings=settings, sampler="raw")
    assert (record.protocol.sampler, record.protocol.generator_weights) == ("raw", "raw")
