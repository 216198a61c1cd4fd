"""The film of schemes: its moments, its panels, its file."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from ganneal.data import Ring
from ganneal.metrics.mixture import GaussianMixture
from ganneal.steps import PushPool

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("schemes_film_example", ROOT / "examples" / "schemes_film.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_short_film_of_two_schemes(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "SHOWN", 50)
    out = tmp_path / "new" / "film.gif"
    arguments = ["--schemes", "cts", "nats", "--data", "grid", "--num-real", "1280", "--frames", "2", "--out", str(out)]
    assert example.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["cts", "nats"] and all("of 25" in line for line in lines[1:3])
    with Image.open(out) as film:
        assert film.size == (416, 240) and 2 <= film.n_frames <= 4  # type: ignore[attr-defined]
        assert film.info["loop"] == 0


def test_samples_are_of_the_same_latents_at_every_moment(example: ModuleType) -> None:
    still = list(example.filmed(example.experiment("cts", "ring", 512, 2, seed=0)))
    assert [seen for seen, _ in still] == [0, 256, 512]
    # two updates of learning rate 1e-3 move no sample far: other latents would
    assert (still[0][1] - still[1][1]).abs().max() < 0.1


def test_equal_steps_lower_the_rate_of_nested_schemes_only(example: ModuleType) -> None:
    for scheme, steps in (("cts", 1.0), ("nts", 3.0), ("nats", 1.47), ("cfg-annealed", 1.0)):  # docs/schedules.md
        rate, lowered = (
            example.experiment(scheme, "ring", 512, 2, 0, equal_step=equal).g_optimizer.lr for equal in (False, True)
        )
        assert rate == 1e-3 and rate / lowered == pytest.approx(steps, abs=0.005)


def test_functional_steps_of_a_round_sum_to_those_of_the_ring(example: ModuleType) -> None:
    for name in ("cfg", "cfg-annealed", "cfg-reversed"):
        scheme = example.scheme_named(name)
        sizes = [step.step_size for step in scheme(0) if isinstance(step, PushPool)]
        assert sum(sizes) == pytest.approx(15 * 0.3) and scheme.pool_size == 2_560


def test_tracks_of_other_lengths_end_together(example: ModuleType, tmp_path: Path) -> None:
    target = GaussianMixture.of(Ring().mixture)
    random = torch.Generator().manual_seed(0)
    good = [(256 * i, target.sample(200, random).float()) for i in range(3)]
    bad = [(0, torch.zeros(200, 2))]
    pictures = list(example.frames({"good": good, "bad": bad}, target))
    assert len(pictures) == 3 and len({picture.tobytes() for picture in pictures}) == 3
    half = pictures[0].width // 2
    assert len({picture.crop((half, 0, 2 * half, picture.height)).tobytes() for picture in pictures}) == 1
    example.save(pictures, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        durations = []
        for index in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(index)
            durations.append(film.info["duration"])
    assert durations == [example.MILLISECONDS, example.MILLISECONDS, example.LAST]


@pytest.mark.parametrize("option", ["--num-real", "--frames"])
def test_nothing_to_film_is_refused(example: ModuleType, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        example.main([option, "0"])
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err
