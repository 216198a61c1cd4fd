"""The formats of an exported generator: a program to the bytes of a file, and those back to a function."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from ganneal import __version__
from ganneal.inference.export.program import CARD_KEY, Program
from ganneal.registry import optional_module

if TYPE_CHECKING:
    from onnx import ModelProto

BATCH_DIMENSION = "n"
"""Name of the batch dimension in the file."""
MOST_PROTOBUF_BYTES = 2**31 - 1
"""Largest size of a file in Protocol Buffers, whose lengths are signed 32-bit numbers."""
Runner = Callable[[tuple[Tensor, ...]], Tensor]


@runtime_checkable
class ExportFormat(Protocol):
    """A kind of file."""

    @property
    def suffix(self) -> str:
        """Ending of the file's name, with its dot."""
        ...

    def check(self) -> None:
        """Refuse where what it needs is not installed.

        Raises:
            ValueError: Something is missing; the message says what to install.
        """
        ...

    def encoded(self, program: Program, examples: tuple[Tensor, ...]) -> bytes:
        """The whole file; ``examples`` are inputs of the program, two or more of each."""
        ...

    def runner(self, content: bytes) -> Runner:
        """The program in a file, as whoever is given the file runs it."""
        ...


@dataclass(frozen=True)
class Onnx:
    """Open Neural Network Exchange, for ONNX Runtime and others; the card is in ``metadata_props``."""

    opset: int = 18
    """Version of the operators, that of ONNX 1.13 (2022)."""
    suffix = ".onnx"

    def check(self) -> None:
        for module in ("onnx", "onnxscript", "onnxruntime"):
            optional_module(module, "an ONNX file", "export", "; or use the format 'torch'")

    def encoded(self, program: Program, examples: tuple[Tensor, ...]) -> bytes:
        import onnx

        traced = _traced(program, examples)
        # Through torch.export and not by the older tracer, which may fix the batch size of the example in reshapes.
        with _quiet():
            written = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                opset_version=self.opset,
                input_names=[each.name for each in program.inputs],
                output_names=[program.output],
            )
        assert written is not None
        proto = _bare(written.model_proto)
        proto.producer_name, proto.producer_version = "ganneal", __version__
        onnx.helper.set_model_props(proto, {CARD_KEY: json.dumps(program.card)})
        if (size := proto.ByteSize()) > MOST_PROTOBUF_BYTES:
            raise ValueError(f"an ONNX file holds at most 2 GiB, this one would be {size:,} bytes; use format 'torch'.")
        onnx.checker.check_model(proto, full_check=True)  # full: shapes are inferred again, as a runtime does
        return proto.SerializeToString()

    def runner(self, content: bytes) -> Runner:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # ONNX Runtime would take every core
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]

        def run(inputs: tuple[Tensor, ...]) -> Tensor:
            (images,) = session.run(None, {n: i.numpy() for n, i in zip(names, inputs, strict=True)})
            return torch.from_numpy(images)

        return run


@dataclass(frozen=True)
class TorchProgram:
    """A file of `torch.export.save`, for PyTorch without ganneal; the card is an extra file in it."""

    suffix = ".pt2"

    def check(self) -> None:
        pass

    def encoded(self, program: Program, examples: tuple[Tensor, ...]) -> bytes:
        traced = _traced(program, examples)
        for node in traced.graph.nodes:
            node.meta.pop("stack_trace", None)  # where the source lay on this machine
        buffer = io.BytesIO()
        torch.export.save(traced, buffer, extra_files={CARD_KEY + ".json": json.dumps(program.card)})
        return buffer.getvalue()

    def runner(self, content: bytes) -> Runner:
        module = torch.export.load(io.BytesIO(content)).module()

        def run(inputs: tuple[Tensor, ...]) -> Tensor:
            with torch.no_grad():
                return module(*inputs)

        return run


FORMATS: dict[str, ExportFormat] = {"onnx": Onnx(), "torch": TorchProgram()}
"""Kinds of files by name."""


def _traced(program: Program, examples: tuple[Tensor, ...]) -> ExportedProgram:
    # A batch of one is special to torch.export, which would fix it: the examples have two samples or more.
    batch = Dim(BATCH_DIMENSION, min=1)
    with torch.no_grad(), _quiet():
        return torch.export.export(program.module, examples, dynamic_shapes=tuple({0: batch} for _ in examples))


def _bare(proto: "ModelProto") -> "ModelProto":
    """Without notes on the source, which name folders of this machine; the batch has its name in every shape."""
    graph = proto.graph
    # The exporter names the batch itself, as s77 for example; users bind inputs by the name that stands in the card.
    own = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for each in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del each.metadata_props[:]
    del graph.metadata_props[:], proto.functions[:], graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = dim.dim_param.replace(own, BATCH_DIMENSION)
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says to its own developers."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # Filters of this block alone: what a program warns of elsewhere is its own affair.
        with warnings.catch_warnings():
            for kind in (FutureWarning, DeprecationWarning):
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        logger.setLevel(before)
