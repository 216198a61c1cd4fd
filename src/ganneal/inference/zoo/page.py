"""The zoo as a list and as a page of the documentation, from the cards."""

from typing import Any

from ganneal.inference import zoo
from ganneal.wording import duration, number

ZOO_HEAD = """# Zoo

Small generators ship with ganneal. They are the EMA weights in float16 with a card beside them, made in minutes on one
CPU thread. They are examples, and no claim about a scheme.

```python
import ganneal

images = ganneal.load("zoo:digits-nats").sample(16, seed=0)  # [16, 1, 16, 16] in [-1, 1]
```

`ganneal zoo` lists them, `ganneal sample zoo:mnist-nts --out digits.png` draws from one. `evaluate`, `export` and
`playground` take `zoo:NAME` as a run too. There is no report of them, because they have no training record.

Each was made by its command below. `python examples/make_zoo.py RUN` then stored it and measured the weights as they
ship. Distances of two extractors cannot be compared, and none of them is FID.
"""


def listing() -> str:
    """A line for each generator, with its command below."""
    lines = []
    for name in zoo.names():
        own = zoo.card(name)
        lines.append(
            f"{zoo.PREFIX}{name}  {own['data']['name']}, {_shape(own)}, {zoo.size(name):,} bytes, {_measured(own)}"
        )
        lines.append(f"    {own['command']}")
    return "\n".join(lines)


def zoo_page() -> str:
    """The page of the documentation, from the cards."""
    parts = [ZOO_HEAD]
    for name in zoo.names():
        own, clocks = zoo.card(name), zoo.card(name)["counters"]
        parts.append(
            f"## zoo:{name}\n\n"
            f"    {own['command']}\n\n"
            f"- Data: {own['data']['name']}, {own['data']['count']:,} images ({own['data']['licence']}), "
            f"as {_shape(own)}.\n"
            f"- Generator: {own['parameters']['generator']:,} parameters, {zoo.size(name):,} bytes on disk.\n"
            f"- Training: {clocks['num_real']:,} real images, {clocks['d_updates']:,} discriminator and "
            f"{clocks['g_updates']:,} generator updates, {duration(own['cpu_seconds'])} of CPU time on one thread, "
            f"torch {own['provenance']['torch']}.\n"
            f"- Measured of the weights as they ship: {_measured(own)}, {own['measured_how']}.\n"
        )
    return "\n".join(parts)


def _shape(own: dict[str, Any]) -> str:
    channels, height, width = own["data"]["shape"]
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _measured(own: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in own["measured"].items())
