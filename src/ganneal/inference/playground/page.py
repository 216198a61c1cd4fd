"""The playground as a page in the browser, served by gradio on this machine alone unless told otherwise."""

import os
import random
from typing import Any

from PIL import Image

from ganneal.inference.generator import SamplerName
from ganneal.inference.playground.drawing import ANY_CLASS, MOST_SAMPLES, Controls, Playground
from ganneal.registry import optional_module
from ganneal.storage.weight_files import LICENCE

MOST_SEED = 2**31 - 1
TELEMETRY = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
PICTURE: dict[str, Any] = {
    "type": "pil",
    "format": "png",
    "image_mode": None,
    "interactive": False,
    "show_label": False,
    "buttons": ["download", "fullscreen"],
}
# gradio offers every event of a page as an API of its own, unless it is told not to.
HIDDEN_ENDPOINT: dict[str, Any] = {"api_visibility": "private"}
# Pixelated, as browsers blur what they enlarge and samples are small.
CSS = """
.gradio-container { max-width: 1200px !important; margin: auto !important; }
#grid img, #between img { width: 100%; height: auto; max-height: 75vh; object-fit: contain; }
#grid img, #between img { image-rendering: pixelated; margin-top: 2.2rem; }
#grid img { height: 60vh; }
"""
FONTS = ("system-ui", "sans-serif")
"""Fonts of the browser, so that none is loaded."""


def gradio() -> Any:
    """The module, which sends nothing to its makers.

    Raises:
        ValueError: It is not installed.
    """
    os.environ.update(TELEMETRY)  # before it is imported
    return optional_module("gradio", "the playground", "playground", "; `ganneal sample` draws without")


def build(playground: Playground) -> Any:
    """The page, gradio's Blocks.

    Raises:
        ValueError: gradio is not installed.
    """
    gr = gradio()
    classes = playground.class_choices
    with gr.Blocks(title=f"ganneal: {playground.run}", analytics_enabled=False) as page:
        gr.Markdown(f"# {playground.run}\n\n{about(playground)}")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MOST_SEED)
                another = gr.Button("Another seed", size="sm")
                count = gr.Slider(1, MOST_SAMPLES, 16, step=1, label="Pictures")
                of_class = gr.Dropdown(classes, value=ANY_CLASS, label="Class", visible=len(classes) > 1)
                truncated = gr.Checkbox(False, label="Truncate the latents", visible=playground.can_truncate)
                truncation = gr.Slider(
                    0.05, 3, 1, step=0.05, label="Truncation", info="Less: more typical, less varied.", visible=False
                )
                sampler = gr.Radio(
                    list(playground.samplers),
                    value=playground.own,
                    label="Sampler",
                    info="The averaged generator alone, or the generator as trained with the pushes that follow it.",
                    visible=len(playground.samplers) > 1,
                )
            with gr.Column(scale=3), gr.Tabs():
                with gr.Tab("Samples"):
                    grid = gr.Image(**PICTURE, label="Samples", elem_id="grid")
                with gr.Tab("Between two seeds"):
                    other = gr.Number(1, label="Other seed", precision=0, minimum=0, maximum=MOST_SEED)
                    between = gr.Image(**PICTURE, label="From one seed to the other", elem_id="between")
        # In the order of the arguments of `chosen`: gradio passes values by place.
        controls = [seed, count, of_class, truncated, truncation, sampler]

        def chosen(seed: int, count: int, of_class: str, truncated: bool, truncation: float, sampler: SamplerName):
            return Controls(int(seed or 0), int(count), of_class, truncation if truncated else None, sampler)

        def draw_grid(*values: Any) -> Image.Image:
            return playground.grid(chosen(*values))

        def draw_between(other: int, *values: Any) -> Image.Image:
            return playground.between(chosen(*values), int(other or 0))

        truncated.change(lambda on: gr.Slider(visible=on), truncated, truncation, **HIDDEN_ENDPOINT)
        another.click(lambda: random.randrange(MOST_SEED), None, seed, **HIDDEN_ENDPOINT)
        # Drawn again at every change, the last one only: a slider that is dragged asks faster than a CPU draws.
        changes = [page.load, *(control.change for control in controls)]
        gr.on(changes, draw_grid, controls, grid, trigger_mode="always_last", **HIDDEN_ENDPOINT)
        gr.on(
            [*changes, other.change],
            draw_between,
            [other, *controls],
            between,
            trigger_mode="always_last",
            **HIDDEN_ENDPOINT,
        )
    return page


def about(playground: Playground) -> str:
    """The generator's training, data and duration, in Markdown."""
    card = playground.generator.card
    data, counters = card.get("data", {}), card.get("counters", {})
    model = card.get("experiment", {}).get("model", {}).get("type", "")
    said = [
        f"{model} trained on {data.get('name', 'data without a name')}",
        f"{counters.get('num_real', 0):,} real images seen",
        f"licence: {card.get('licence', LICENCE)}",
    ]
    return " · ".join(said)


def appearance() -> dict[str, Any]:
    """Settings of the page and its server: nothing is shared, measured or loaded from elsewhere."""
    return {
        "share": False,
        "show_error": True,
        "ssr_mode": False,
        "enable_monitoring": False,
        "footer_links": [],
        "theme": gradio().themes.Default(font=FONTS, font_mono=("ui-monospace", "monospace")),
        "css": CSS,
    }


def serve(playground: Playground, host: str, port: int | None) -> None:
    """Serve the page until interrupted.

    Raises:
        ValueError: gradio is not installed, or the port is taken.
    """
    page = build(playground)
    try:
        page.launch(server_name=host, server_port=port, **appearance())
    except OSError as error:
        raise ValueError(f"port must be free on {host}, got {port} ({error}); leave it out for one that is.") from error
