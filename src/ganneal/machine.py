"""What the machine at hand computes with."""

import os
from dataclasses import dataclass
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Of processors that compute in it, as Linux says on x86."""


@dataclass(frozen=True)
class Machine:
    """What decides how large and how precise a network may be."""

    accelerator: bool
    bfloat16: bool | None
    """Whether bfloat16 is computed in, rather than emulated; None where it cannot be told."""


def this_machine() -> Machine:
    """The machine at hand."""
    import torch  # processes that only decode images count cores and need none of it

    if torch.cuda.is_available():
        # Older GPUs emulate bfloat16, slower than float32.
        return Machine(True, torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine(False, processor_computes_bfloat16())


def processor_computes_bfloat16() -> bool | None:
    """Whether the CPU has arithmetic of its own for bfloat16; None where it cannot be told."""
    # torch has no public question for it; on other systems than Linux the file is missing.
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return None
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return bool(flags & BFLOAT16_FLAGS) if flags else None


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
