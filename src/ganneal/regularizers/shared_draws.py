"""Random draws that two results share, so that they differ by what was given and not by chance."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Draws:
    """The place where some random generators stand, so that the draws that follow can be made once more."""

    def __init__(self, *generators: torch.Generator):
        self.places = [(generator, generator.get_state()) for generator in generators]

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Within, the generators draw what they drew from that place on; afterwards they go on as if nothing were."""
        # The very same generators are set back, not copies: several processes know them by identity (`GlobalDraws`).
        # A repeated draw must cost the run nothing: what is drawn next does not depend on how often it was repeated.
        now = [generator.get_state() for generator, _ in self.places]
        try:
            for generator, state in self.places:
                generator.set_state(state)
            yield
        finally:
            for (generator, _), state in zip(self.places, now, strict=True):
                generator.set_state(state)


class Shared(Generic[Given, Made]):
    """A random function that draws at its first call from ``generators`` and repeats those draws at every later one."""

    def __init__(self, function: Callable[Given, Made], *generators: torch.Generator):
        self.function, self.generators = function, generators
        self.draws: Draws | None = None

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Made:
        if self.draws is None:
            # Taken before the first call, so that later ones begin where it began.
            self.draws = Draws(*self.generators)
            return self.function(*args, **kwargs)
        with self.draws.repeated():
            return self.function(*args, **kwargs)
