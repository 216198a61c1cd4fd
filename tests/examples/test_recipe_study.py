"""`examples/recipe_study.py`: candidates are experiments, the best third goes on, the ledger is all it needs."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganneal.checks import check
from ganneal.cli.configure import configure, named_model
from ganneal.experiments.automatic import USUAL_LENGTH
from ganneal.experiments.named import automatic_choices, resolve
from ganneal.models import DCGAN
from ganneal.optim import Adam, Averaging
from ganneal.schemes import Nested
from ganneal.weights import Geometric

SCRIPT = Path(__file__).parents[2] / "examples" / "recipe_study.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = spec_from_file_location("recipe_study", SCRIPT)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(tmp_path: Path) -> str:
    path = tmp_path / "mine.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8))
    return str(path)


def made(study: ModuleType, images: str, name: str) -> Any:
    words = study.CANDIDATES[name].split()
    assert named_model(words, "dcgan") is not None
    chosen = automatic_choices(images, None)
    return configure(resolve(images, chosen), words, images, chosen)


def test_every_candidate_is_an_experiment_and_no_two_are_one(study: ModuleType, images: str) -> None:
    experiments = {name: made(study, images, name) for name in study.CANDIDATES if name != "default"}
    for experiment in experiments.values():
        check(experiment)
    assert len({str(experiment.identity()) for experiment in experiments.values()}) == len(experiments)


def test_before_is_the_default_as_it_was_before_there_were_recipes(study: ModuleType, images: str) -> None:
    experiment = made(study, images, study.BEFORE)
    assert experiment.model == DCGAN(width=32) and experiment.averaging == Averaging()
    assert experiment.d_optimizer == experiment.g_optimizer == Adam()
    assert experiment.scheme == Nested(levels=5, weights=Geometric()) and experiment.budget.num_real == USUAL_LENGTH


def ended(study: ModuleType, name: str, distance: float | None, seconds: float = 10.0, **other: Any) -> dict[str, Any]:
    measured = {} if distance is None else {"distance": distance, "KD-x@9": distance}
    run = {"set": "a", "candidate": name, "settings": {}, "seconds": seconds, "seed": 0}
    return run | {"measured": measured, "outcome": {"num_real": 1_000}} | other


def test_the_best_third_goes_on_beside_what_is_kept_and_before(study: ModuleType, tmp_path: Path) -> None:
    ledger = study.Ledger(tmp_path / "results" / "study.json")
    rungs = [study.Rung(10.0, 1), study.Rung(60.0, 1)]
    names = ["dcgan-16", "sngan", "r3gan", study.BEFORE]
    assert study.entrants(ledger, "a", rungs, 0, names) == names[:3]
    for name, distance in (("dcgan-16", 2.0), ("sngan", 1.0), ("r3gan", None)):  # one of them diverged
        ledger.add(ended(study, name, distance))
    assert study.ranked(ledger.of("a", rungs[0])) == ["sngan", "dcgan-16", "r3gan"]
    assert study.entrants(ledger, "a", rungs, 1, names) == ["sngan", study.BEFORE]
    assert study.entrants(ledger, "a", rungs, 1, names, ["r3gan"]) == ["sngan", "r3gan", study.BEFORE]
    assert study.entrants(ledger, "a", rungs[1:], 0, names) == names


def test_a_candidate_is_ranked_by_the_mean_over_its_seeds(study: ModuleType) -> None:
    runs = [ended(study, "dcgan-16", 1.0), ended(study, "dcgan-16", 4.0, seed=1), ended(study, "sngan", 2.0)]
    assert study.distance(runs, "dcgan-16") == 2.5 and study.ranked(runs) == ["sngan", "dcgan-16"]


def test_the_ledger_is_read_again_without_other_seeds_sets_or_times(study: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    ledger = study.Ledger(file)
    mine = ended(study, "dcgan-16", 1.0)
    for other in ({}, {"seed": 1}, {"seconds": 9}, {"set": "b"}):
        ledger.add(mine | other)
    ledger.add(mine)  # once more, as after a change: in place of the first
    assert study.Ledger(file).of("a", study.Rung(10.0, 1)) == [mine] and len(ledger.runs) == 4
    assert "| `dcgan-16` | 1,000 / 1,000 | 1.00 / 1.00 |" in list(study.tables(study.Ledger(file)))
    file.write_text(json.dumps({"format": 0, "runs": []}))
    with pytest.raises(SystemExit, match="has the format 0"):
        study.Ledger(file)


def test_what_the_ledger_has_is_not_run_again_and_a_run_is_kept_as_it_ends(
    study: ModuleType, tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "measured", lambda path, features, quickly: {"distance": 1.0, "KD-x@9": 1.0})
    tiny = ("--model.width", "2", "--batch-size", "2", "--records.sample-count", "4")
    monkeypatch.setattr(study, "QUIET", (*study.QUIET, *tiny))
    arguments = [
        "--sets",
        f"a={images}",
        "--rungs",
        "0.01:1",
        "--candidates",
        "dcgan-16",
        "--out",
        str(tmp_path / "runs"),
    ]
    arguments += ["--results", str(tmp_path / "study.json")]
    assert study.main(arguments) == 0
    [run] = study.Ledger(tmp_path / "study.json").runs
    assert (run["set"], run["candidate"], run["outcome"]["status"]) == ("a", "dcgan-16", "finished")
    assert images not in json.dumps(run) and run["outcome"]["cpu_seconds"] >= 0.01
    with Image.open(tmp_path / "runs" / "a-0.01.png") as board:
        assert board.width > 4 * 8
    elsewhere = [*arguments[:-3], str(tmp_path / "elsewhere"), *arguments[-2:]]
    with monkeypatch.context() as patched:
        patched.setattr(study, "compare", lambda *given, **options: pytest.fail("it ran again"))
        assert study.main(elsewhere) == 0
    # A candidate that has other settings now is another one.
    monkeypatch.setitem(study.CANDIDATES, "dcgan-16", study.CANDIDATES["dcgan-16"] + " --loss hinge")
    assert study.main(elsewhere) == 0
    [run] = study.Ledger(tmp_path / "study.json").runs
    assert run["settings"]["loss"]["type"] == "Hinge"


def test_a_sheet_has_every_grid_below_its_name(study: ModuleType, tmp_path: Path) -> None:
    grids = {}
    for name, colour in (("one", "red"), ("two", "blue")):
        grids[name] = tmp_path / f"{name}.png"
        Image.new("RGB", (80, 80), colour).save(grids[name])
    study.sheet(grids, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as board:
        assert board.size == (160, 50 + study.CAPTION)
        assert board.getpixel((40, 40)) == (255, 0, 0) and board.getpixel((120, 40)) == (0, 0, 255)
    assert study.last_grid(tmp_path) is None
    (tmp_path / "samples").mkdir()
    for name in ("000000000", "000000100", "real"):
        Image.new("L", (2, 2)).save(tmp_path / "samples" / f"{name}.png")
    assert study.last_grid(tmp_path) == tmp_path / "samples" / "000000100.png"


def test_the_page_shows_the_ledger_that_is_committed(study: ModuleType) -> None:
    ledger = study.Ledger(SCRIPT.parents[1] / "results" / "recipes" / "study.json")
    page = (SCRIPT.parents[1] / "docs" / "recipes.md").read_text("utf-8")
    assert study.with_tables(page, ledger) == page and len(ledger.runs) > 7
    known = {"set", "candidate", "options", "settings", "precision", "seconds", "seed", "measured", "outcome"}
    assert all(set(run) == known | {"provenance", "date"} for run in ledger.runs)
    assert all(run["outcome"]["cpu_seconds"] >= run["seconds"] for run in ledger.runs)
