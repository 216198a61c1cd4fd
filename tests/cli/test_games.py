"""`ganneal games` as a person meets it: table, picture, flags, mistakes."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.theory.games import GAMES, METHODS

FLAGS = """
--help --methods --steps --order --lr --y-lr --adam-lr --decay --momentum --gamma --beta-coeff --beta-min --out
--game.start-x --game.start-y
"""
OWN_FLAGS = {
    "toy": "",
    "bilinear": "--game.couplings",
    "quadratic": "--game.curvatures --game.coupling",
    "dirac-gan": "--game.r1 --game.loss --game.loss.weight-on",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        status = main(["games", *arguments])
    except SystemExit as exit:
        assert exit.code is None or isinstance(exit.code, int)
        status = exit.code or 0
    out, err = capsys.readouterr()
    return status, out, re.sub(r"[\s│╭╮╰╯─]+", " ", err)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.runs
def test_the_toys_table_is_printed_with_methods_of_one_path_in_one_line(capsys, tmp_path: Path) -> None:
    status, out, err = run(capsys, "toy", "--methods", "sgd", "momentum", "fr", "--out", "new/toy.png")
    assert (status, err) == (0, "")
    assert re.search(r"^sgd +0\.065207 +-3\.754499 ", out, re.MULTILINE)
    assert re.search(r"^momentum, fr +0\.001763 +-3\.607366 ", out, re.MULTILINE)
    assert "played   400 steps, alternating, lr 5e-05\n" in out and "picture: new/toy.png\n" in out
    with Image.open(tmp_path / "new/toy.png") as image:
        assert image.format == "PNG" and np.asarray(image.convert("L")).std() > 10


@pytest.mark.runs
@for_each("game", GAMES)
def test_every_game_is_played_and_drawn(capsys, tmp_path: Path, game: str) -> None:
    status, out, err = run(capsys, game, "--steps", "12", "--methods", "sgd", "hz")
    assert (status, err) == (0, "") and "\nsgd " in out and "\nhz " in out
    assert (tmp_path / "games.png").stat().st_size > 10_000


def test_games_of_more_coordinates_and_escapes_are_shown(capsys) -> None:
    several = ("quadratic", "--game.curvatures", "1", "0.5", "--steps", "5", "--methods", "sgd")
    assert re.search(r"^sgd +\|\d\.\d+\| ", run(capsys, *several)[1], re.MULTILINE)
    _, out, _ = run(capsys, "toy", "--lr", "0.1", "--methods", "sgd", "--order", "simultaneous")
    assert re.search(r"^sgd .* - +- +escaped at step \d+$", out, re.MULTILINE)
    assert run(capsys, "toy", "--game.start-x", "1e150", "--lr", "1", "--methods", "sgd", "hs")[0] == 0


def test_the_same_command_writes_the_same_bytes(capsys, tmp_path: Path) -> None:
    for out in ("a.png", "b.png"):
        run(capsys, "bilinear", "--steps", "10", "--methods", "sgd", "prp", "--out", out)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@for_each("game", GAMES)
def test_flags_are_the_frozen_ones(capsys, game: str) -> None:
    _, out, _ = run(capsys, game, "--help-all")
    assert set(re.findall(r" (--[a-z][a-z0-9.-]+)", out)) == set(f"{FLAGS} {OWN_FLAGS[game]}".split())


def test_short_help_names_every_game_method_and_flag(capsys) -> None:
    for arguments in ((), ("--help",), ("toy", "--help")):
        status, out, _ = run(capsys, *arguments)
        assert status == 0
        words = set(re.findall(r"[\w.-]+", out))
        assert set(GAMES) | set(METHODS) | set(FLAGS.split()) - {"--help"} <= words


@for_each(
    ("arguments", "message"),
    [
        (("bilnear",), "unknown game 'bilnear'. Did you mean 'bilinear'?"),
        (("--steps", "3"), "the game must come first, got '--steps'"),
        (("toy", "--methods", "sdg"), "unknown method 'sdg'. Did you mean 'sgd'?"),
        (("toy", "--steps", "0"), "steps must be at least 1, got 0"),
        (("toy", "--decay", "-1"), "decay must be a finite number >= 0, got -1.0"),
        (("toy", "--lr", "-1"), "lr must be a finite number >= 0, got -1.0"),
        (("toy", "--lr", "nan"), "lr must be a finite number >= 0, got nan"),
        (("toy", "--gamma", "-1"), "gamma must be a finite number >= 0, got -1.0"),
        (("toy", "--momentum", "1"), "momentum must be at least 0 and below 1, got 1.0"),
        (("toy", "--beta-min", "2"), "beta_min must be <= beta_max=0.5"),
        (("toy", "--order", "random"), "random"),
        (("toy", "--out", "toy.jpg"), "out must end in .png, got 'toy.jpg'"),
        (("toy", "--stpes", "3"), "--steps"),
        (("bilinear", "--game.couplings", "0"), "couplings must be"),
        (("quadratic", "--game.curvatures", "-1"), "curvatures must be"),
        (("dirac-gan", "--game.r1", "-1"), "r1 must be at least 0"),
        (("dirac-gan", "--game.loss", "minmax"), "Did you mean 'minimax'?"),
        (("toy", "--game.loss", "minimax"), "Toy has no 'loss'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_users_mistake_is_explained_and_nothing_written(
    capsys, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
