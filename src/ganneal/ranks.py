"""Ranks, the processes that train one run together: shared computation and messages. One rank alone computes the
identity.

A loss or penalty that reads a whole batch takes its averages here, so that it reads the batch of all ranks:
``collective.mean(logits.mean())``, ``collective.gather(values).max()``. Only the engine's moves join the ranks: in
anybody else's loop, and while one rank evaluates, these functions see one process.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class RankLost(ConnectionError):
    """Another process of the run has ended or does not answer."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train one run."""

    rank: int = 0
    count: int = 1
    device: torch.device | None = None
    """Device of this rank's players; None leaves it to the experiment."""
    control: Any = None
    """The process group for decisions, on the CPU whatever the device is."""

    @property
    def leads(self) -> bool:
        """True if this is the rank that writes and decides."""
        return self.rank == 0

    def share(self, count: int) -> int:
        """This rank's part of ``count`` samples.

        Raises:
            ValueError: They cannot be dealt evenly.
        """
        if count % self.count:
            raise ValueError(
                f"{count} samples cannot be split evenly over {self.count} processes; use a multiple of "
                f"{self.count}, or another number of --devices."
            )
        return count // self.count

    def mean(self, x: Tensor) -> Tensor:
        """The mean over ranks of each element of ``x``, with a graph to every rank's."""
        return x if self.count == 1 else _Mean.apply(x, self)  # type: ignore[return-value]

    def average_(self, x: Tensor) -> Tensor:
        """`mean` without a graph in the place of ``x``, which is contiguous."""
        with self.losing():
            dist.all_reduce(x)  # a sum, then divided: gloo, the backend of CPUs, has no average
        return x.div_(self.count)

    def gather(self, x: Tensor) -> Tensor:
        """``x`` of all ranks along the first axis, in their order, with a graph to every rank's."""
        return x if self.count == 1 else _Gather.apply(x, self)  # type: ignore[return-value]

    def greatest(self, value: float) -> float:
        """The greatest ``value`` of all ranks."""
        return value if self.count == 1 else self._reduced([value], dist.ReduceOp.MAX)[0]

    def averages(self, values: list[float]) -> list[float]:
        """The mean over ranks of each of ``values``."""
        if self.count == 1 or not values:
            return values
        return [value / self.count for value in self._reduced(values, dist.ReduceOp.SUM)]

    def tell(self, value: Any = None) -> Any:
        """Broadcast the first rank's value to every rank; any picklable value."""
        if self.count == 1:
            return value
        # Pickled by torch: what is sent comes from the processes of this run alone.
        told = [value]
        with self.losing():
            dist.broadcast_object_list(told, src=0, group=self.control, device=torch.device("cpu"))
        return told[0]

    def dealt(self, count: int, chunk: int) -> Tensor:
        """Which of ``count`` samples are each rank's, ``[ranks, share]``: its part of every chunk of ``chunk``."""
        parts = torch.arange(count).split(chunk)
        # From every chunk and not a block each: a chunk is what one process would have pushed together.
        return torch.cat([part.view(self.count, self.share(len(part))) for part in parts], dim=1)

    def _reduced(self, values: list[float], how: Any) -> list[float]:
        # On the CPU, so that no GPU is waited for, and in float64, as Python's floats are.
        numbers = torch.tensor(values, dtype=torch.float64)
        with self.losing():
            dist.all_reduce(numbers, how, group=self.control)
        return numbers.tolist()

    @contextmanager
    def losing(self) -> Iterator[None]:
        """The backend's error over another rank as one that says what to do."""
        try:
            yield
        except RuntimeError as error:
            said = re.sub(r"^\[\S+:\d+\] ", "", str(error))  # without the place in the backend's source
            raise RankLost(
                f"rank {self.rank} of {self.count} ends: another process of this run has ended or does not answer "
                f"({shorten(said, 120, placeholder=' ...')}). The last checkpoint stays. The same command continues "
                "from it, also with another number of --devices."
            ) from error


ALONE = Ranks()
# A variable of the module: losses and penalties are pure functions of outputs, with no argument for the processes.
_joined = ALONE


@contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """Within, `mean` and `gather` are those over ``ranks``."""
    global _joined
    before, _joined = _joined, ranks
    try:
        yield
    finally:
        _joined = before


def ranks() -> Ranks:
    """The ranks whose move is being made; one alone outside the engine."""
    return _joined


def mean(x: Tensor) -> Tensor:
    """`Ranks.mean` of the move being made: each element averaged over ranks."""
    return _joined.mean(x)


def gather(x: Tensor) -> Tensor:
    """`Ranks.gather` of the move being made: the samples of all ranks, ``[batch, ...]`` of the whole batch."""
    return _joined.gather(x)


class _Mean(torch.autograd.Function):
    """Each rank differentiates its own loss and the ranks' gradients are averaged after: so here they are summed over
    ranks and divided by their number, the same reduction as forwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, among: Ranks) -> Tensor:
        ctx.among = among
        # A copy, since the reduction works in place; contiguous, since it sends memory as it lies.
        return among.average_(x.detach().clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, None]:
        # `apply` again and not a plain reduction, so that it can be differentiated a second time.
        return _Mean.apply(gradients[0], ctx.among), None


class _Gather(torch.autograd.Function):
    """Backwards, what all ranks' losses have to say of this rank's samples."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, among: Ranks) -> Tensor:
        ctx.among = among
        own = x.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(among.count)]
        with among.losing():
            dist.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, None]:
        total = ctx.among.mean(gradients[0]) * ctx.among.count
        return total.chunk(ctx.among.count)[ctx.among.rank], None


class GlobalDraws(TorchFunctionMode):
    """While entered, what is drawn from ``streams``, and dropout, is this rank's rows of the whole batch's.

    Every rank holds the same random generators in the same state, draws for the batch of all ranks and keeps its own
    rows. So the numbers do not depend on how many ranks there are, and one saved state serves them all.

    ``streams`` are of samples: `torch.rand`, `torch.randn` and `torch.randint` are to draw from them with the batch as
    the first axis. Draws from all other generators are the same on every rank.
    """

    def __init__(self, ranks: Ranks, streams: Iterable[torch.Generator]):
        super().__init__()
        self.ranks, self.streams = ranks, list(streams)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.dropout:  # it draws from torch's own generator, which has no argument to know it by
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
        # torch takes the size as a keyword, as one tuple, or as numbers one after the other.
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
        # torch fills a mask in memory order: in another order the same numbers would fall on other pixels.
        whole = input.new_empty((self.ranks.count * len(input), *input.shape[1:])).contiguous(memory_format=order)
        mask = self._own(F.dropout(whole.fill_(1.0), p, training=True))
        return input.mul_(mask) if inplace else input * mask
