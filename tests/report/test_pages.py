"""The pages: self-contained, accessible, escaped, complete, and honest about what is missing."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.for_each import for_each

from ganneal.report import write_report
from ganneal.report.page import DARK

VOID = {"meta", "img", "br", "input", "link", "hr"}
CSS = Path(__file__).resolve().parents[2] / "src/ganneal/report/templates/style.css"


class Page(HTMLParser):
    """Every element with its attributes, and the text without scripts and styles."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += " "
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> does not close what is open"
        self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        return " ".join(self.text.split())


def page_of(*folders: Path, out: Path) -> tuple[str, Page]:
    html = write_report(folders, out).read_text()
    return html, Page(html)


@pytest.fixture(scope="session")
def pages(
    digits_run: Path, ring_run: Path, comparison: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, Page]]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        "digits": page_of(digits_run, out=folder / "digits.html"),
        "ring": page_of(ring_run, out=folder / "ring.html"),
        "comparison": page_of(comparison, out=folder / "comparison.html"),
        "several": page_of(digits_run, ring_run, comparison / "cts" / "seed1", out=folder / "several.html"),
    }


KINDS = ("digits", "ring", "comparison", "several")


@pytest.mark.runs
@for_each("kind", KINDS)
def test_a_page_refers_to_nothing_outside_itself(kind: str, pages: dict[str, tuple[str, Page]]) -> None:
    html, page = pages[kind]
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data"):
            value = attributes.get(name, "#main")
            assert value.startswith("data:image/webp;base64,") or value.removeprefix("#") in ids, value[:80]
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    assert not re.search(r"https?:|@import|url\((?!#)", html)


@pytest.mark.runs
@for_each("kind", KINDS)
def test_the_policy_forbids_the_network_and_every_other_script(kind: str, pages: dict[str, tuple[str, Page]]) -> None:
    html, page = pages[kind]
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1 == len(page.all("script"))
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.runs
@for_each("kind", KINDS)
def test_a_page_can_be_read_without_seeing_it(kind: str, pages: dict[str, tuple[str, Page]]) -> None:
    html, page = pages[kind]
    assert page.open == [] and page.all("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.all("img") and all(image.get("alt", "").strip() for image in page.all("img"))
    assert page.all("svg") and all(s.get("role") == "img" and s.get("aria-label") for s in page.all("svg"))
    labelled = {label["for"] for label in page.all("label") if "for" in label}
    assert {field["id"] for field in page.all("input") if field["type"] == "range"} <= labelled
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False)), levels
    assert all("scope" in head for head in page.all("th"))
    assert html.startswith("<!doctype html>")


@pytest.mark.runs
@for_each("kind", KINDS)
def test_pages_are_small(kind: str, pages: dict[str, tuple[str, Page]]) -> None:
    assert len(pages[kind][0]) < 1_000_000


@pytest.mark.runs
def test_the_same_run_gives_the_same_page(digits_run: Path, pages: dict[str, tuple[str, Page]], tmp_path: Path) -> None:
    assert page_of(digits_run, out=tmp_path / "again.html")[0] == pages["digits"][0]


@pytest.mark.runs
def test_a_run_page_shows_everything_that_the_run_has(pages: dict[str, tuple[str, Page]], digits_run: Path) -> None:
    text = pages["digits"][1].words()
    for title in (
        *("Samples over time, beside real ones", "FD-pixels4", "Mean outputs of the discriminator", "Losses"),
        *("Generator step length", "Weight and updates by level", "Nearest real images", "Between latents"),
        *("How it was made", "CC BY 4.0", "nested annealed training, 2 levels, weights 1 to 0.01", "320 real images"),
    ):
        assert title in text, title
    frames = [item for item in pages["digits"][1].all("li") if "data-at" in item]
    assert len(frames) == len(list((digits_run / "samples").glob("0*.png")))
    # two images of neighbours, one of interpolations, one of pushes, one real sheet
    assert len(pages["digits"][1].all("img")) == len(frames) + 5


@pytest.mark.runs
def test_points_get_paths_and_no_neighbours(pages: dict[str, tuple[str, Page]]) -> None:
    html, page = pages["ring"]
    assert "paths of generated points between two latents" in html
    assert "Nearest real images" not in page.text and "real points" in page.text


