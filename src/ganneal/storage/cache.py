"""Cache of computed files between processes: features of real images, converted weights.

Everything in it can be deleted at any time; it is made again when it is needed.
"""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder that GANNEAL_CACHE names, else ``ganneal`` below XDG_CACHE_HOME or ``~/.cache``; it may not exist
    yet."""
    if named := os.environ.get("GANNEAL_CACHE"):
        return Path(named).expanduser()
    # An empty variable counts as none, as the XDG base directory specification says.
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganneal"
