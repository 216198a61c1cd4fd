"""Trained generators as files that run without ganneal: ONNX, and PyTorch's own exported programs.

Register another format with ``FORMATS["mine"] = MyFormat()``.
"""

from ganneal.inference.export.formats import FORMATS, ExportFormat
from ganneal.inference.export.program import CARD_KEY, Input, Program, program_of
from ganneal.inference.export.writing import BATCHES, IMAGE_TOLERANCE, Exported, write_export

__all__ = [
    "BATCHES",
    "CARD_KEY",
    "FORMATS",
    "IMAGE_TOLERANCE",
    "Exported",
    "ExportFormat",
    "Input",
    "Program",
    "program_of",
    "write_export",
]
