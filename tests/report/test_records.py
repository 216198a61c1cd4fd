"""Reading run directories: what is forgiven, what is refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ganneal.report.records import flatten, read_run
from ganneal.storage.json_files import read_lines


def bare_run(folder: Path, rows: str = "", shape: tuple[int, ...] = (1, 8, 8)) -> Path:
    (folder / "samples").mkdir(parents=True)
    content = {"experiment": {"name": "bare"}, "data": {"shape": list(shape)}, "provenance": {}}
    (folder / "experiment.json").write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text(rows)
    for at in (100, 20, 0):
        Image.new("L", (8, 8)).save(folder / "samples" / f"{at:09d}.png")
    return folder


def test_a_last_line_that_was_cut_off_is_left_out_and_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut").write_text('{"a": 1}\n{"a": 2}\n{"a"')
    (tmp_path / "torn").write_text('{"a": 1}\n{"a"\n{"a": 3}\n')
    assert read_lines(tmp_path / "cut") == [{"a": 1}, {"a": 2}]
    with pytest.raises(ValueError, match=r"torn is damaged in line 2"):
        read_lines(tmp_path / "torn")
    assert read_lines(tmp_path / "absent") == []


def test_frames_are_in_the_order_of_training_and_other_pictures_are_none(tmp_path: Path) -> None:
    folder = bare_run(tmp_path / "run")
    Image.new("L", (8, 8)).save(folder / "samples" / "real.png")
    Image.new("L", (8, 8)).save(folder / "samples" / "mine.png")
    run = read_run(folder)
    assert [at for at, _ in run.frames] == [0, 20, 100]
    assert run.real is not None and run.real.name == "real.png"


def test_no_run_and_a_run_without_samples_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run at .*: no experiment\.json"):
        read_run(tmp_path)
    folder = bare_run(tmp_path / "run")
    for picture in (folder / "samples").glob("*.png"):
        picture.unlink()
    with pytest.raises(FileNotFoundError, match="a run without samples"):
        read_run(folder)
    assert read_run(folder, needs_samples=False).frames == []


def test_series_leave_out_what_is_no_finite_number(tmp_path: Path) -> None:
    rows = [{"num_real": 1, "d_loss": 0.5}, {"num_real": 2, "d_loss": float("nan")}, {"num_real": 3}]
    rows += [{"num_real": 4, "d_loss": 2, "stopped": "done"}, {"num_real": 5, "d_loss": True}]
    run = read_run(bare_run(tmp_path / "run", "\n".join(map(json.dumps, rows))))
    x, y = run.series("d_loss")
    assert (x.tolist(), y.tolist()) == ([1.0, 4.0], [0.5, 2.0])
    assert run.evaluation_names() == []


def test_learned_distances_come_before_pixels_and_before_other_evaluations(tmp_path: Path) -> None:
    row = {"num_real": 0, "coverage": 0.5, "FD-pixels16": 3.0, "FD-mnist-cnn": 4.0, "level1/g_loss": 1.0, "g_loss": 1.0}
    run = read_run(bare_run(tmp_path / "run", json.dumps(row)))
    assert run.evaluation_names() == ["FD-mnist-cnn", "FD-pixels16", "coverage"]
    assert run.distance == "FD-mnist-cnn"


def test_other_clocks_are_read_between_rows(tmp_path: Path) -> None:
    rows = '{"num_real": 0, "seconds": 0}\n{"num_real": 100, "seconds": 4}'
    run = read_run(bare_run(tmp_path / "run", rows))
    assert run.on_clock(25, "seconds") == 1.0
    assert run.on_clock(25, "d_updates") == 25.0  # a clock that was not recorded


def test_configurations_flatten_to_one_line_a_leaf() -> None:
    nested = {"a": {"b": [1, 2], "c": []}, "d": [{"e": None}, {"e": True}]}
    assert flatten(nested) == {"a.b": "1, 2", "a.c": "none", "d.0.e": None, "d.1.e": True}
