"""`ganneal reproduce`: the rows of a published table, run and put beside what was reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command, say
from ganneal.cli.fields import ARGUMENT, Typed
from ganneal.cli.help import aligned_table
from ganneal.comparison import LocalProcesses
from ganneal.comparison.study import seeds_of
from ganneal.metrics.extractors import EXTRACTORS
from ganneal.registry import lookup
from ganneal.reproduction import ALIASES, SCALES, TABLES, results
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.distances import TITLE, distances_table
from ganneal.reproduction.documents import write_documents
from ganneal.reproduction.ledger_run import Places, run_into_ledger
from ganneal.reproduction.listing import DISTANCES, planned_rows, tables_and_scales
from ganneal.reproduction.plan import chosen_rows, planned

PAGE = "reproduction.md"


@dataclass(frozen=True)
class ReproduceCommand(Command):
    """Run the rows of a published table through `ganneal compare`, equal in real images, and measure them. The results
    go to results/SCALE-DATA-FAMILY.json and to the page of all tables. The same command continues a stopped
    reproduction."""

    usage = (
        "                       list tables and scales",
        "TABLE --scale SCALE [options]",
        "table1 [--data NAME=PATH...]   measure distances, train nothing",
        "page                   write the page again from all results",
    )

    table: Annotated[str | None, ARGUMENT] = None
    scale: Annotated[str | None, Typed(names=tuple(SCALES))] = None
    """Size of the networks and number of real images. A table needs it."""
    plan: bool = False
    """Print the planned runs, their reductions and durations; run nothing."""
    rows: Annotated[tuple[str, ...], Typed(value="ROW")] = ()
    """Rows to run: DATASET/ARM or ARM, with * as a wildcard. Default: all."""
    seeds: Annotated[str, Typed(value="N")] = "1"
    """Number of seeds, which are 0 to N-1, or a list such as 0,3,7."""
    data: Annotated[tuple[str, ...], Typed(value="NAME=PATH")] = ()
    """Places of data sets, each as NAME=PATH."""
    extractor: Annotated[str | None, Typed(names=tuple(EXTRACTORS))] = None
    """Feature network of the comparison. Default: the scale's."""
    jobs: int | None = None
    """Parallel runs on this machine. Default: the number of its cores."""
    out: Annotated[Path, Typed(value="DIR")] = Path("runs/reproduce")
    """Folder for the runs."""
    results: Annotated[Path, Typed(value="DIR")] = Path("results")
    """Folder for the results."""
    page: Annotated[Path | None, Typed(value="FILE")] = None
    """The page to write. Default: docs/reproduction.md, or reproduction.md in --results where there is no docs."""

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The tables, and the sets whose place can be told."""
        names = {"TABLE": ", ".join([*TABLES, *ALIASES]), "NAME": ", ".join(PUBLISHED_DATA)}
        return {"tables, and data sets": aligned_table(names)}

    def __call__(self, typed: str) -> None:
        """Run or print."""
        if self.table is None:
            # Without a table other options would be passed over in silence.
            if self != ReproduceCommand():
                raise ValueError("the table must come first: ganneal reproduce TABLE --scale SCALE [options].")
            print(tables_and_scales())
        elif self.table == "page":
            self._only("results", "page")
            write_documents(TABLES, results.read_all(self.results), self._page_file())
            print(self._page_file())
        elif self.table == DISTANCES:
            self._only("data")
            print(f"{TITLE}\n\n{distances_table(_paths(self.data))}", end="")
        else:
            self._reproduce(typed)

    def _only(self, *taken: str) -> None:
        """Refuse options other than those in ``taken``."""
        given = [f.name for f in fields(self) if f.name not in ("table", *taken) and getattr(self, f.name) != f.default]
        if given:
            allowed = ", ".join(f"--{name}" for name in taken)
            raise ValueError(f"--{given[0]} is not for {self.table}, which takes {allowed} only; leave it out.")

    def _page_file(self) -> Path:
        if self.page is not None:
            return self.page
        # In a checkout of the repository the page belongs to the documentation.
        return Path("docs") / PAGE if Path("docs").is_dir() else self.results / PAGE

    def _reproduce(self, typed: str) -> None:
        name = ALIASES.get(self.table or "", self.table or "")
        table = lookup("table", TABLES, name)
        if self.scale is None:
            raise ValueError(f"--scale must be one of {', '.join(SCALES)}; cpu is the smallest.")
        scale, seeds = lookup("scale", SCALES, self.scale), seeds_of(self.seeds)
        extractor = None if self.extractor is None else lookup("extractor", EXTRACTORS, self.extractor)
        executor, paths = LocalProcesses(self.jobs), _paths(self.data)
        rows = [planned(row, scale, paths, extractor) for row in chosen_rows(table, self.rows)]
        # Every option has been read by here, so that a wrong one fails in a plan as in a run.
        if self.plan:
            print(planned_rows(table, rows, scale))
            return
        places = Places(self.out / self.scale, self.results, self._page_file())
        files = run_into_ledger(table, rows, self.scale, seeds, places, executor, say=say, command=typed)
        print(", ".join(map(str, files)))


def _paths(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--data takes NAME=PATH, got {text!r}, as lsun-church=/data/church_outdoor_train_lmdb.")
        lookup("data set", PUBLISHED_DATA, name)
        found[name] = path
    return found
