"""`python -m ganneal`."""

from ganneal.cli import main

raise SystemExit(main())
