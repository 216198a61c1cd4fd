"""The arithmetic of the machine at hand."""

import os
from dataclasses import dataclass
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Flags of processors with bfloat16 arithmetic, as Linux names them on x86."""


@dataclass(frozen=True)
class Machine:
    """The hardware facts that decide the size and precision of a network."""

    accelerator: bool
    bfloat16: bool | None
    """True if the hardware computes in bfloat16, False if it emulates it; None where this is unknown."""


def this_machine() -> Machine:
    """The machine at hand."""
    import torch  # processes that only decode images count cores and need none of it

    if torch.cuda.is_available():
        # Older GPUs emulate bfloat16, slower than float32.
        return Machine(True, torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine(False, processor_computes_bfloat16())


def processor_computes_bfloat16() -> bool | None:
    """True if the CPU has bfloat16 arithmetic of its own; None where this is unknown."""
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
