"""Pages to look at and to share: one HTML file for a run, for several runs, for a comparison. It never trains."""

from ganneal.report.write import write_report

__all__ = ["write_report"]
