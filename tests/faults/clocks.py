"""A clock that leaps: back and forth, once or always, of the wall or of the processor."""

import time

from protocol import Fault, Scene

CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "time_ns")
YEAR = 3.2e7


def leaping_clock(scene: Scene) -> Fault:
    """Every clock of Python's leaps by up to a year at some of the calls."""
    seed = int(scene.random.integers(2**31))
    share = float(scene.random.choice([0.01, 0.2, 1.0]))

    def inside() -> None:
        import random

        leaps = random.Random(seed)
        offset = 0.0

        def leaping(original, unit):
            def clock():
                nonlocal offset
                if leaps.random() < share:
                    offset = leaps.choice([-1, 1]) * leaps.choice([1e-3, 1.0, 3600.0, YEAR]) * leaps.random()
                return type(original())(original() + offset * unit)

            return clock

        clocks = {name: leaping(getattr(time, name), 1e9 if name.endswith("ns") else 1.0) for name in CLOCKS}
        originals = {id(getattr(time, name)): clock for name, clock in clocks.items()}
        for name, clock in clocks.items():
            setattr(time, name, clock)
        import sys

        for module in [module for name, module in sys.modules.items() if name.startswith("ganneal")]:
            for name, value in list(vars(module).items()):
                if id(value) in originals:  # imported by name
                    setattr(module, name, originals[id(value)])

    return Fault(f"clocks leap at {share:.0%} of calls", inside)
