"""Wrong edits of the source by what they are wrong in; ``tests/mutants.py`` makes them and runs the nearest tests.

Each table maps a file below the package and its nearest tests, parted by spaces, to pairs of an old and a new text.
"""

Edits = dict[tuple[str, str], list[tuple[str, str]]]
