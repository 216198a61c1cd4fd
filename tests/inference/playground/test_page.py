"""The playground in a real browser: controls change the picture, nothing is loaded from elsewhere.

Needs gradio, Debian's chromium and the Python package playwright (`make playground-test`); skipped, and said, where one
is absent.
"""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganneal.inference.playground.drawing import Controls, Playground
from ganneal.inference.playground.page import appearance, build

gradio = pytest.importorskip("gradio", reason="no gradio; run `make playground-test`")
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright; run `make playground-test`")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # gradio's own dependencies warn
PATIENCE = 120_000
"""Milliseconds: the machine may be busy."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium on the path; run `make playground-test`")
    # a browser's own sandbox does not work for root, as in a container
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        yield started
        started.close()


class Visit:
    """The page of a playground, with everything it complained of and asked for."""

    def __init__(self, browser: Any, playground: Playground):
        self.served = build(playground)
        _, address, _ = self.served.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **appearance()
        )
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = address
        self.page.goto(address, timeout=PATIENCE)

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()
        self.served.close()

    def shows(self, name: str, wanted: Image.Image) -> None:
        """Wait until the picture called ``name`` is ``wanted``, pixel by pixel."""
        expected = np.asarray(wanted)
        for _ in range(PATIENCE // 500):
            source = self.page.locator(f"#{name} img")
            if source.count() and (address := source.get_attribute("src")):
                found = np.asarray(Image.open(io.BytesIO(self.context.request.get(address).body())))
                if found.shape == expected.shape and np.array_equal(found, expected):
                    return
            self.page.wait_for_timeout(500)
        pytest.fail(f"the picture {name} did not become what was asked for")


def test_controls_change_the_picture_and_nothing_comes_from_elsewhere(browser: Any, colours: Playground) -> None:
    with Visit(browser, colours) as visit:
        page = visit.page
        visit.shows("grid", colours.grid(Controls()))
        page.get_by_label("Class").click()
        page.get_by_role("option", name="green").click()
        visit.shows("grid", colours.grid(Controls(class_name="green")))
        page.get_by_label("Truncate the latents").check()
        visit.shows("grid", colours.grid(Controls(class_name="green", truncation=1.0)))
        slider = page.get_by_role("slider", name="Truncation")
        slider.fill("0.25")
        visit.shows("grid", colours.grid(Controls(class_name="green", truncation=0.25)))
        page.get_by_label("Seed", exact=True).fill("7")
        visit.shows("grid", colours.grid(Controls(seed=7, class_name="green", truncation=0.25)))
        page.get_by_role("tab", name="Between two seeds").click()
        page.get_by_label("Other seed").fill("3")
        visit.shows("between", colours.between(Controls(seed=7, class_name="green", truncation=0.25), 3))
        assert [url for url in visit.requests if not url.startswith((visit.address, "data:", "blob:"))] == []
        assert visit.complaints == []
        if folder := os.environ.get("GANNEAL_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/playground.png", full_page=True)


def test_the_sampler_is_chosen_where_there_are_two_and_the_grid_is_downloaded(browser: Any, pushed: Playground) -> None:
    with Visit(browser, pushed) as visit:
        page = visit.page
        visit.shows("grid", pushed.grid(Controls(sampler="pushed")))
        page.get_by_role("radio", name="generator").check()
        visit.shows("grid", pushed.grid(Controls(sampler="generator")))
        assert page.get_by_label("Class").count() == 0
        with page.expect_download() as coming:
            page.locator("#grid").get_by_role("link").click()
        with Image.open(coming.value.path()) as saved:
            assert np.array_equal(np.asarray(saved), np.asarray(pushed.grid(Controls(sampler="generator"))))


def test_another_seed_gives_another_grid(browser: Any, alone: Callable[..., Playground], pushed: Playground) -> None:
    with Visit(browser, pushed) as visit:
        before = visit.page.get_by_label("Seed", exact=True).input_value()
        visit.page.get_by_role("button", name="Another seed").click()
        visit.page.wait_for_function(f"document.querySelector('input[type=number]').value !== '{before}'")
        seed = int(visit.page.get_by_label("Seed", exact=True).input_value())
        visit.shows("grid", pushed.grid(Controls(seed=seed, sampler="pushed")))
