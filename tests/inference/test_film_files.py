"""Films and sheets: every frame in order, equally long, and files that are whole or not there."""

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from ganneal.cli.sample import SampleCommand
from ganneal.inference.film_files import durations, write_film


def ramp(channels: int = 3, height: int = 8, width: int = 8) -> list[Tensor]:
    """Two stretches of three frames, each one grey level, ever brighter."""
    levels = torch.linspace(-1, 0.6, 6).reshape(2, 3, 1, 1, 1)
    return list(levels.expand(2, 3, channels, height, width))


def read(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 8, 8), (3, 6, 10)])
def test_a_film_has_every_frame_in_order_enlarged_to_be_seen(
    suffix: str, channels: int, height: int, width: int, tmp_path: Path
) -> None:
    path = tmp_path / f"film{suffix}"
    assert write_film(ramp(channels, height, width), path, fps=20) == 6
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        times = [frame.copy().info["duration"] for frame in ImageSequence.Iterator(image)]
    factor = -(-256 // max(height, width))
    found = read(path)
    assert times == [50] * 6 and found[0].shape == (height * factor, width * factor, 3)
    levels = [frame.mean() for frame in found]
    np.testing.assert_allclose(levels, np.floor(127.5 * np.linspace(-1, 0.6, 6) + 128), atol=1)


def test_frames_are_as_long_together_as_they_should_be() -> None:
    assert sum(durations(90, 30, 100)) == 300 and set(durations(90, 30, 100)) == {3, 4}


def test_transparency_is_laid_on_a_checkerboard(tmp_path: Path) -> None:
    clear = [torch.tensor([1.0, -1.0, -1.0, -1.0]).reshape(1, 4, 1, 1).expand(2, 4, 16, 16)]
    write_film(clear, tmp_path / "film.webp", fps=5)
    assert {tuple(pixel) for pixel in read(tmp_path / "film.webp")[0].reshape(-1, 3)} == {(255,) * 3, (204,) * 3}


def test_a_sheet_has_a_row_for_each_stretch(tmp_path: Path) -> None:
    assert write_film(ramp(1), tmp_path / "walk.png", fps=25) == 6
    (sheet,) = read(tmp_path / "walk.png")
    assert sheet.shape[:2] == (2 * 50 + 2, 3 * 50 + 2)
    tiles = [sheet[top + 5, left + 5, 0] for top in (2, 52) for left in (2, 52, 102)]
    assert tiles == sorted(tiles) and len(set(tiles)) == 6


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Puts a program called ffmpeg, and nothing else, on the path."""
    file = folder / "bin" / "ffmpeg"
    file.parent.mkdir()
    file.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(file.parent))


def test_ffmpeg_is_given_every_pixel_of_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "open(sys.argv[-1], 'wb').write(repr(sys.argv).encode() + sys.stdin.buffer.read())")
    write_film(ramp(3, 8, 16), tmp_path / "film.mp4", fps=30)
    written = (tmp_path / "film.mp4").read_bytes()
    pixels = np.concatenate([np.floor(127.5 * s.numpy() + 128).transpose(0, 2, 3, 1) for s in ramp(3, 8, 16)])
    assert written.endswith(pixels.repeat(16, 1).repeat(16, 2).astype(np.uint8).tobytes())
    assert all(f"'{word}'" in str(written[:600]) for word in ("256x128", "30", "rgb24", "yuv420p"))


def test_a_film_that_ffmpeg_cannot_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "open(sys.argv[-1], 'wb').write(b'half'); sys.exit('no such encoder')")
    with pytest.raises(ValueError, match=r"no such encoder; end out in \.webp or \.gif"):
        write_film(ramp(), tmp_path / "film.mp4", fps=30)
    assert [file.name for file in tmp_path.iterdir()] == ["bin"]


def test_an_mp4_without_ffmpeg_names_what_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"needs the program ffmpeg.*\.webp or \.gif"):
        write_film(ramp(), tmp_path / "film.mp4", fps=30)


def test_frames_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        write_film([torch.full((2, 1, 8, 8), torch.nan)], tmp_path / "film.gif", fps=5)
    assert not (tmp_path / "film.gif").exists()


def sample(*arguments: str) -> None:
    SampleCommand.parse(["zoo:mnist-nts", *arguments], "sample")("")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--interpolate 2 --out w.avi", "must end in .mp4, .gif, .webp or .png"),
        ("--interpolate 2 --out w.gif --fps 51", "fps must be in 1..50 for .gif, got 51"),
        ("--interpolate 2 --out w.gif --count 3", "leave --count out"),
        ("--interpolate 2 --out w.gif --truncation 0.5 1", "leave several values of --truncation out"),
        ("--interpolate 1 --out w.gif", "interpolate must be at least 2"),
        ("--frames 3 --out w.png", "add --interpolate N"),
        ("--out w.gif", "A film needs --interpolate N"),
        ("--truncation 0.5 1 --out w.npz", "end out in .png"),
        ("--truncation 0.5 1 --out w.png --columns 2", "have a row each"),
        ("--truncation 0.5 -1 --out w.png", "truncation must be a finite number above 0"),
        ("--raw --sampler pushed --out w.png", "two different generators"),
        ("--raw --out w.png", "keeps no generator without averaging"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refused:
        sample(*arguments.split())
    assert said in str(refused.value) and list(tmp_path.iterdir()) == []


def test_a_sweep_of_truncations_is_a_sheet_of_the_same_latents(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, bounds in {"sweep": "0.2 3", "low": "0.2", "high": "3"}.items():
        extra = () if name == "sweep" else ("--columns", "3")
        sample("--truncation", *bounds.split(), "--count", "3", "--out", str(tmp_path / f"{name}.png"), *extra)
    (sweep,), (low,), (high,) = (read(tmp_path / f"{name}.png") for name in ("sweep", "low", "high"))
    np.testing.assert_array_equal(sweep, np.concatenate([low, high[2:]]))
    assert "3 samples for each truncation, a row each, from the top 0.2, 3" in capsys.readouterr().out
