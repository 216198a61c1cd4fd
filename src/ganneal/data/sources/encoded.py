"""The base of all sources of encoded images: one way of reading them, whatever they lie in."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ganneal.data.decode.images import Reading
from ganneal.data.decode.listing import Listing
from ganneal.data.decode.loading import load_images
from ganneal.data.protocol import Dataset


@dataclass(frozen=True)
class Encoded(Reading, ABC):
    """A source of encoded images, which makes all of them into one size."""

    def load(self) -> Dataset:
        """Decode every image of the listing."""
        return load_images(self, self.listing())

    @abstractmethod
    def listing(self) -> Listing:
        """The images and labels, without decoding."""
