"""Where computed files are kept."""

from pathlib import Path

import pytest

from ganneal.storage.cache import cache_folder


def test_the_named_folder_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_without_it_comes_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GANNEAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "xdg" / "ganneal"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "ganneal"


@pytest.mark.parametrize("name", ["GANNEAL_CACHE", "XDG_CACHE_HOME"])
def test_an_empty_variable_is_none(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("GANNEAL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "")
    assert cache_folder() == tmp_path / ".cache" / "ganneal"


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANNEAL_CACHE", "~/features")
    assert cache_folder() == tmp_path / "features"


def test_asking_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "mine"))
    cache_folder()
    assert not (tmp_path / "mine").exists()


def test_tests_leave_the_home_directory_alone() -> None:
    assert Path.home() not in cache_folder().parents