def changed(run: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of ``run`` whose description is changed."""
    shutil.copytree(run, target)
    content = json.loads((target / "experiment.json").read_text())
    change(content)
    (target / "experiment.json").write_text(json.dumps(content))
    return target


HOSTILE = "</script><script>alert(1)</script>&<img src=x onerror=alert(2)>"
VERDICT = {"seconds": 1.0, "figure": 0.98765, "figure_name": "share of pairs"}
HEALTH = [
    VERDICT | {"num_real": 64, "name": "a", "severity": "warning", "text": "It was too strong."},
    VERDICT | {"num_real": 128, "name": "a", "severity": "good", "text": "a: no longer."},
    VERDICT | {"num_real": 192, "name": "b", "severity": "warning", "text": "It is losing."},
    VERDICT | {"num_real": 256, "name": "b", "severity": "alarm", "text": "It has lost."},
]
MEASURED = {
    **{"name": "FD-pixels16@2k", "value": 12.3456, "interval": [11.5, 13.25], "extractor": "pixels16", "seeds": [1]},
    **{"reference": {"dataset": "digits", "split": "train"}, "n_fake": 2000, "checkpoint": "best", "num_real": 256},
    **{"truncation": None, "warnings": ["<few> images"]},
}


@pytest.fixture(scope="session")
def annotated(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    """The page of a run with verdicts, measurements, and text that would break a careless page."""
    folder = tmp_path_factory.mktemp("annotated")

    def rename(content: dict[str, Any]) -> None:
        content["experiment"]["name"] = content["data"]["licence"] = content["command"] = HOSTILE

    run = changed(digits_run, folder / "run", rename)
    (run / "health.jsonl").write_text("\n".join(map(json.dumps, HEALTH)))
    (run / "evaluation.jsonl").write_text(json.dumps(MEASURED))
    return page_of(run, out=folder / "page.html")


@pytest.mark.runs
def test_text_from_a_run_is_escaped_and_a_recorded_command_is_shown_as_it_is(annotated: tuple[str, Page]) -> None:
    html, page = annotated
    assert "alert(1)</script>" not in html and "<img src=x" not in html
    assert len(page.all("script")) == 1
    command = page.text.partition("How it was made")[2]
    assert HOSTILE in command and "was not recorded" not in command


@pytest.mark.runs
def test_a_guessed_command_is_called_so(pages: dict[str, tuple[str, Page]], digits_run: Path) -> None:
    text = pages["digits"][1].words()
    assert f"ganneal train digits-nats --out {digits_run}" in text and "The command was not recorded" in text


@pytest.mark.runs
def test_standing_verdicts_lead_the_page_and_those_that_are_over_are_in_the_history_only(
    annotated: tuple[str, Page],
) -> None:
    lead, _, rest = annotated[1].words().partition("Samples over time")
    assert "Alarm It has lost. Share of pairs: 0.988." in lead
    assert not any(text in lead for text in ("It was too strong.", "a: no longer.", "It is losing."))
    assert all(row["text"] in rest for row in HEALTH) and "Warning, at 64 real images" in rest


@pytest.mark.runs
def test_measurements_come_with_their_protocol(annotated: tuple[str, Page]) -> None:
    shown = annotated[1].words()
    assert "FD-pixels16@2k <few> images 12.35 – 11.5 to 13.2 best 256" in shown
    assert "reference.split train" in shown and "n_fake 2000" in shown and "truncation" not in shown


@pytest.mark.runs
def test_what_is_missing_is_said_on_the_page(digits_run: Path, tmp_path: Path) -> None:
    def elsewhere(content: dict[str, Any]) -> None:
        content["experiment"]["data"] = {"type": "Folder", "path": "/nowhere", "size": None, "channels": None}
        content["experiment"]["scheme"] = {"type": "Mine", "levels": 3}

    run = changed(digits_run, tmp_path / "run", elsewhere)
    _, page = page_of(run, out=tmp_path / "page.html")
    assert "The training data was not found here" in page.words() and "no data at /nowhere" in page.words()
    assert "not registered here" in page.words() and "Mine(levels=3)" in page.words()
    for part in ("final", "checkpoints", "best"):
        shutil.rmtree(run / part, ignore_errors=True)
    (run / "metrics.jsonl").unlink()
    (run / "samples" / "real.png").unlink()
    _, page = page_of(run, out=tmp_path / "page.html")
    assert "No weights could be read" in page.words() and "Nothing was recorded" in page.words()
    assert "No distance to the data was measured" in page.words()


@pytest.mark.runs
def test_a_comparison_repeats_the_verdicts_of_its_results_and_adds_none(
    pages: dict[str, tuple[str, Page]], comparison: Path
) -> None:
    html, page = pages["comparison"]
    arms = json.loads((comparison / "results.json").read_text())["arms"]
    texts = [arm["verdict"]["text"] for arm in arms if arm["verdict"]]
    assert len(texts) == 1 and all(text in page.words() for text in texts)
    assert html.count(">Not decided<") == 1 and ">Decided<" not in html


@pytest.mark.runs
def test_a_comparison_without_verdicts_says_so(comparison: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(comparison, folder)
    results = json.loads((folder / "results.json").read_text())
    for arm in results["arms"]:
        arm["verdict"] = None
    results["seeds"].append(7)
    (folder / "results.json").write_text(json.dumps(results))
    _, page = page_of(folder, out=tmp_path / "page.html")
    assert "The results hold no verdict." in page.words()
    assert "Of 9 runs: 1 diverged, 1 failed, 3 not ended." in page.words()  # each of three arms lacks seed 7
    assert page.words().count("7 not ended") == 3


@pytest.mark.runs
def test_runs_that_did_not_finish_are_rows_and_in_no_mean(pages: dict[str, tuple[str, Page]], comparison: Path) -> None:
    html, page = pages["comparison"]
    text = page.words()
    assert "risky training stopped: d_loss is NaN 0 diverged" in text
    assert "risky OSError: <no> space left 1 failed" in text
    assert "Of 6 runs: 1 diverged, 1 failed." in text
    distances = next(s["aria-label"] for s in page.all("svg") if "over 2 seeds" in s["aria-label"])
    assert "risky seed 0 diverged" in distances and "risky ends" not in distances


@pytest.mark.runs
def test_a_comparison_lets_seeds_be_chosen_and_moves_all_arms_by_one_slider(
    pages: dict[str, tuple[str, Page]],
) -> None:
    _, page = pages["comparison"]
    assert len([field for field in page.all("input") if field["type"] == "range"]) == 1
    groups = {field["value"] for field in page.all("input") if field["type"] == "radio"}
    shown = {attributes["data-group"] for _, attributes in page.elements if "data-group" in attributes}
    assert groups == shown == {"seed 0", "seed 1"}


@pytest.mark.runs
def test_what_differs_from_the_baseline_is_listed(pages: dict[str, tuple[str, Page]]) -> None:
    assert "scheme.type: Alternating -> Nested" in pages["comparison"][1].words()


@pytest.mark.runs
def test_several_runs_rank_nothing(pages: dict[str, tuple[str, Page]]) -> None:
    text = pages["several"][1].words()
    assert "differences between them may be chance" in text
    assert "trained on different data" in text and "measured by different distances" in text
    assert "scheme.type Nested Nested Alternating" in text


@pytest.mark.runs
def test_directories_that_do_not_fit_are_refused(digits_run: Path, comparison: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a comparison: it has a page of its own"):
        write_report([digits_run, comparison], tmp_path / "page.html")
    with pytest.raises(ValueError, match="--out is needed"):
        write_report([digits_run, comparison / "cts" / "seed0"])
    with pytest.raises(ValueError, match="given twice"):
        write_report([digits_run, digits_run], tmp_path / "page.html")
    with pytest.raises(ValueError, match="a report needs"):
        write_report([])
    with pytest.raises(ValueError, match="out must be a file"):
        write_report([digits_run], tmp_path)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="a comparison without results"):
        write_report([tmp_path])
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


@pytest.mark.runs
def test_reporting_loads_no_training_code() -> None:
    script = """
import json, sys
import ganneal.cli.report, ganneal.report
training = ("ganneal.engine.loop", "ganneal.engine.run", "ganneal.training.session")
print(json.dumps([module for module in training if module in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_stand_out_from_their_ground(theme: str) -> None:
    source = CSS.read_text().partition("}")[0] if theme == "light" else DARK
    colours: dict[str, str] = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", source))
    lines = {name for name in colours if re.fullmatch(r"s\d", name)}
    assert len(lines) == 8
    for ground in ("paper", "card"):
        for name, least in [*((n, 4.5) for n in ("ink", "muted", "accent", "good", "warning", "alarm")),
                            *((n, 3.0) for n in (*lines, "focus"))]:  # fmt: skip
            light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)
