"""A device that is not the CPU, pretended on the CPU: its tensors have values, and what a GPU would refuse or wait for
fails.

Python and autograd see tensors of the device "meta"; each holds a tensor of the CPU, on which the work is done. So the
numbers are those of the CPU, and a training that ends with other ones has done something else. Mixed precision and
recorded passes are not pretended.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

THERE = torch.device("meta")
COPIES = ("_to_copy", "copy_")
READS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2", "bincount")
"""Operations whose result or its shape the host needs, so that it waits for all work before them."""
INDEXED = ("index", "index_put_", "_index_put_impl_")
"""These count what a mask chooses, which is a read too."""


class Refused(Exception):
    """A GPU would fail here, or the host would wait for it."""


class Held(Tensor):
    """A tensor of the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Held":
        about = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        self = Tensor._make_wrapper_subclass(cls, held.shape, device=THERE, **about)  # type: ignore[attr-defined]
        self.held = held
        return self

    def tolist(self) -> Any:
        return self.cpu().tolist()  # torch has no list of a subclass

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise Refused("an array of a tensor on the device")
        return self.cpu().numpy()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Refused(f"{func} on tensors of a pretended device that has been left")


class Stream(torch.Generator):
    """A random generator that says where it is, and draws the CPU's numbers."""

    where: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> "Stream":
        self = super().__new__(cls)
        self.where = torch.device(device)
        return self

    def __init__(self, device: torch.device | str = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.where


def given_to_host(value: Any) -> Any:
    """All tensors in ``value`` on the CPU, as a checkpoint is read."""
    return tree_map(lambda each: each.cpu() if isinstance(each, Tensor) else each, value)


class PretendedDevice(TorchDispatchMode):
    """The device, while entered."""

    def __init__(self) -> None:
        super().__init__()
        self.reads_left = 0
        self.moving = False

    @contextmanager
    def move(self, reads: int = 0) -> Iterator[None]:
        """Within, copies between host and device are refused, and all reads but the first ``reads``."""
        self.moving, self.reads_left = True, reads
        try:
            yield
        finally:
            self.moving = False

    def allowed(self, function: Any) -> Any:
        """``function``, in which a move may copy and read."""

        def call(*args: Any, **kwargs: Any) -> Any:
            before, self.moving = self.moving, False
            try:
                return function(*args, **kwargs)
            finally:
                self.moving = before

        return call

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there: list[Tensor] = [each for each in tensors if isinstance(each, Held)]
        asked = kwargs.get("device")
        made_there = bool(there) if asked is None else asked.type == THERE.type
        self._check(func, tensors, there, made_there)
        if asked is not None and made_there:
            kwargs["device"] = torch.device("cpu")
        out = func(*tree_map(_inside, args), **tree_map(_inside, kwargs))
        if func.overloadpacket.__name__ == "copy_":
            return args[0]
        if not made_there:
            return out
        wrapped = tree_map(lambda each: Held(each) if isinstance(each, Tensor) else each, out)
        # A view shares its version with what it is a view of, and an operation in place gives the tensor itself.
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if there and asked is None else wrapped

    def _check(self, func: Any, tensors: list[Tensor], there: list[Tensor], made_there: bool) -> None:
        name = func.overloadpacket.__name__
        if any(each.device.type == THERE.type and not isinstance(each, Held) for each in tensors):
            raise Refused(f"{func}: a tensor of Python's numbers was copied to the device")
        if name in COPIES:
            crosses = len(there) == 1 if name == "copy_" else made_there != bool(there)
            if self.moving and crosses:
                raise Refused(f"{func} copies between the host and the device in a move")
            return
        if there and any(each.dim() and not isinstance(each, Held) for each in tensors):
            raise Refused(f"{func} is given tensors of the host and of the device")
        masked = name in INDEXED and any(each.dtype in (torch.bool, torch.uint8) for each in there[1:])
        if self.moving and there and (name in READS or masked):
            self.reads_left -= 1
            if self.reads_left < 0:
                raise Refused(f"{func} waits for the device in a move")


def _inside(value: Any) -> Any:
    return value.held if isinstance(value, Held) else value


@contextmanager
def pretended_device(patch: pytest.MonkeyPatch) -> Iterator[PretendedDevice]:
    """The device, with all of torch that asks for its name made to know it."""
    autocast, tensor, fused = torch.autocast, torch.tensor, "_get_fused_kernels_supported_devices"
    optimizer = import_module("torch.optim.optimizer")  # torch takes its name out of torch.optim
    supported = getattr(optimizer, fused)
    patch.setattr(torch, "Generator", Stream)
    patch.setattr(torch, THERE.type, SimpleNamespace(default_generators=[torch.default_generator]), raising=False)
    patch.setattr(optimizer, fused, lambda: [*supported(), THERE.type])
    patch.setattr(torch, "autocast", lambda kind, *args, **named: autocast("cpu", *args, **named))

    def numbers(data: Any, *, device: Any = None, **named: Any) -> Tensor:
        made = tensor(data, **named)
        return made if device is None else made.to(device)  # which is a copy, and seen as one

    patch.setattr(torch, "tensor", numbers)
    with PretendedDevice() as device, warnings.catch_warnings():
        # torch takes the tensors for those without values, into which nothing can be copied.
        warnings.filterwarnings("ignore", message="for .*: copying from a non-meta parameter")
        yield device
