"""Random draws of one rank: its share of what one process would have drawn for the whole batch.

Every rank holds the same random generators in the same state, draws for the batch of all ranks and keeps its own rows.
So the numbers do not depend on how many ranks there are, and one saved state serves them all.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ganneal.ranks import Ranks


class GlobalDraws(TorchFunctionMode):
    """While entered, what is drawn from ``streams``, and dropout, is this rank's rows of the whole batch's.

    ``streams`` are of samples: `torch.rand`, `torch.randn` and `torch.randint` are to draw from them with the batch as
    the first axis. Draws from all other generators are the same on every rank.
    """

    def __init__(self, ranks: Ranks, streams: Iterable[torch.Generator]):
        super().__init__()
        self.ranks, self.streams = ranks, list(streams)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if not kwargs:  # most calls, in few instructions
            return func(*args)
        if not any(kwargs.get("generator") is stream for stream in self.streams):
            return func(*args, **kwargs)
        kwargs = dict(kwargs)
        if func not in (torch.rand, torch.randn, torch.randint):
            raise ValueError(
                f"draws that ranks share must be made by torch.rand, torch.randn or torch.randint, got "
                f"{getattr(func, '__name__', func)}; use one of them, or one process."
            )
        if "size" in kwargs:
            size = kwargs.pop("size")
        elif func is torch.randint:
            args, size = args[:-1], args[-1]
        else:
            size, args = args[0] if isinstance(args[0], tuple | list) else args, ()
        return self._own(func(*args, (self.ranks.count * size[0], *size[1:]), **kwargs))

    def _own(self, drawn: Tensor) -> Tensor:
        return drawn.chunk(self.ranks.count)[self.ranks.rank]

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """A mask for the whole batch, in the memory order of ``input``; its own rows of it."""
        if not training or p == 0:
            return F.dropout(input, p, training, inplace)
        channels_last = input.dim() == 4 and input.is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if channels_last else torch.contiguous_format
        whole = input.new_empty((self.ranks.count * len(input), *input.shape[1:])).contiguous(memory_format=order)
        mask = self._own(F.dropout(whole.fill_(1.0), p, training=True))
        return input.mul_(mask) if inplace else input * mask
