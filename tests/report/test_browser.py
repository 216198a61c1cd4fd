"""The pages in a real browser: no request, no error, a slider that moves, a theme that changes, a phone's width.

Needs Debian's chromium and the Python package playwright (`make browser`); skipped, and said, where one is absent.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganneal.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; run `make browser`")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.slow
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium on the path; run `make browser`")
    # a browser's own sandbox does not work for root, as in a container
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(
    digits_run: Path, ring_run: Path, comparison: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("browser")
    return {
        "run": write_report([digits_run], folder / "run.html"),
        "comparison": write_report([comparison], folder / "comparison.html"),
        "several": write_report([digits_run, ring_run], folder / "several.html"),
    }


class Visit:
    """One page opened from disk, with everything it complained of and asked for."""

    def __init__(self, browser: Any, file: Path, **context: Any):
        self.context = browser.new_context(**({"viewport": DESKTOP, "color_scheme": "light"} | context))
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_load_state("load")

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def shown_frames(self) -> list[str]:
        """The words below each picture that the slider shows."""
        return self.page.locator(".strip li:visible").all_inner_texts()

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


KINDS = ("run", "comparison", "several")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_without_a_complaint_and_asks_for_nothing(kind: str, browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files[kind]) as visit:
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith("data:")] == [files[kind].as_uri()]
        pictures = visit.page.locator("img")
        assert pictures.count() > 0
        assert visit.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_the_policy_stops_what_would_reach_out(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"]) as visit:
        reached = visit.page.evaluate(
            "fetch('https://example.org').then(() => true, () => false)"
        ) or visit.page.evaluate("fetch('file:///etc/hostname').then(() => true, () => false)")
        assert reached is False
        assert any("Content Security Policy" in text for text in visit.complaints)


def test_the_slider_is_moved_by_keys_and_shows_the_frame_of_that_moment(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"]) as visit:
        slider = visit.page.get_by_label(re.compile("Training so far"))
        assert len(visit.shown_frames()) == 1
        last = visit.shown_frames()
        slider.focus()
        visit.page.keyboard.press("Home")
        assert visit.shown_frames() == ["Before training"]
        visit.page.keyboard.press("ArrowRight")
        second = visit.shown_frames()
        assert second not in (last, ["Before training"])
        assert slider.get_attribute("aria-valuetext") == visit.page.locator("output").inner_text()
        assert slider.get_attribute("aria-valuetext") in second[0]
        visit.page.keyboard.press("End")
        assert visit.shown_frames() == last


def test_one_slider_moves_every_arm_and_a_seed_can_be_chosen(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["comparison"]) as visit:
        slider = visit.page.get_by_label(re.compile("Training so far"))
        ends = visit.shown_frames()
        assert len(ends) == 3  # three arms under the first seed
        slider.fill("0")
        assert visit.shown_frames() == ["Before training"] * 3
        section = visit.page.locator("#samples")
        section.get_by_role("radio", name="seed 1").check()
        assert len(visit.shown_frames()) == 2  # the third has no run under this seed
        latents = visit.page.locator("#latents")
        assert latents.locator("img:visible").count() == 3
        latents.get_by_role("radio", name="seed 1").check()
        assert latents.locator("img:visible").count() == 2


def test_playing_moves_on_by_itself_and_is_not_offered_where_motion_is_unwanted(
    browser: Any, files: dict[str, Path]
) -> None:
    # a click and what it shows in one call, as time goes on between two
    click = "(() => { const play = document.querySelector('.play'); play.click(); return [play.textContent, "
    click += "document.querySelector('output').textContent]; })()"
    with Visit(browser, files["run"]) as visit:
        end = visit.page.locator("output").inner_text()
        assert visit.page.evaluate(click) == ["Pause", "0 real images"]
        assert visit.page.evaluate(click)[0] == "Play"
        visit.page.evaluate(click)
        visit.page.locator("output", has_text=end).wait_for()
        visit.page.get_by_role("button", name="Play").wait_for()
        assert end in visit.shown_frames()[0]
    with Visit(browser, files["run"], reduced_motion="reduce") as visit:
        assert visit.page.get_by_role("button", name="Play").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(scheme: str, browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"], color_scheme=scheme) as visit:
        ground = "getComputedStyle(document.body).backgroundColor"
        text = "getComputedStyle(document.querySelector('.chart text')).fill"
        before = visit.page.evaluate(ground), visit.page.evaluate(text)
        assert sum(map(int, re.findall(r"\d+", before[0])[:3])) > 380 if scheme == "light" else True
        other = "Dark theme" if scheme == "light" else "Light theme"
        visit.page.get_by_role("button", name=other).click()
        after = visit.page.evaluate(ground), visit.page.evaluate(text)
        assert before[0] != after[0] and before[1] != after[1]
        visit.page.reload()
        assert visit.page.evaluate(ground) == after[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("javascript", [True, False])
def test_nothing_is_wider_than_a_phone(kind: str, javascript: bool, browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files[kind], viewport=PHONE, java_script_enabled=javascript) as visit:
        if javascript:
            assert visit.overflow() == 0
        boxes = visit.page.locator("h1, h2, .verdict, .slider, .chart, .table, .strip, .round li, .facts, .copy")
        for box in [boxes.nth(index).bounding_box() for index in range(boxes.count())]:
            assert box is None or box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] + 0.5


def test_without_javascript_every_frame_can_still_be_seen(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"], java_script_enabled=False) as visit:
        frames = visit.page.locator(".strip li")
        assert frames.count() > 2
        frames.last.scroll_into_view_if_needed()
        assert frames.last.locator("img").is_visible()
        assert visit.page.get_by_role("button").count() == 0  # none that would do nothing
        assert visit.page.locator("input[type=range]:visible").count() == 0


def test_a_command_is_copied(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"], permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.page.get_by_role("button", name="Copy").first.click()
        visit.page.get_by_role("button", name="Copied").wait_for()
        assert visit.page.evaluate("navigator.clipboard.readText()") == visit.page.locator(".copy pre").inner_text()


def test_keys_reach_every_control_in_the_order_of_the_page(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files["run"]) as visit:
        reached = []
        for _ in range(14):
            visit.page.keyboard.press("Tab")
            reached.append(
                visit.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
            )
        wanted = ["Skip to the content", "theme", "Samples", "samples-at", "Play"]
        assert [name for name in reached if name in wanted] == wanted
