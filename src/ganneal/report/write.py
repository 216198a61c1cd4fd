"""Which page suits which directories."""

from collections.abc import Sequence
from pathlib import Path

from ganneal.inference.zoo import refuse
from ganneal.report.comparison_page import comparison_page
from ganneal.report.page import refuse_directory, write_html
from ganneal.report.records import STUDY
from ganneal.report.run_page import run_page
from ganneal.report.several_page import several_page
from ganneal.storage.atomic import check_named


def write_report(paths: Sequence[str | Path], out: str | Path | None = None, *, data_path: str | None = None) -> Path:
    """Write the page of one run, of one comparison, or of several runs side by side.

    Args:
        paths: One directory of a run or comparison, or several of runs.
        out: Where to; None puts ``report.html`` into the one directory.
        data_path: Of one run, where its data lies; None looks where it was, and where it lay from the run.
    Returns:
        Where the page is.
    Raises:
        FileNotFoundError: A directory holds no run, or one without samples.
        ValueError: The directories do not fit one page, or a file is damaged.
    """
    for path in paths:
        check_named(path)
        refuse(path, "a report shows the records of a training run")
    folders = [Path(path) for path in paths]
    if not folders:
        raise ValueError("a report needs a run directory, a comparison directory, or several run directories.")
    if out is not None:
        refuse_directory(Path(out))  # before the page is drawn, which takes seconds
    if data_path is not None:
        check_named(data_path)
        if len(folders) > 1 or (folders[0] / STUDY).exists():
            raise ValueError(f"--data.path is for the page of one run, got {data_path!r}; leave it out.")
    if len(folders) == 1:
        (folder,) = folders
        # A comparison is known by its study.json, whatever else lies there.
        html = comparison_page(folder) if (folder / STUDY).exists() else run_page(folder, data_path)
        return write_html(html, Path(out) if out is not None else folder / "report.html")
    for folder in folders:
        if (folder / STUDY).exists():
            raise ValueError(f"{folder} is a comparison: it has a page of its own; give it alone.")
    if out is None:
        raise ValueError("--out is needed with several runs, as --out page.html: the page belongs to none of them.")
    return write_html(several_page(folders), Path(out))
