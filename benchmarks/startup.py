"""How long a person waits before anything happens: imports and help, each in a fresh process.

python benchmarks/startup.py [--repeats 7]
"""

import argparse
import subprocess
import sys
from statistics import median
from time import perf_counter

COMMANDS = {
    "import ganneal": ([sys.executable, "-c", "import ganneal"], 0.3),
    "import ganneal.schemes": ([sys.executable, "-c", "import ganneal.schemes"], 0.3),
    "ganneal --help": ([sys.executable, "-m", "ganneal.cli", "--help"], 1.5),
    "ganneal plan nats": ([sys.executable, "-m", "ganneal.cli", "plan", "nats"], 1.5),
}
"""What is run, and the seconds it may take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    bare = [sys.executable, "-c", "pass"]
    for name, (command, goal) in {"python alone": (bare, float("inf")), **COMMANDS}.items():
        taken = []
        for _ in range(repeats):
            started = perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            taken.append(perf_counter() - started)
        print(f"{name:<24} {median(taken):.3f} s" + (f"   (goal <= {goal})" if goal < float("inf") else ""))


if __name__ == "__main__":
    main()
