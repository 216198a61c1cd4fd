"""Published tables as data, their rows as experiments at three scales, what was measured, and the page of both."""

from ganneal.reproduction.conjugate_gradient import conjugate_gradient_table
from ganneal.reproduction.nats import nats_tables
from ganneal.reproduction.scales import SCALES, Scale
from ganneal.reproduction.table import Reported, Table, TableRow

TABLES: dict[str, Table] = {**nats_tables(), "conjugate-gradient": conjugate_gradient_table()}
"""Tables by name."""
ALIASES = {"fig4": "table12"}
"""Other names of a table."""

__all__ = ["ALIASES", "SCALES", "TABLES", "Reported", "TableRow", "Scale", "Table"]
