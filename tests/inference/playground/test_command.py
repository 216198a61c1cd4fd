"""`ganneal playground` where there is nothing to play with, or nothing to show it in."""

import os
import sys
from pathlib import Path

import pytest

from ganneal.cli import main
from ganneal.inference.playground.drawing import Playground
from ganneal.inference.playground.page import about, build


def test_a_missing_extra_is_named_and_telemetry_is_off_before_gradio_is_imported(
    colours: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "as before")  # so that it is as before afterwards
    with pytest.raises(ValueError, match=r"needs gradio, .*pip install 'ganneal\[playground\]'"):
        build(colours)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False" and os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_page_says_what_was_trained(colours: Playground) -> None:
    said = about(Playground.of("zoo:mnist-nts"))
    assert said.startswith("DCGAN trained on MNIST (training set) · 250,048 real images seen · licence: ")
    assert "toy colours · 5,000 real images" in about(colours)


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playground", str(tmp_path)]) == 2
    assert "no trained run at" in capsys.readouterr().err
